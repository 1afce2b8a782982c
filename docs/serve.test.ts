// docs/serve.md: its examples run against a server, and print what stands below them.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodePng } from "../src/io/png.ts";
import { expectBuilt } from "../tests/built.ts";
import { leaveOut } from "../tests/left_out.ts";
import { agrees, blocksOf, runBlock, sandbox } from "./blocks.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(ROOT, "docs", "serve.md");
const [WIDTH, HEIGHT] = [160, 120];

const Serve = suite("docs/serve.md");

/** What the examples call. */
const PROGRAMS = ["curl", "base64", "tr"];
const TITLE = "every example runs and prints what stands below it";
const missing = PROGRAMS.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
if (missing.length > 0) leaveOut(`docs/serve.md: ${TITLE}`, `there is no ${missing.join(" and no ")} on the PATH`);
else
  Serve(TITLE, async () => {
    expectBuilt();
    const { folder, remove } = sandbox();
    const command = [join(ROOT, "dist/cli/main.js"), "serve", "--port", "0", "--model", "nano"];
    const server = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const data = new Uint8Array(WIDTH * HEIGHT * 3).map((_, i) => {
        const [x, y] = [Math.floor(i / 3) % WIDTH, Math.floor(i / 3 / WIDTH)];
        const isSet = x >= 60 && x < 110 && y >= 30 && y < 80;
        return isSet ? [250, 30, 30][i % 3] : (x + y) % 256;
      });
      writeFileSync(join(folder, "photo.png"), encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data }));
      const [address] = (await once(server.stdout.setEncoding("utf8"), "data")) as [string];
      const { host } = new URL(address.trim());
      const blocks = blocksOf(readFileSync(PAGE, "utf8")).filter(({ code }) => !code.startsWith("sam2 serve"));
      assert.ok(blocks.length >= 6);
      for (const block of blocks) {
        const ran = await runBlock({ ...block, code: block.code.replaceAll("localhost:9090", host) }, folder);
        assert.is(ran.code, 0, `${block.code}\n${ran.all}`);
        if (block.output !== undefined) assert.ok(agrees(block.output, ran.stdout), `${block.code}\n${ran.all}`);
      }
    } finally {
      server.kill();
      await once(server, "exit");
      remove();
    }
  });

Serve.run();
