/** Checkpoints that a visitor has chosen as files: copies of them in the page's private file system, by their names. */

const PLACE = "sam2-studio";

/** @throws Error if this browser has none, or there is no room */
export async function keepCheckpoint(file: File): Promise<void> {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE, { create: true });
  const writable = await (await folder.getFileHandle(file.name, { create: true })).createWritable();
  try {
    await writable.write(file);
    await writable.close(); // until then an older copy stays as it is
  } catch (error) {
    await writable.abort().catch(() => {}); // it may be closed by its failure
    const isEmpty = (await keptCheckpoint(file.name))?.size === 0;
    if (isEmpty) await folder.removeEntry(file.name).catch(() => {}); // it may still be locked
    throw error;
  }
}

export async function keptCheckpoint(name: string): Promise<File | undefined> {
  try {
    return await (await (await place())!.getFileHandle(name)).getFile();
  } catch {
    return undefined;
  }
}

/** Name → bytes, of those that are whole: one that is being written is empty until then. */
export async function keptCheckpoints(): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const [name, handle] of (await place())?.entries() ?? []) {
    const { size } = await (handle as FileSystemFileHandle).getFile();
    if (size > 0) found.set(name, size);
  }
  return found;
}

export async function removeCheckpoint(name: string): Promise<void> {
  await (await place())?.removeEntry(name);
}

/** Undefined in a private window, without https, or if nothing was kept yet. */
async function place(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE);
  } catch {
    return undefined;
  }
}
