/** What was dropped: files, or those that lie in a folder, whatever lies deeper. */
export async function dropped({ items, files }: DataTransfer): Promise<{ files: File[]; folder?: string }> {
  const plain = [...files]; // both lists are empty once this function has waited
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  const folder = entries.find((entry) => entry.isDirectory) as FileSystemDirectoryEntry | undefined;
  if (!folder) return { files: plain };
  const found: File[] = [];
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return { files: found, folder: folder.name };
    for (const entry of some) {
      if (!entry.isFile) continue;
      found.push(await new Promise((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}
