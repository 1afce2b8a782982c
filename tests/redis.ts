/** A Redis of the test's own, on a free port of loopback and in a folder of its own, where one is installed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
export const NO_REDIS = "there is no redis-server on the PATH; install redis-server";

export interface OwnRedis {
  url: string;
  /** End it by kill −9. */
  kill(): Promise<void>;
  /** Start it again with what it has kept. */
  start(): Promise<void>;
  /** End it and remove its folder. */
  close(): Promise<void>;
}

export async function startRedis(more: Record<string, string> = {}): Promise<OwnRedis> {
  const folder = mkdtempSync(join(tmpdir(), "sam2-redis-"));
  const port = await freePort();
  let server: ChildProcess;
  const start = async () => {
    const settings = {
      port,
      bind: "127.0.0.1",
      dir: folder,
      appendonly: "yes",
      "maxmemory-policy": "noeviction",
      ...more,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    server = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    for await (const chunk of server.stdout!) {
      text += chunk;
      if (text.includes("Ready to accept connections")) break;
    }
    server.stdout!.destroy();
    if (!text.includes("Ready to accept connections")) throw new Error(`redis-server did not start: ${text}`);
  };
  const kill = async () => {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
    await sleep(50);
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    start,
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
