import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, constants as os, setPriority } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";
import { constants, crc32, deflateSync, inflateSync } from "node:zlib";
import { UsageError } from "../errors.ts";
import { cachedBytes, cachedFile, removeCached } from "./node_download.ts";
import { environmentFetch } from "./node_fetch.ts";
import { openFile, spool, writeWhole } from "./node_files.ts";
import { counted, transfer } from "./transfer.ts";
import type { Platform, Program, WorkerEvents, WorkerHandle, WorkerProgram } from "./types.ts";

/**
 * Node 20 hides relaxed SIMD behind a flag that later versions do not know. From 24 on, V8 on x64 can join pairs of
 * 128-bit operations to 256-bit ones.
 */
function prepareWasm(): string[] {
  const major = Number.parseInt(process.versions.node, 10);
  const flags = [];
  if (major < 22) flags.push("--experimental-wasm-relaxed-simd");
  if (major >= 24 && process.arch === "x64") flags.push("--experimental-wasm-revectorize");
  for (const flag of flags) v8.setFlagsFromString(flag);
  return flags;
}

const PROGRAMS: Record<WorkerProgram, string> = {
  engine: "../engine/worker.node",
  helper: "../runtime/helper.node",
};

/** Without the flags of this process, which may load what a worker has no use for. From source, it learns TypeScript first. */
export function openWorker(built: URL): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(built, { execArgv: [] });
  const source = built.href.replace(/js$/, "ts"); // not by `new URL`, which bundlers would want to find
  const tsx = import.meta.resolve("tsx/esm/api");
  const learn = `import("${tsx}").then((tsx) => (tsx.register(), import("${source}")))`;
  return new Worker(learn, { eval: true, execArgv: [] });
}

/**
 * Not by `new URL`, of which bundlers make another file.
 *
 * @throws UsageError where a bundler has taken this file away from the others
 */
function programOf(program: WorkerProgram): URL {
  const here = import.meta.url as string | undefined; // CommonJS has none
  const folder = here?.startsWith("file:") ? dirname(fileURLToPath(here)) : "";
  const [source, built] = ["ts", "js"].map((ending) => join(folder, `${PROGRAMS[program]}.${ending}`));
  if (folder !== "" && (existsSync(built) || existsSync(source))) return pathToFileURL(built);
  const todo =
    'leave sam2-ts out of the bundle: serverExternalPackages: ["sam2-ts"] in next.config, external: ["sam2-ts"] elsewhere';
  throw new UsageError("sam2-ts", "its files side by side, as they are installed", "a bundle", todo);
}

/** @throws UsageError where a bundler has taken this file away from the others */
function startWorker(program: WorkerProgram, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  const worker = openWorker(programOf(program));
  let stopped = false;
  worker.on("error", (error: Error) => onDeath(error.message));
  worker.on("exit", (code) => {
    if (!stopped) onDeath(`exit code ${code}`);
  });
  if (onMessage) worker.on("message", onMessage);
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: (on) => (on || stopped ? worker.ref() : worker.unref()),
    async stop() {
      stopped = true;
      worker.ref(); // else the process might end while this is awaited
      await worker.terminate();
    },
  };
}

/**
 * In a process group of its own, so that Ctrl-C in a terminal reaches this process alone, which ends it when it should.
 * Should this process be killed, the program ends when it next writes, for nobody holds the other end of the pipe.
 */
async function startProgram(name: string, args: readonly string[], onStderr: (text: string) => void): Promise<Program> {
  const detached = process.platform !== "win32";
  const child = spawn(name, args, { detached, windowsHide: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  child.stderr.setEncoding("utf8").on("data", onStderr);
  await once(child, "spawn");
  return {
    stdout: child.stdout,
    ended,
    stop() {
      child.stdout.destroy();
      if (child.exitCode !== null || child.signalCode !== null) return;
      try {
        if (detached) process.kill(-child.pid!, "SIGKILL");
        else child.kill();
      } catch {
        // it has ended just now
      }
    },
  };
}

/** Elsewhere than on Linux a priority is the process's. */
function giveWay(): void {
  if (process.platform === "linux") setPriority(os.priority.PRIORITY_LOW);
}

export const nodePlatform: Platform = {
  giveWay,
  locate: (address) => (address.startsWith("file:///") ? fileURLToPath(address) : address),
  readFile,
  writeFile: writeWhole,
  openFile,
  openBlob: (blob, name) => spool(blob.stream(), name),
  exists: (path) =>
    stat(path).then(
      () => true,
      () => false,
    ),
  openCached: async (remote, options) => openFile(await cachedFile(remote, { env: process.env, ...options })),
  cachedBytes: (remote) => cachedBytes(remote, process.env),
  removeCached: (remote) => removeCached(remote, process.env),
  async download(url, { onProgress, ...options }) {
    const { chunks, total } = await transfer(url, { fetch: await environmentFetch(process.env), ...options });
    return spool(counted(chunks, total, onProgress), url);
  },
  async listFolder(path) {
    const found = await stat(path).catch(() => undefined);
    return found?.isDirectory() ? readdir(path) : undefined;
  },
  async dependencyWasm(specifier) {
    return WebAssembly.compile(new Uint8Array(await readFile(createRequire(import.meta.url).resolve(specifier))));
  },
  optional: (specifier) => import(specifier).catch(() => undefined),
  inflate: (stream, limit) => inflateSync(stream, { maxOutputLength: limit }),
  crc32,
  deflate: (bytes, runs) => deflateSync(bytes, runs ? { level: 3, strategy: constants.Z_RLE } : { level: 3 }),
  kernels: async (build) => new Uint8Array(await readFile(new URL(`../../build/${build}.wasm`, import.meta.url))),
  prepareWasm,
  cores: availableParallelism,
  noThreads: () => "this build of Node has no shared memory",
  startWorker,
  startProgram,
};
