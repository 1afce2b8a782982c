import { closeSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenFile, Platform } from "./platform.ts";

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

export const nodePlatform: Platform = {
  readFile,
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
};
