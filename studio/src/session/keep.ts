/** What was open comes back at the next visit: the document and its picture, in IndexedDB. One of each, of a bounded size. */
import type { Media } from "../media/media.ts";
import type { Document } from "../state/document.ts";

const NAME = "sam2-studio";
const STORE = "kept";
/** A larger file is not kept. @units bytes */
const MOST_BYTES = 2 ** 28;

export interface Kept {
  /** tells versions of this page apart that keep it differently */
  version: 2;
  doc: Document;
  /** none of what is drawn */
  files: readonly Blob[];
}

export async function keep(doc: Document, media: Media): Promise<void> {
  const { files } = media;
  if (files.reduce((sum, { size }) => sum + size, 0) > MOST_BYTES) return forget();
  const kept: Kept = { version: 2, doc: { ...doc, dialog: undefined, panel: "objects" }, files };
  await inStore("readwrite", (objects) => objects.put(kept, "open"));
}

export async function kept(): Promise<Kept | undefined> {
  const found = (await inStore("readonly", (objects) => objects.get("open"))) as Kept | undefined;
  return found?.version === 2 ? found : undefined;
}

export async function forget(): Promise<void> {
  await inStore("readwrite", (objects) => objects.delete("open"));
}

async function inStore<R>(mode: IDBTransactionMode, use: (objects: IDBObjectStore) => IDBRequest<R>): Promise<R> {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await answered(opening);
  try {
    return await answered(use(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function answered<R>(request: IDBRequest<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error!);
  });
}
