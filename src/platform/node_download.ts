/** Downloads into the cache folder, for the command line and the API alike. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { openFile, systemReason } from "./node_files.ts";
import { environmentFetch } from "./node_fetch.ts";
import { type Received, type Transfer, transfer } from "./transfer.ts";
import type { CacheOptions, RemoteFile } from "./types.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where downloads are kept: $SAM2_CACHE, or the system's folder for such things. */
export function cacheFolder(env: Environment, system: NodeJS.Platform = process.platform): string {
  if (env.SAM2_CACHE) return env.SAM2_CACHE;
  if (system === "win32") return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "sam2-ts");
  if (system === "darwin") return join(homedir(), "Library", "Caches", "sam2-ts");
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sam2-ts");
}

export interface FetchOptions extends CacheOptions {
  env: Environment;
  /** milliseconds of silence before another attempt */
  patience?: number;
}

/**
 * The path of a file in the cache, where it is put first unless it is there already.
 *
 * @throws CheckpointError naming address or file, or what to do if SAM2_OFFLINE is set; the signal's reason if aborted
 */
export async function cachedFile(remote: RemoteFile, options: FetchOptions): Promise<string> {
  const path = join(cacheFolder(options.env), remote.file);
  if (await isThere(path)) return path;
  if (options.env.SAM2_OFFLINE && options.env.SAM2_OFFLINE !== "0") {
    const todo = `offline, nothing is downloaded: run sam2 download ${remote.name} where there is a network`;
    throw new CheckpointError(remote.name, `its file at ${path}`, "none", todo);
  }
  await download(remote, path, options);
  return path;
}

/** What is known of a file in the cache. */
export interface CachedFile {
  path: string;
  bytes: number;
  sha256: string;
  /** was it downloaded just now? */
  isNew: boolean;
  /** has it the digest that was recorded at the first download? */
  isKnown: boolean;
}

/** `cachedFile`, and the digest of what is there is compared too. */
export async function verifiedFile(remote: RemoteFile, options: FetchOptions): Promise<CachedFile> {
  const path = join(cacheFolder(options.env), remote.file);
  const isNew = !(await isThere(path));
  if (isNew) return { path, isNew, ...(await download(remote, path, options)) };
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const sha256 = hash.digest("hex");
  return { path, isNew, bytes, sha256, isKnown: await checkDigest(path, sha256) };
}

/** Bytes of a file in the cache; undefined if it is not there. */
export async function cachedBytes(remote: RemoteFile, env: Environment): Promise<number | undefined> {
  return (await stat(join(cacheFolder(env), remote.file)).catch(() => undefined))?.size;
}

