/** The models that this browser keeps, and the choice among all. */
import { cachedModels, deleteCachedModel } from "sam2-ts";
import { type Store, store } from "../state/store.ts";
import { NANO } from "./models.ts";
import type { Session } from "./session.ts";

export interface Models {
  /** name → bytes */
  kept: Store<ReadonlyMap<string, number>>;
  refresh(): Promise<void>;
  use(name: string): Promise<void>;
  useFile(file: File): void;
  remove(name: string): Promise<void>;
}

const NANO_URL = new URL("../../../models/nano/nano.safetensors", import.meta.url);
/** The model of the last visit. */
const LAST = "sam2-model";

export function models(session: Session): Models {
  const kept = store<ReadonlyMap<string, number>>(new Map());
  const made: Models = {
    kept,
    async refresh() {
      kept.set(new Map((await cachedModels()).map(({ name, bytes }) => [name, bytes])));
    },
    async use(name) {
      localStorage.setItem(LAST, name);
      await session.useModel(name, sourceOf(name));
      await made.refresh();
    },
    useFile(file) {
      void session.useModel(file.name, file);
    },
    async remove(name) {
      await deleteCachedModel(name);
      await made.refresh();
    },
  };
  return made;
}

/** nano and what the page's own server has by address, all others by name. */
function sourceOf(name: string): string | URL {
  if (name === NANO) return NANO_URL;
  return name.includes("/") ? new URL(name, document.baseURI) : name;
}

/** The model of the last visit if this browser still has it, so that no visit begins with a download. */
export async function lastModel(): Promise<string> {
  const last = localStorage.getItem(LAST) ?? NANO;
  const isKept = (await cachedModels().catch(() => [])).some(({ name }) => name === last);
  return isKept ? last : NANO;
}
