/**
 * What was open comes back at the next visit: the document and its files, in IndexedDB. One of each, of a bounded size. Files
 * are written when another picture is opened, the document after each change.
 */
import { lasting } from "../media/camera.ts";
import type { Media } from "../media/media.ts";
import type { Document } from "../state/document.ts";

const NAME = "sam2-studio";
const STORE = "kept";
/** Larger files are not kept. @units bytes */
const MOST_BYTES = 2 ** 28;

export interface Kept {
  /** tells versions of this page apart that keep it differently */
  version: 3;
  doc: Document;
}

/** They belong to the document with this source. */
interface KeptFiles {
  source: string;
  /** none of what is drawn */
  files: readonly Blob[];
}

/** @throws Error in one sentence for a visitor, if it will not come back */
export async function keep(doc: Document, media: Media): Promise<void> {
  const { source, files } = await lasting(media);
  const kept: Kept = { version: 3, doc: { ...doc, source, dialog: undefined, panel: "objects" } };
  const isLarge = files.reduce((sum, { size }) => sum + size, 0) > MOST_BYTES;
  try {
    const isNew = (await keptFiles())?.source !== source.id;
    if (isNew) await forget(); // there may be room for one alone, and of two the old one must not come back
    if (isLarge) throw new Error();
    await inStore("readwrite", (objects) => {
      if (isNew || media.source.kind === "camera") {
        objects.put({ source: source.id, files } satisfies KeptFiles, "files");
      }
      return objects.put(kept, "open");
    });
  } catch (error) {
    const isFull = (error as Error).name === "QuotaExceededError";
    const why = isLarge
      ? `${source.name} is too large to be kept`
      : isFull
        ? "There is no room left on this device"
        : "This browser keeps nothing here";
    throw new Error(`${why}: what is made now does not come back after a reload. Save the project to go on later.`);
  }
}

/** What was open at the last visit. */
export async function kept(): Promise<{ doc: Document; files: readonly Blob[] } | undefined> {
  const found = await inStore<Kept | undefined>("readonly", (objects) => objects.get("open"));
  const beside = await keptFiles();
  if (found?.version !== 3 || beside?.source !== found.doc.source?.id) return undefined;
  return { doc: found.doc, files: beside!.files };
}

function keptFiles(): Promise<KeptFiles | undefined> {
  return inStore("readonly", (objects) => objects.get("files"));
}

async function forget(): Promise<void> {
  await inStore("readwrite", (objects) => objects.clear());
}

/** What is written is there when the transaction is over, and not before. */
async function inStore<R>(mode: IDBTransactionMode, use: (objects: IDBObjectStore) => IDBRequest): Promise<R> {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await answered(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const request = use(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? request.error!);
    });
    return request.result as R;
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
