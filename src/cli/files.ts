import { createReadStream, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Sam2Error } from "../errors.ts";
import { isAddress, readBytes } from "../io/image_input.ts";
import { readInput, systemReason } from "../platform/node_files.ts";

/** Standard input, where a picture is asked for. */
export const STDIN = "-";

/** The name of the file; of an address the last part of its path, of standard input stdin. */
export function pictureName(path: string): string {
  if (path === STDIN) return "stdin";
  if (!isAddress(path)) return basename(path);
  const { pathname, hostname } = new URL(path);
  return basename(decodeURIComponent(pathname)).replace(/[^\w.-]/g, "_") || hostname;
}

/** The bytes of a picture: a path, an http(s) address, or standard input. @throws Sam2Error */
export async function readPicture(from: string, signal: AbortSignal): Promise<Uint8Array> {
  if (isAddress(from)) return readBytes(from, signal);
  if (from !== STDIN) return readInput(from, "an image");
  const parts: Uint8Array[] = [];
  for await (const part of createReadStream("", { fd: 0, autoClose: false, signal })) parts.push(part as Uint8Array);
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * Write a file beside its place, as `.NAME.tmp`, then move it there: whoever looks sees all of it or nothing. What a crash has
 * left is overwritten by the next attempt. At one stretch: a thread that computes would come back to it many times.
 *
 * @throws Sam2Error
 */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, bytes);
    renameSync(temporary, path);
  } catch (cause) {
    removeIfPossible(temporary);
    const todo = "choose another place, or free some space";
    throw new Sam2Error(path, "a file that can be written", systemReason(cause), todo, { cause });
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // a file stands in place of its folder
  }
}

/** The folders that had to be made for `folder` to exist, innermost first. */
export async function makeFolder(folder: string): Promise<string[]> {
  const outermost = await mkdir(folder, { recursive: true });
  if (outermost === undefined) return [];
  const made = [resolve(folder)];
  while (made.at(-1) !== resolve(outermost)) made.push(dirname(made.at(-1)!));
  return made;
}
