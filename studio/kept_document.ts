import type { Page } from "playwright-core";
import { PATIENCE_MS } from "../tests/patience.ts";
import type { Document } from "./src/state/document.ts";

/** What the page keeps for the next visit, as soon as it is as wanted. */
export async function keptWhen(page: Page, isWanted: (doc: Document) => boolean): Promise<Document> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const doc = await page.evaluate(
      () =>
        new Promise<Document | undefined>((resolve) => {
          const opening = indexedDB.open("sam2-studio", 1);
          opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
          opening.onsuccess = () => {
            const get = opening.result.transaction("kept").objectStore("kept").get("open");
            get.onsuccess = () => {
              opening.result.close();
              resolve((get.result as { doc: Document } | undefined)?.doc);
            };
          };
        }),
    );
    if (doc && isWanted(doc)) return doc;
    if (Date.now() > deadline) throw new Error(`waited in vain; kept is ${JSON.stringify(doc)?.slice(0, 600)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
