/** The model in use: loaded, replaced by another one, started again after its worker died. */
import { AutomaticMaskGenerator, type CheckpointSource, EngineError, ImagePredictor, Sam2 } from "sam2-ts";
import { NANO, namedModel } from "./models.ts";
import { isAbort } from "./problems.ts";
import { NOTHING_FOUND, type Status } from "./status.ts";

/** So many times a model that stopped is asked again by itself. */
const MOST_DEATHS = 3;
/** A side of the grid of points for everything: nano's answers are few and quick, others take long. */
const GRID = { nano: 16, others: 24 };

export interface Options {
  kernels?: "auto" | "portable";
  threads?: number;
}

export interface Loaded {
  name: string;
  source: CheckpointSource;
  /** as it was asked for */
  side: number | undefined;
  sam2: Sam2;
  predictor: ImagePredictor;
  generator: AutomaticMaskGenerator;
}

export interface LoadedModel {
  readonly current: Loaded | undefined;
  /** @param side `imageSize` of the model, if it is not to be its own. @returns is it in use now? */
  use(name: string, source: CheckpointSource, side?: number): Promise<boolean>;
  /** What a call came to; undefined if it was aborted or failed, which is told. */
  attempt<R>(call: (model: Loaded) => Promise<R>): Promise<R | undefined>;
  /** What it died of is not asked any more. */
  forgive(): void;
}

interface Surroundings {
  options: Options;
  change(changed: Partial<Status>): void;
  problem(error: unknown): void;
  notice(text: string): void;
  /** @param isFirst was there none before? @param isToLook may it look at the picture, or does it die of that? */
  onUse(isFirst: boolean, isToLook: boolean): void;
}

export function loadedModel({ options, change, problem, notice, onUse }: Surroundings): LoadedModel {
  let model: Loaded | undefined;
  /** the latest load counts */
  let loads = 0;
  /** of the model's worker, since the document changed */
  let deaths = 0;

  async function use(name: string, source: CheckpointSource, side?: number): Promise<boolean> {
    const load = ++loads;
    const label = namedModel(name)?.label ?? name;
    const isFirst = model === undefined;
    change({ coming: { name, label, stage: "load", fraction: undefined } });
    change(isFirst ? { model: { name, label, state: "loading" } } : { problem: undefined });
    try {
      const sam2 = await Sam2.fromPretrained(source, {
        ...options,
        imageSize: side,
        onProgress: ({ stage, fraction }) =>
          change({ coming: { name, label, stage: stage === "download" ? "download" : "load", fraction } }),
      });
      if (load !== loads) {
        await sam2.dispose(); // another one was chosen meanwhile
        return false;
      }
      const before = model;
      const pointsPerSide = name === NANO ? GRID.nano : GRID.others;
      model = {
        name,
        source,
        side,
        sam2,
        predictor: new ImagePredictor(sam2),
        generator: new AutomaticMaskGenerator(sam2, { pointsPerSide }),
      };
      change({
        model: { name, label, state: "ready", side: sam2.config.imageSize },
        coming: undefined,
        threads: sam2.threads,
        everything: NOTHING_FOUND,
      });
      await before?.sam2.dispose();
      onUse(isFirst, deaths < MOST_DEATHS);
      return true;
    } catch (error) {
      if (load !== loads) return false;
      change({ coming: undefined });
      if (isFirst) change({ model: { name, label, state: "failed" } });
      problem(error);
      return false;
    }
  }

  /** The same model anew, and the same picture, unless that is what it dies of. */
  async function recover(dead: Loaded): Promise<void> {
    if (model !== dead) return;
    model = undefined;
    deaths++;
    if (deaths === MOST_DEATHS) change({ picture: "none" });
    if (!(await use(dead.name, dead.source, dead.side))) return;
    if (deaths < MOST_DEATHS) notice("The model stopped and was started again. Nothing is lost.");
    else
      problem(new Error("The model stops here each time. Nothing is lost; try another model, or a smaller picture."));
  }

  return {
    get current() {
      return model;
    },
    use,
    async attempt(call) {
      const used = model;
      if (!used) return undefined;
      try {
        return await call(used);
      } catch (error) {
        if (used !== model || isAbort(error)) return undefined;
        if (error instanceof EngineError) await recover(used);
        else problem(error);
        return undefined;
      }
    },
    forgive() {
      deaths = 0;
    },
  };
}
