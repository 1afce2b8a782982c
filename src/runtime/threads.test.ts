// Helper threads at their worst: one that dies at work, one that traps, a caller that traps, and a process that ends.
import "../index.node.ts";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PATIENCE_MS, until } from "../../tests/patience.ts";
import { EngineError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import type { WorkerEvents } from "../platform/types.ts";
import { values } from "../tensor/view.ts";
import { createMachine } from "./create.ts";
import type { Machine } from "./machine.ts";

const VALUES = 1 << 20;
const heard: unknown[] = []; // from helpers, so far

/** A machine whose helpers run `program` instead of ours: `state`, `OPEN` and `enter()` are at its service. */
async function machineWithHelpers(program: string): Promise<Machine> {
  const source = `
    const { parentPort } = require("node:worker_threads");
    parentPort.once("message", ({ control }) => {
      const state = new Int32Array(control), OPEN = 1 << 16;
      const enter = () => { while (Atomics.compareExchange(state, 0, OPEN, OPEN + 1) !== OPEN); };
      ${program}
    });`;
  setPlatform({
    ...nodePlatform,
    startWorker(_, { onMessage, onDeath }: WorkerEvents) {
      const worker = new Worker(source, { eval: true });
      worker.unref();
      worker.on("message", (message) => {
        heard.push(message);
        onMessage!(message);
      });
      worker.on("exit", () => onDeath("exit"));
      return { post: (m) => worker.postMessage(m), hold() {}, stop: async () => void (await worker.terminate()) };
    },
  });
  try {
    return await createMachine({ kernels: "portable", tile: "6x8", threads: 2 });
  } finally {
    setPlatform(nodePlatform);
  }
}

/** Many calls, so that helpers get their turn; the last result. */
function relus(machine: Machine, calls: number): Float32Array {
  return machine.heap.scope(() => {
    const x = machine.heap.from(
      Float32Array.from({ length: VALUES }, (_, i) => (i % 7) - 3),
      [VALUES],
    );
    const y = machine.heap.alloc([VALUES]);
    for (let call = 0; call < calls; call++) machine.kernels.relu(y, x);
    return values(y).slice();
  });
}

/** What `run` throws. */
function failure(run: () => unknown): unknown {
  try {
    return void run();
  } catch (error) {
    return error;
  }
}

const Threads = suite("threads");

Threads("a helper that dies at work is missed, and again by every later call", async () => {
  const machine = await machineWithHelpers("enter(); process.exit(1);");
  const error = failure(() => relus(machine, 100_000));
  assert.ok(error instanceof EngineError, `${error}`);
  assert.ok(failure(() => relus(machine, 1)) instanceof EngineError);
  machine.dispose();
});

Threads("a helper that dies while it waits is told of, by a typed error", async () => {
  const machine = await machineWithHelpers("process.exit(1);");
  await until(() => failure(() => relus(machine, 1)) !== undefined);
  assert.ok(failure(() => relus(machine, 1)) instanceof EngineError);
});

Threads("a machine is ready when its helpers are: Chromium starts none while their maker is busy", async () => {
  const machine = await machineWithHelpers("setTimeout(() => parentPort.postMessage('late'), 400);");
  assert.is(heard.at(-1), "late");
  machine.dispose();
});

Threads("a helper that never begins is waited for only once", async () => {
  const machine = await machineWithHelpers("setInterval(() => {}, 1000);");
  assert.is(
    failure(() => relus(machine, 10)),
    undefined,
  );
  machine.dispose();
});

Threads("a trap leaves the call when the helpers have left it too", async () => {
  const machine = await createMachine({ kernels: "portable", tile: "6x8", threads: 2 });
  relus(machine, 10);
  const beyond = { ...machine.heap.alloc([16]), shape: [2 ** 29], stride: [1], offset: 0 };
  const error = failure(() => machine.kernels.relu(beyond as never, beyond as never));
  assert.ok(error instanceof WebAssembly.RuntimeError || error instanceof EngineError, `${error}`);
  machine.dispose();
});

Threads("helpers do not keep a finished process alive", () => {
  const program = `
    import "${new URL("../index.node.ts", import.meta.url)}";
    import { createMachine } from "${new URL("./create.ts", import.meta.url)}";
    const { chosen } = await createMachine({ kernels: "portable", tile: "6x8", threads: 3 });
    console.log(chosen.at(-1));`;
  const tsx = fileURLToPath(import.meta.resolve("tsx/cli"));
  const options = { timeout: PATIENCE_MS, encoding: "utf8" } as const;
  const output = execFileSync(process.execPath, [tsx, "--input-type=module", "--eval", program], options);
  assert.is(output.trim(), "threads: 3");
});

Threads.run();
