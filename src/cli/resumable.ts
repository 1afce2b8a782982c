import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Sam2Error } from "../errors.ts";
import { systemReason } from "./files.ts";

export interface ResumableOptions {
  url: string;
  /** where the file is put when it is whole */
  path: string;
  signal: AbortSignal;
  onProgress(received: number, total: number): void;
  /** @throws if a file that begins so is not what was wanted */
  expectStart(bytes: Uint8Array): void;
  /** @throws if a file of this SHA-256 is not what was wanted */
  expectDigest(sha256: string): Promise<void>;
}

export interface Received {
  bytes: number;
  sha256: string;
  /** bytes that an earlier attempt had received */
  resumedFrom: number;
}

/**
 * Download a file. What an interrupted attempt has received is kept, and continued if the server still has the same file.
 *
 * @throws Sam2Error naming address or file; the signal's reason if aborted
 */
export async function download(options: ResumableOptions): Promise<Received> {
  const { url, path, signal } = options;
  await mkdir(dirname(path), { recursive: true }).catch((cause) => failToWrite(path, cause));
  const old = await takePart(path);
  let part = old;
  try {
    const answer = await ask(url, old, signal);
    if (answer.start === 0) {
      if (old) await rm(old.path); // the server has another file now
      part = newPart(path, answer.validator);
    }
    const received = await receive(part!, answer, options);
    await options.expectDigest(received.sha256);
    await rename(part!.path, path);
    await removeAbandoned(path);
    return received;
  } catch (error) {
    if (part) await release(part, path);
    signal.throwIfAborted();
    throw error;
  }
}

interface Answer {
  body: AsyncIterable<Uint8Array>;
  /** where in the file the body begins */
  start: number;
  /** size of the whole file */
  total: number;
  validator: string;
}

/** Ask for what `part` lacks of the file, or for all of it if the file is another one by now. */
async function ask(url: string, part: Part | undefined, signal: AbortSignal): Promise<Answer> {
  const range = part && { range: `bytes=${part.bytes}-`, "if-range": part.validator };
  const response = await fetch(url, { signal, headers: { "accept-encoding": "identity", ...range } }).catch((cause) => {
    const { code = `${cause.cause?.message ?? cause.message}` } = cause.cause ?? {};
    const todo = "check the network; $SAM2_DOWNLOAD_URL may name a mirror";
    throw new Sam2Error(url, "an answer", `none (${code})`, todo, { cause });
  });
  const { status, headers, body } = response;
  const validator = validatorOf(headers);
  const [, start, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  if (part && (status === 206 || status === 416)) {
    const continues = status === 206 && Number(start) === part.bytes && validator === part.validator;
    if (continues && body) return { body, start: part.bytes, total: Number(size), validator };
    await body?.cancel();
    return ask(url, undefined, signal);
  }
  const length = headers.get("content-length");
  if (status !== 200 || !body || length === null) {
    await body?.cancel();
    const got = status === 200 ? "an answer that does not tell its size" : `HTTP status ${status}`;
    throw new Sam2Error(url, "the file", got, "check the address; $SAM2_DOWNLOAD_URL may name a mirror");
  }
  return { body, start: 0, total: Number(length), validator };
}

/** What tells one version of the file from the next: the strong ETag, or else the date. Empty if there is neither. */
function validatorOf(headers: Headers): string {
  const etag = headers.get("etag");
  return etag && !etag.startsWith("W/") ? etag : (headers.get("last-modified") ?? "");
}

/** Append the body to the part. */
async function receive(part: Part, { body, start, total }: Answer, options: ResumableOptions): Promise<Received> {
  const { url, path, onProgress, expectStart } = options;
  const hash = createHash("sha256");
  if (start > 0) for await (const chunk of createReadStream(part.path, { end: start - 1 })) hash.update(chunk);

  const file = await open(part.path, "a").catch((cause) => failToWrite(path, cause));
  let bytes = start;
  try {
    const chunks = body[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await chunks.next().catch((cause) => incomplete(cause.cause?.message ?? cause.message));
      if (done) break;
      if (bytes === 0) expectStart(value);
      await append(file, value, path);
      hash.update(value);
      bytes += value.length;
      onProgress(bytes, total);
    }
    if (bytes !== total) incomplete("the end");
    await file.sync().catch((cause) => failToWrite(path, cause));
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest("hex"), resumedFrom: start };

  function incomplete(reason: string): never {
    const todo = "run the same command again: it goes on from there";
    throw new Sam2Error(url, `${total} bytes`, `${bytes}, then ${reason}`, todo);
  }
}

async function append(file: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at).catch((cause) => failToWrite(path, cause));
    at += bytesWritten;
  }
}

function failToWrite(path: string, cause: unknown): never {
  const todo = "free some space, or name another folder with $SAM2_CACHE, and run the same command again";
  throw new Sam2Error(path, "a file that can be written", systemReason(cause), todo, { cause });
}

/**
 * What an attempt has received so far, in `<file>.<validator in base64url>.<owner>.part`. The owner is the process at work
 * on it, or `idle`. A process takes a part by renaming it, so two of them never write to the same one.
 */
interface Part {
  readonly path: string;
  readonly validator: string;
  readonly bytes: number;
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
