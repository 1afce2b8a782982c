import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Sam2Error } from "../errors.ts";
import { systemReason } from "../platform/node_files.ts";

export { systemReason };

/** @throws Sam2Error naming the file, if it cannot be read */
export async function readInput(path: string, what: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new Sam2Error(path, what, systemReason(cause), "check the path", { cause });
  }
}

/**
 * Write files, all or none: each to a temporary file beside its place; when all are there, they are renamed.
 *
 * @throws Sam2Error naming the file that cannot be written; the signal's reason if aborted
 */
export async function writeFiles(files: ReadonlyMap<string, Uint8Array>, signal: AbortSignal): Promise<void> {
  const staged: { temporary: string; path: string }[] = [];
  const made: string[] = [];
  let at = "";
  try {
    for (const [path, bytes] of files) {
      at = path;
      signal.throwIfAborted();
      made.push(...(await makeFolder(dirname(path))));
      const temporary = join(dirname(path), `.${basename(path)}.${randomUUID().slice(0, 8)}.tmp`);
      staged.push({ temporary, path });
      await writeFile(temporary, bytes, { flag: "wx", flush: true });
    }
    signal.throwIfAborted();
    for (const { temporary, path } of staged) {
      at = path;
      await rename(temporary, path);
    }
  } catch (cause) {
    for (const { temporary } of staged) await rm(temporary, { force: true });
    for (const folder of made) await rmdir(folder).catch(() => {}); // not if somebody else has put a file there
    signal.throwIfAborted();
    const todo = "choose another place, or free some space";
    throw new Sam2Error(at, "a file that can be written", systemReason(cause), todo, { cause });
  }
}

/** The folders that had to be made for `folder` to exist, innermost first. */
async function makeFolder(folder: string): Promise<string[]> {
  const outermost = await mkdir(folder, { recursive: true });
  if (outermost === undefined) return [];
  const made = [resolve(folder)];
  while (made.at(-1) !== resolve(outermost)) made.push(dirname(made.at(-1)!));
  return made;
}
