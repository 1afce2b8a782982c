/** How long the model in use takes for a picture here: what other models and sizes take follows from it. */
import { ImagePredictor } from "sam2-ts";
import type { Store } from "../state/store.ts";
import type { Loaded, LoadedModel } from "./loaded_model.ts";
import { expectedMs, type Measured, NANO } from "./models.ts";
import type { Status } from "./status.ts";

/** A model that takes longer for a picture previews nothing in videos. */
const QUICK_MS = 400;

export interface Speed {
  /** With what a picture took; the first takes longer. */
  withTime(model: Loaded, ms: number): Measured[];
  /** A short run, unless a picture was looked at already. */
  measure(): Promise<void>;
  /** May a frame be looked at just to preview masks on it? */
  isQuick(): boolean;
}

interface Surroundings {
  model: LoadedModel;
  status: Store<Status>;
  change(changed: Partial<Status>): void;
}

export function speed({ model, status, change }: Surroundings): Speed {
  function withTime({ name, sam2 }: Loaded, ms: number): Measured[] {
    const side = sam2.config.imageSize;
    const { measured } = status.get();
    const before = measured.find((one) => one.name === name && one.side === side)?.ms ?? ms;
    return [{ name, side, ms: Math.min(ms, before) }, ...measured.filter((one) => one.name !== name)];
  }

  return {
    withTime,
    async measure() {
      if (status.get().measured.length > 0) return;
      await model.attempt(async (used) => {
        const predictor = new ImagePredictor(used.sam2);
        for (let run = 0, ms = 0; run < 2 && ms < QUICK_MS; run++) {
          const start = performance.now();
          await predictor.setImage({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) });
          ms = performance.now() - start;
          change({ measured: withTime(used, ms) });
        }
        await predictor.resetPredictor();
      });
    },
    isQuick() {
      const { name, sam2 } = model.current!;
      const ms = expectedMs(name, sam2.config.imageSize, status.get().measured);
      return ms === undefined ? name === NANO : ms < QUICK_MS;
    },
  };
}
