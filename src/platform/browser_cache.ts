/**
 * Downloads that a browser keeps: in the page's private file system where there is one, else in the Cache API, which
 * cannot continue what was interrupted. A page that has neither (because it was not loaded over https) keeps nothing.
 */
import { CheckpointError } from "../errors.ts";
import { openBlob } from "./browser.ts";
import { counted, type Received, transfer } from "./transfer.ts";
import type { CacheOptions, DownloadOptions, OpenFile, Platform, RemoteFile } from "./types.ts";

const PLACE = "sam2-ts";

// Dedicated workers alone have it, and TypeScript's types for a page do not.
interface SyncAccessHandle {
  getSize(): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}
type FileInWorker = FileSystemFileHandle & { createSyncAccessHandle?(): Promise<SyncAccessHandle> };

/** What stands beside a file: which version it is, and whether it is whole. */
interface Note {
  validator: string;
  isWhole: boolean;
}

/** What `browserPlatform` has of the network: for the entries that load models, so that others are bundled without it. */
export const browserDownloads: Pick<Platform, "download" | "openCached" | "cachedBytes" | "removeCached"> = {
  download: async (url, options) => openBlob(await downloadBlob(url, options), url),
  openCached: openKept,
  cachedBytes: keptBytes,
  removeCached: removeKept,
};

/** The whole of an address, in memory or where the browser puts large Blobs. */
async function downloadBlob(url: string, { onProgress, ...options }: DownloadOptions): Promise<Blob> {
  const { chunks, total } = await transfer(url, { fetch: (...args) => fetch(...args), ...options });
  return new Response(streamOf(counted(chunks, total, onProgress))).blob();
}

/** A file from what this browser keeps, else from the network. */
async function openKept(remote: RemoteFile, options: CacheOptions): Promise<OpenFile> {
  const folder = await privateFolder();
  const get = () => (folder ? inFolder(folder, remote, options) : inCache(remote, options));
  // two tabs that want the same file: the second waits, and finds it
  return navigator.locks ? navigator.locks.request(`${PLACE}: ${remote.file}`, { signal: options.signal }, get) : get();
}

/** Bytes of what this browser keeps of a file; undefined if it keeps nothing of it. */
async function keptBytes({ file, pageUrl }: RemoteFile): Promise<number | undefined> {
  const handle = await (await anyFolder())?.getFileHandle(file).catch(() => undefined);
  if (handle) return (await handle.getFile()).size;
  const kept = await globalThis.caches?.match(pageUrl, { cacheName: PLACE }).catch(() => undefined);
  return kept && (await kept.blob()).size;
}

/** Forget a file, and what an interrupted attempt has left of it. */
async function removeKept({ file, pageUrl }: RemoteFile): Promise<void> {
  const folder = await anyFolder();
  for (const name of [noteName(file), file]) await folder?.removeEntry(name).catch(() => {}); // it may not be there
  if (await globalThis.caches?.has(PLACE).catch(() => false)) await (await caches.open(PLACE)).delete(pageUrl);
}

/** The folder where there is one, for those who do not write to it: a page may not. */
async function anyFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE);
  } catch {
    return undefined; // none, a private window, or no https
  }
}

/** Undefined where there is none, or where it cannot be written piece by piece. */
async function privateFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype)) return undefined;
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE, { create: true });
  } catch {
    return undefined; // a private window, or no https
  }
}

async function inFolder(
  folder: FileSystemDirectoryHandle,
  remote: RemoteFile,
  options: CacheOptions,
): Promise<OpenFile> {
  const { file, pageUrl } = remote;
  const handle: FileInWorker = await folder.getFileHandle(file, { create: true });
  const note = await readNote(folder, file);
  const open = async () => openBlob(await handle.getFile(), pageUrl);
  if (note?.isWhole) return open();

  const access = await handle.createSyncAccessHandle!();
  try {
    const old: Received | undefined =
      note && note.validator !== "" && access.getSize() > 0
        ? { bytes: access.getSize(), validator: note.validator }
        : undefined;
    const { signal, onProgress } = options;
    const { start, total, validator, chunks } = await transfer(
      pageUrl,
      { fetch: (...args) => fetch(...args), signal },
      old,
    );
    access.truncate(start);
    await writeNote(folder, file, { validator, isWhole: false });
    let at = start;
    for await (const chunk of chunks) {
      at += write(access, chunk, at, pageUrl);
      onProgress?.(at, total);
    }
    access.flush();
  } finally {
    access.close();
  }
  try {
    const opened = await open();
    options.check(opened);
    await writeNote(folder, file, { validator: "", isWhole: true });
    return opened;
  } catch (error) {
    await folder.removeEntry(noteName(file));
    await folder.removeEntry(file);
    throw error;
  }
}

function write(access: SyncAccessHandle, chunk: Uint8Array, at: number, url: string): number {
  let reason = "too little room";
  try {
    if (access.write(chunk, { at }) === chunk.length) return chunk.length;
  } catch (cause) {
    reason = (cause as Error).message;
  }
  throw new CheckpointError(
    url,
    "room for the file in the browser's storage",
    reason,
    "free some space on this device",
  );
}

async function readNote(folder: FileSystemDirectoryHandle, file: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await (await (await folder.getFileHandle(noteName(file))).getFile()).text()) as Note;
  } catch {
    return undefined; // none, or half written
  }
}

async function writeNote(folder: FileSystemDirectoryHandle, file: string, note: Note): Promise<void> {
  const handle: FileInWorker = await folder.getFileHandle(noteName(file), { create: true });
  const access = await handle.createSyncAccessHandle!();
  access.truncate(0);
  access.write(new TextEncoder().encode(JSON.stringify(note)), { at: 0 });
  access.flush();
  access.close();
}

const noteName = (file: string) => `${file}.json`;

async function inCache(remote: RemoteFile, options: CacheOptions): Promise<OpenFile> {
  const { pageUrl } = remote;
  const cache = await globalThis.caches?.open(PLACE).catch(() => undefined);
  const kept = await cache?.match(pageUrl);
  if (kept) return openBlob(await kept.blob(), pageUrl);
  const blob = await downloadBlob(pageUrl, options);
  const opened = await openBlob(blob, pageUrl);
  options.check(opened);
  await cache?.put(pageUrl, new Response(blob)).catch(() => {}); // no room: it is used all the same
  return opened;
}

function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value as Uint8Array<ArrayBuffer>);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}
