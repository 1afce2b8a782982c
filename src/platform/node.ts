import { readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, constants as os, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { promisify } from "node:util";
import { constants, crc32, deflate, deflateSync, inflateSync, type ZlibOptions } from "node:zlib";
import { cachedBytes, cachedFile, removeCached } from "./node_download.ts";
import { environmentFetch } from "./node_fetch.ts";
import { openFile, spool, writeWhole } from "./node_files.ts";
import { startProgram } from "./node_programs.ts";
import { startWorker } from "./node_workers.ts";
import { counted, transfer } from "./transfer.ts";
import type { Platform } from "./types.ts";

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

function zlibOptions(runs = false): ZlibOptions {
  return runs ? { level: 3, strategy: constants.Z_RLE } : { level: 3 };
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
  deflate: (bytes, runs) => deflateSync(bytes, zlibOptions(runs)),
  deflateAside: (bytes, runs) => promisify<Uint8Array, ZlibOptions, Uint8Array>(deflate)(bytes, zlibOptions(runs)),
  kernels: async (build) => new Uint8Array(await readFile(new URL(`../../build/${build}.wasm`, import.meta.url))),
  prepareWasm,
  cores: availableParallelism,
  noThreads: () => "this build of Node has no shared memory",
  startWorker,
  startProgram,
};
