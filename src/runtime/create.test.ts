import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HeapError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine } from "./create.ts";

setPlatform(nodePlatform);

const Create = suite("createMachine");

Create("auto takes the fma build wherever the engine has relaxed SIMD, and says why", async () => {
  nodePlatform.prepareWasm();
  const relaxed = WebAssembly.validate(await nodePlatform.kernels("kernels_fma"));
  const { kernels, chosen } = await createMachine({ kernels: "auto" });
  assert.match(kernels.name, relaxed ? /^fma 6x(8|16)$/ : /^portable 6x(8|16)$/);
  assert.ok(chosen.some((line) => /^kernels: .*because the engine (has|lacks) relaxed SIMD$/.test(line)));
  assert.ok(chosen.some((line) => /^tile: 6x\d+, because the products tried took/.test(line)));
  assert.not.match(chosen.join(), "other bits");
});

Create("a tile that is asked for is taken", async () => {
  for (const tile of ["6x8", "6x16"] as const) {
    const { kernels } = await createMachine({ kernels: "portable", tile });
    assert.is(kernels.name, `portable ${tile}`);
  }
});

Create("a memory that cannot be had is a typed error: too small for the kernels, larger than 4 GiB", async () => {
  for (const maxBytes of [65536, 2 ** 33]) {
    try {
      await createMachine({ kernels: "portable", maxBytes });
      assert.unreachable(`${maxBytes} bytes`);
    } catch (error) {
      assert.instance(error, HeapError);
    }
  }
});

Create("200 threads are 16, or as many as there are cores, and the console says so", async () => {
  const { warn } = console;
  const said: string[] = [];
  console.warn = (text: string) => said.push(text);
  try {
    const { threads, chosen, dispose } = await createMachine({ kernels: "portable", tile: "6x8", threads: 200 });
    dispose();
    assert.ok(threads >= 16 && threads < 200, `${threads} threads`);
    assert.match(said.join("\n"), /^sam2: threads: \d+ instead of 200, because this machine has \d+ cores$/);
    assert.ok(said[0].endsWith(chosen.find((line) => line.startsWith("threads:"))!));
  } finally {
    console.warn = warn;
  }
});

Create.run();