/** Remove a file from the cache, with its digest and what interrupted attempts have left. */
export async function removeCached(remote: RemoteFile, env: Environment): Promise<void> {
  const path = join(cacheFolder(env), remote.file);
  await rm(path, { force: true });
  await rm(`${path}.sha256`, { force: true });
  if (await isThere(dirname(path))) await removeAbandoned(path);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** What an interrupted attempt has received is kept, and continued if the server still has the same file. */
async function download(
  remote: RemoteFile,
  path: string,
  options: FetchOptions,
): Promise<{ bytes: number; sha256: string; isKnown: boolean }> {
  const { env, signal, patience, check } = options;
  const mirror = env.SAM2_DOWNLOAD_URL;
  const url = mirror ? `${mirror.replace(/\/$/, "")}/${remote.file}` : remote.url;
  await mkdir(dirname(path), { recursive: true }).catch((cause) => failToWrite(path, cause));
  const old = await takePart(path);
  let part = old;
  try {
    const fetch = await environmentFetch(env);
    const answer = await transfer(url, { fetch, signal, patience }, old);
    if (answer.start === 0) {
      if (old) await rm(old.path); // the server has another file now
      part = newPart(path, answer.validator);
    }
    const { bytes, sha256 } = await receive(part!, answer, path, options);
    const file = await openFile(part!.path);
    try {
      check({ ...file, name: url });
    } catch (error) {
      await rm(part!.path);
      throw error;
    } finally {
      file.close();
    }
    const isKnown = await checkDigest(path, sha256);
    await rename(part!.path, path);
    await removeAbandoned(path);
    return { bytes, sha256, isKnown };
  } catch (error) {
    if (part) await release(part, path);
    signal?.throwIfAborted();
    throw error;
  }
}

/** Append the chunks to the part. */
async function receive(
  part: Part,
  { start, total, chunks }: Transfer,
  path: string,
  { onProgress }: FetchOptions,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  if (start > 0) for await (const chunk of createReadStream(part.path, { end: start - 1 })) hash.update(chunk);

  const file = await open(part.path, "a").catch((cause) => failToWrite(path, cause));
  let bytes = start;
  try {
    for await (const chunk of chunks) {
      await append(file, chunk, path);
      hash.update(chunk);
      bytes += chunk.length;
      onProgress?.(bytes, total);
    }
    await file.sync().catch((cause) => failToWrite(path, cause));
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function append(file: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at).catch((cause) => failToWrite(path, cause));
    at += bytesWritten;
  }
}

/**
 * Compare with the digest on record, in the form that `sha256sum -c` reads; record it if there is none.
 *
 * @returns was there one?
 * @throws CheckpointError if it is another
 */
async function checkDigest(path: string, sha256: string): Promise<boolean> {
  const record = `${path}.sha256`;
  const text = await readFile(record, "utf8").catch(() => undefined);
  if (text === undefined) {
    const temporary = `${record}.${process.pid}-${taken++}.tmp`;
    await writeFile(temporary, `${sha256}  ${basename(path)}\n`).catch((cause) => failToWrite(record, cause));
    await rename(temporary, record);
    return false;
  }
  const [recorded] = text.split(" ");
  if (recorded === sha256) return true;
  const todo = `delete it and download it again; if it was replaced on purpose, delete ${record} too`;
  throw new CheckpointError(path, `SHA-256 ${recorded}, as at the first download`, sha256, todo);
}

function failToWrite(path: string, cause: unknown): never {
  const todo = "free some space, or name another folder with $SAM2_CACHE, and run the same command again";
  throw new CheckpointError(path, "a file that can be written", systemReason(cause), todo, { cause });
}

/**
 * What an attempt has received so far, in `<file>.<validator in base64url>.<owner>.part`. The owner is the process at work
 * on it, or `idle`. A process takes a part by renaming it, so two of them never write to the same one.
 */
interface Part extends Received {
  readonly path: string;
}

const IDLE = "idle";
let taken = 0;

function partPath(path: string, validator: string, owner: string): string {
  return `${path}.${Buffer.from(validator).toString("base64url")}.${owner}.part`;
}

function ownPath(path: string, validator: string): string {
  return partPath(path, validator, `${process.pid}-${taken++}`);
}

function newPart(path: string, validator: string): Part {
  return { path: ownPath(path, validator), validator, bytes: 0 };
}

/** The longest part that nobody is at work on, taken. */
async function takePart(path: string): Promise<Part | undefined> {
  for (const part of await abandonedParts(path)) {
    const own = ownPath(path, part.validator);
    const isTaken = await rename(part.path, own).then(
      () => true,
      () => false, // another process was faster
    );
    if (isTaken) return { ...part, path: own };
  }
  return undefined;
}

/** Leave a part for a later attempt, if that can tell whether it still fits. */
async function release({ path: own, validator }: Part, path: string): Promise<void> {
  const size = (await stat(own).catch(() => undefined))?.size ?? 0;
  if (size > 0 && validator !== "") await rename(own, partPath(path, validator, IDLE));
  else await rm(own, { force: true });
}

async function removeAbandoned(path: string): Promise<void> {
  for (const part of await abandonedParts(path)) await rm(part.path, { force: true });
}

/** Longest first. */
async function abandonedParts(path: string): Promise<Part[]> {
  const found: Part[] = [];
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const [, validator, owner] = /^\.([\w-]*)\.([\w-]+)\.part$/.exec(name.slice(basename(path).length)) ?? [];
    if (validator === undefined || isAtWork(owner)) continue;
    const part = join(dirname(path), name);
    const size = (await stat(part).catch(() => undefined))?.size ?? 0;
    found.push({ path: part, validator: Buffer.from(validator, "base64url").toString(), bytes: size });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

function isAtWork(owner: string): boolean {
  if (owner === IDLE) return false;
  try {
    process.kill(Number.parseInt(owner, 10), 0); // signal 0 only asks whether the process exists
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
