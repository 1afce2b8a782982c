import { closeSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { mkdtemp, open, readFile, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Sam2Error } from "../errors.ts";
import type { OpenFile } from "./types.ts";

/** A file that is read piece by piece. */
export async function openFile(path: string): Promise<OpenFile> {
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

/** Write a file whole or not at all. @param temporary where it is written before it moves; beside its place by default */
export async function writeWhole(
  path: string,
  content: Uint8Array | string,
  temporary = join(dirname(path), `.${basename(path)}.tmp`),
): Promise<void> {
  const file = await open(temporary, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Read chunks to their end into a file that is removed when it is closed; `name` is for messages. */
export async function spool(chunks: AsyncIterable<Uint8Array>, name: string): Promise<OpenFile> {
  const folder = await mkdtemp(join(tmpdir(), "sam2-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "download");
    await writeFile(path, chunks, { flag: "wx" });
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

/** @param name what to call it @throws Sam2Error naming the file, if it cannot be read */
export async function readInput(path: string, what: string, name = path): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new Sam2Error(name, what, systemReason(cause), "check the path", { cause });
  }
}

/** "ENOENT: no such file or directory", without the call and the path that Node adds. */
export function systemReason(error: unknown): string {
  return (error as Error).message.replace(/, \w+( '.*)?$/s, "");
}
