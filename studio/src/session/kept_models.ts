/** The models that this browser keeps, and the choice among all. */
import { cachedModels, deleteCachedModel } from "sam2-ts";
import { type Store, store } from "../state/store.ts";
import { NANO, SIZES } from "./models.ts";
import type { ModelStatus } from "./status.ts";
import type { Session } from "./session.ts";

export interface Models {
  /** name → bytes */
  kept: Store<ReadonlyMap<string, number>>;
  /** at which the published models look at a picture, pixels */
  side: Store<number>;
  refresh(): Promise<void>;
  use(name: string): Promise<void>;
  useFile(file: File): void;
  remove(name: string): Promise<void>;
  /** For the model in use too, if it is one that has the choice. */
  chooseSide(side: number): Promise<void>;
}

const NANO_URL = new URL("../../../models/nano/nano.safetensors", import.meta.url);
/** The model of the last visit. */
const LAST = "sam2-model";
/** The choice of a size. */
const SIDE = "sam2-image-size";

export function models(session: Session): Models {
  const kept = store<ReadonlyMap<string, number>>(new Map());
  const side = store<number>(SIZES.find((one) => `${one.side}` === localStorage.getItem(SIDE))?.side ?? SIZES[0].side);
  /** the file, if it is none that has a name */
  let file: File | undefined;
  const made: Models = {
    kept,
    side,
    async refresh() {
      kept.set(new Map((await cachedModels()).map(({ name, bytes }) => [name, bytes])));
    },
    async use(name) {
      localStorage.setItem(LAST, name);
      file = undefined;
      await session.useModel(name, sourceOf(name), name === NANO ? undefined : sideUnlessOwn());
      await made.refresh();
    },
    useFile(chosen) {
      file = chosen;
      void session.useModel(chosen.name, chosen);
    },
    async remove(name) {
      await deleteCachedModel(name);
      await made.refresh();
    },
    async chooseSide(chosen) {
      side.set(chosen);
      localStorage.setItem(SIDE, `${chosen}`);
      const { model, coming } = session.status.get();
      if (coming || !hasSizes(model)) return;
      await session.useModel(model.name, file ?? sourceOf(model.name), chosen);
    },
  };
  return made;

  /** A model loads at its own size unless told otherwise, whatever that is. */
  function sideUnlessOwn(): number | undefined {
    return side.get() === SIZES[0].side ? undefined : side.get();
  }
}

/** Has a model that is ready the choice of a size? */
export function hasSizes({ state, side }: ModelStatus): boolean {
  return state === "ready" && SIZES.some((one) => one.side === side);
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
