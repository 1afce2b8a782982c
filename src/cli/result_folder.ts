import { readFile, rm, rmdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { Sam2Error } from "../errors.ts";
import { systemReason } from "../platform/node_files.ts";
import { makeFolder, replaceFile } from "./files.ts";

/** Lists the files of a run that has ended; those of one that goes on, or was killed, stand in RUNNING. */
const RESULT = "result.json";
const RUNNING = ".running.json";

/**
 * The folder of a run's results. Files are written one by one, result.json is the last and lists them all. With the first
 * of them goes what an earlier run has left; files of others are never touched.
 */
export class ResultFolder {
  readonly path: string;
  /** all that this run will write, as result.json lists them */
  readonly files: readonly string[];
  readonly #earlier: readonly string[];
  #made: string[] = [];
  #begun = false;

  private constructor(path: string, files: readonly string[], earlier: readonly string[]) {
    this.path = path;
    this.files = files;
    this.#earlier = earlier;
  }

  /** Nothing is written yet. @throws Sam2Error if a file of somebody else's is in the way of one of `files` */
  static async open(path: string, files: readonly string[]): Promise<ResultFolder> {
    const all = [...files, RESULT];
    const twice = all.find((name, i) => all.indexOf(name) < i);
    if (twice !== undefined) {
      const todo = "give the picture another name";
      throw new Sam2Error(join(path, twice), "a name of its own for every file", "one for two", todo);
    }
    const earlier = [...(await namesIn(join(path, RESULT))), ...(await namesIn(join(path, RUNNING)))];
    for (const name of all) {
      if (earlier.includes(name) || !(await exists(join(path, name)))) continue;
      const todo = "move it away, or choose another --out";
      throw new Sam2Error(join(path, name), "a file of an earlier run, or none", "one of somebody else's", todo);
    }
    return new ResultFolder(path, all, earlier);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    if (!this.#begun) await this.#begin();
    replaceFile(join(this.path, name), bytes);
  }

  /** Write result.json. */
  async finish(result: Uint8Array): Promise<void> {
    await this.write(RESULT, result);
    await rm(join(this.path, RUNNING), { force: true });
  }

  /** Remove what this run has written, as if it had not begun; the earlier run's files are gone. */
  async undo(): Promise<void> {
    if (!this.#begun) return;
    for (const name of [...this.files, RUNNING]) await rm(join(this.path, name), { force: true });
    for (const folder of this.#made) await rmdir(folder).catch(() => {}); // not if somebody else has put a file there
  }

  async #begin(): Promise<void> {
    try {
      this.#made = await makeFolder(this.path);
    } catch (cause) {
      throw new Sam2Error(this.path, "a folder that can be written", systemReason(cause), "choose another --out", {
        cause,
      });
    }
    this.#begun = true;
    const all = [...new Set([...this.#earlier, ...this.files])];
    replaceFile(join(this.path, RUNNING), new TextEncoder().encode(JSON.stringify({ files: all })));
    for (const name of this.#earlier) await rm(join(this.path, name), { force: true });
  }
}

/** Names of the files beside a list, as a run has written it; none of what is no such list. */
export async function namesIn(list: string): Promise<string[]> {
  try {
    const { files, model } = JSON.parse(await readFile(list, "utf8"));
    const isOurs = basename(list).startsWith(".") || model?.imageSize !== undefined;
    return isOurs && Array.isArray(files)
      ? files.filter((file) => typeof file === "string" && /^(?!\.\.?$)[^/\\]+$/.test(file))
      : [];
  } catch {
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
