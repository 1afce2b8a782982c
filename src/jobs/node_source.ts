import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ImageError, Sam2Error } from "../errors.ts";
import { isAddress, readBytes } from "../io/image_input.ts";
import { sha256Hex } from "../io/sha256.ts";
import { readInput, systemReason } from "../platform/node_files.ts";
import { platform } from "../platform/platform.ts";
import { framesOfFolder } from "../video/folder.ts";
import type { Source, Task, TaskFile } from "./task.ts";

/** Files and addresses, as jobs in `folder` name them. */
export function nodeSource(folder: string, signal?: AbortSignal): Source {
  return {
    locate: (name) => (isAddress(name) ? name : resolve(folder, name)),
    read: (path, name, what) => (isAddress(path) ? readBytes(path, signal) : readInput(path, what, name)),
    digestVideo: (path, name) => digestVideo(path, name, signal),
  };
}

/** Of a folder, the names and bytes of its frames; of a file, its bytes. */
async function digestVideo(path: string, name: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  try {
    const names = await platform.listFolder(path);
    if (!names) {
      for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Uint8Array);
      return hash.digest("hex");
    }
    for (const frame of framesOfFolder(name, names)) {
      signal?.throwIfAborted();
      hash.update(`${frame.name}\0${await sha256Hex(new Uint8Array(await readFile(resolve(path, frame.name!))))}\n`);
    }
    return hash.digest("hex");
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof Sam2Error) throw cause;
    throw new ImageError(name, "a folder of frames, or a video", systemReason(cause), "check the path", { cause });
  }
}

/**
 * The task with the bytes of its files: those that did not come with it are read here.
 *
 * @throws Sam2Error if they are not those that its submitter saw
 */
export async function withBytes(task: Task, signal?: AbortSignal): Promise<Task> {
  const source = nodeSource(".", signal);
  const files: Task["files"] = [];
  for (const [i, file] of task.files.entries()) {
    const { name, path } = file;
    if (i === 0 && "video" in task.job) {
      expectSame(file, await source.digestVideo(path, name).catch((error) => refuse(file, error)));
      files.push(file);
      continue;
    }
    const bytes = file.bytes ?? (await source.read(path, name, "a file").catch((error) => refuse(file, error)));
    expectSame(file, await sha256Hex(bytes));
    files.push({ ...file, bytes });
  }
  return { ...task, files };
}

const SAME = ["the bytes that the submitter has", "give all machines the same files by the same paths, or --carry"];

function expectSame({ name, digest }: TaskFile, got: string): void {
  if (got !== digest) throw new Sam2Error(name, SAME[0], "others", SAME[1]);
}

/** What a worker cannot read may lie on the submitter's machine alone. */
function refuse({ name, path }: TaskFile, cause: unknown): never {
  if (!(cause instanceof Sam2Error) || isAddress(path)) throw cause;
  throw new Sam2Error(name, SAME[0], `${systemReason(cause.cause ?? cause)} on a worker`, SAME[1], { cause });
}
