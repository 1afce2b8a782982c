/** The models that this browser keeps, and the choice among all. */
import { cachedModels, type CheckpointSource, deleteCachedModel } from "sam2-ts";
import { type Store, store } from "../state/store.ts";
import { NANO, namedModel, SIZES } from "./models.ts";
import { keepCheckpoint, keptCheckpoint, keptCheckpoints, removeCheckpoint } from "./own_checkpoints.ts";
import { remember, remembered } from "./remembered.ts";
import type { ModelStatus } from "./status.ts";
import type { Session } from "./session.ts";

export interface Models {
  /** name → bytes; a visitor's own checkpoints have the names of their files */
  kept: Store<ReadonlyMap<string, number>>;
  /** at which the published models look at a picture, pixels */
  side: Store<number>;
  refresh(): Promise<void>;
  /** @returns is it in use now? */
  use(name: string): Promise<boolean>;
  useFile(file: File): Promise<void>;
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
  const side = store<number>(SIZES.find((one) => `${one.side}` === remembered(SIDE))?.side ?? SIZES[0].side);
  /** the file, if it is none that has a name */
  let file: File | undefined;
  const made: Models = {
    kept,
    side,
    async refresh() {
      kept.set(await allKept());
    },
    async use(name) {
      file = undefined;
      const isUsed = await session.useModel(name, await sourceOf(name), name === NANO ? undefined : sideUnlessOwn());
      if (isUsed) remember(LAST, name);
      await made.refresh();
      return isUsed;
    },
    async useFile(chosen) {
      file = chosen;
      if (!(await session.useModel(chosen.name, chosen))) return;
      remember(LAST, chosen.name); // without the file the next visit begins with nano
      try {
        await keepCheckpoint(chosen);
      } catch (error) {
        const isFull = (error as Error).name === "QuotaExceededError";
        const why = isFull ? "there is no room left on this device to keep it" : "this browser does not keep it";
        session.tell("notice", `${chosen.name} is in use, but ${why}: choose the file again at the next visit.`);
      }
      await made.refresh();
    },
    async remove(name) {
      await (namedModel(name) ? deleteCachedModel(name) : removeCheckpoint(name));
      await made.refresh();
    },
    async chooseSide(chosen) {
      side.set(chosen);
      remember(SIDE, `${chosen}`);
      const { model, coming } = session.status.get();
      if (coming || !hasSizes(model)) return;
      await session.useModel(model.name, file ?? (await sourceOf(model.name)), chosen);
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

async function allKept(): Promise<Map<string, number>> {
  const named = await cachedModels().catch(() => []);
  return new Map([...named.map(({ name, bytes }) => [name, bytes] as const), ...(await keptCheckpoints())]);
}

/** nano and what the page's own server has by address, a visitor's own as a file, all others by name. */
async function sourceOf(name: string): Promise<CheckpointSource> {
  if (name === NANO) return NANO_URL;
  if (name.includes("/")) return new URL(name, document.baseURI);
  return (await keptCheckpoint(name)) ?? name;
}

/** The model of the last visit if this browser still has it, so that no visit begins with a download. */
export async function lastModel(): Promise<string> {
  const last = remembered(LAST) ?? NANO;
  return (await allKept()).has(last) ? last : NANO;
}
