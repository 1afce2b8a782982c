import { closeSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";
import { deflateSync, inflateSync } from "node:zlib";
import type { OpenFile, Platform, WorkerEvents, WorkerHandle, WorkerProgram } from "./types.ts";

const require = createRequire(import.meta.url);

async function openFile(path: string): Promise<OpenFile> {
  const file = openSync(path, "r");
  let buffer = new Uint8Array(0);
  const read = (offset: number, length: number) => {
    if (buffer.length < length) buffer = new Uint8Array(length);
    let got = 0;
    while (got < length) {
      const more = readSync(file, buffer, got, length - got, offset + got);
      if (more === 0) break;
      got += more;
    }
    return buffer.subarray(0, got);
  };
  return { name: path, size: fstatSync(file).size, read, close: () => closeSync(file) };
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  const file = await open(temporary, "w");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

async function spool(stream: ReadableStream<Uint8Array>, name: string): Promise<OpenFile> {
  const folder = await mkdtemp(join(tmpdir(), "sam2-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "download");
    await writeFile(path, stream, { flag: "wx" });
    const file = await openFile(path);
    if (process.platform !== "win32") remove(); // the open file stays readable, and nothing is left behind by a crash
    const close = () => {
      file.close();
      remove();
    };
    return { ...file, name, close };
  } catch (error) {
    remove();
    throw error;
  }
}

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
function openWorker(program: WorkerProgram): Worker {
  const path = PROGRAMS[program];
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL(`${path}.js`, import.meta.url), { execArgv: [] });
  const source = new URL(`${path}.ts`, import.meta.url);
  const tsx = import.meta.resolve("tsx/esm/api");
  const learn = `import("${tsx}").then((tsx) => (tsx.register(), import("${source}")))`;
  return new Worker(learn, { eval: true, execArgv: [] });
}

function startWorker(program: WorkerProgram, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  const worker = openWorker(program);
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

export const nodePlatform: Platform = {
  readFile,
  writeFile: writeWhole,
  openFile,
  openBlob: (blob, name) => spool(blob.stream(), name),
  spool,
  async listFolder(path) {
    const found = await stat(path).catch(() => undefined);
    return found?.isDirectory() ? readdir(path) : undefined;
  },
  async dependencyWasm(specifier) {
    return WebAssembly.compile(new Uint8Array(await readFile(require.resolve(specifier))));
  },
  inflate: (stream, limit) => inflateSync(stream, { maxOutputLength: limit }),
  deflate: (bytes) => deflateSync(bytes),
  kernels: async (build) => new Uint8Array(await readFile(new URL(`../../build/${build}.wasm`, import.meta.url))),
  prepareWasm,
  cores: availableParallelism,
  noThreads: () => "this build of Node has no shared memory",
  startWorker,
};
