/**
 * What the engine's worker does: it owns the model, its memory and the predictors, and runs the synchronous graph. Objects
 * that a caller holds stay here and are known by a number, which the caller gives them.
 */
import { Sam2Error, UsageError } from "../errors.ts";
import { type Checkpoint, readCheckpoint } from "../io/checkpoint.ts";
import { decodeImage, type RgbImage } from "../io/image.ts";
import type { SentImage } from "../io/image_input.ts";
import type { StoredTensor } from "../io/tensor_file.ts";
import type { Sam2Config } from "../model/config.ts";
import { AutomaticMaskGenerator } from "../predict/automatic_masks.ts";
import { ImagePredictor } from "../predict/image_predictor.ts";
import type { Progress } from "../predict/progress.ts";
import { type LoadOptions, Sam2 } from "../predict/sam2.ts";
import { VideoPredictor } from "../predict/video_predictor.ts";
import { VideoState } from "../predict/video_state.ts";
import { platform } from "../platform/platform.ts";
import { numel } from "../tensor/shape.ts";
import type { Call, IndexedHandle, StreamHandle } from "./rpc.ts";

/**
 * Classes of predict/ whose objects live here. A method of theirs is called by its name: whoever adds one there declares it
 * once more, with its documentation, in client.ts.
 */
const PREDICTORS = { AutomaticMaskGenerator, ImagePredictor, VideoPredictor };

/** What a caller is told of a model. */
export interface ModelInfo {
  config: Sam2Config;
  digest: string;
  canTrack: boolean;
  threads: number;
  chosen: readonly string[];
}

/** A checkpoint as it crosses to the worker: URLs cannot. */
export type SentSource = string | Uint8Array | ArrayBuffer | Blob | { href: string };

/** A predictor, made when it is first used. */
export interface Handle {
  id: number;
  class: keyof typeof PREDICTORS;
  options: object;
}

/** A method of a predictor, with its arguments as they cross to the worker. */
export interface Invocation {
  predictor: Handle;
  method: string;
  args: readonly unknown[];
  /** the last argument of methods that may be aborted: it gets the call's signal */
  options?: object;
  /** does the caller want to know how far it has come? */
  isFollowed?: boolean;
}

/** Stands for a VideoState, which stays here. */
export interface SentState {
  stateId: number;
}

/** Frames that are read by number, and stayed with the caller. */
export interface SentFrames extends IndexedHandle<SentImage> {
  count: number;
}

/** What a caller is told of a video. */
export interface VideoInfo extends SentState {
  width: number;
  height: number;
  numFrames: number;
}

export type EngineService = ReturnType<typeof engineService>;

export function engineService() {
  let sam2: Sam2;
  const predictors = new Map<number, object>();
  const states = new Map<number, VideoState>();
  const walks = new Map<number, Walk>();

  const begin = (call: Call, invocation: Invocation, signal: AbortSignal): unknown => {
    const { predictor, method, args, options, isFollowed } = invocation;
    const { id, class: name, options: made } = predictor;
    const object = predictors.get(id) ?? new PREDICTORS[name](sam2, made);
    predictors.set(id, object);
    const unpacked = args.map((arg) => {
      if (isSent<SentState>(arg, "stateId")) return states.get(arg.stateId);
      if (isSent<SentFrames>(arg, "indexed")) return { ...call.indexed(arg), count: arg.count };
      return isSent<StreamHandle<unknown>>(arg, "stream") ? call.stream(arg) : arg;
    });
    if (options) unpacked.push({ ...options, signal, ...(isFollowed && { onProgress: teller(call) }) });
    return (object as Record<string, (...args: unknown[]) => unknown>)[method](...unpacked);
  };

  /** A state stays here, and the caller is told of it. */
  const keep = (state: VideoState): VideoInfo => {
    const stateId = states.size === 0 ? 0 : Math.max(...states.keys()) + 1;
    states.set(stateId, state);
    const { width, height, numFrames } = state;
    return { stateId, width, height, numFrames };
  };

  return {
    async load(
      call: Call,
      source: SentSource,
      { background, ...options }: Omit<LoadOptions, "signal" | "onProgress"> & { background?: boolean },
    ): Promise<ModelInfo> {
      const { signal } = call;
      if (background) platform.giveWay?.(); // before it has helpers, which do as their maker
      const tell = teller(call);
      const onProgress = (loaded: number, total = Number.NaN) =>
        tell({ stage: "download", fraction: total ? loaded / total : undefined });
      const url = isSent<{ href: string }>(source, "href") ? new URL(source.href) : source;
      const checkpoint = await typed("fromPretrained", signal, () => readCheckpoint(url, { signal, onProgress }));
      try {
        const load = () => Sam2.fromCheckpoint(counted(checkpoint, signal, tell), options);
        sam2 = await typed("fromPretrained", signal, load);
      } finally {
        checkpoint.close();
      }
      const { config, digest, canTrack, machine } = sam2;
      return { config, digest, canTrack, threads: machine.threads, chosen: machine.chosen };
    },

    decode(_: Call, bytes: Uint8Array): Promise<RgbImage> {
      return decodeImage(bytes);
    },

    async invoke(call: Call, invocation: Invocation): Promise<unknown> {
      const result = await typed(invocation.method, call.signal, () => begin(call, invocation, call.signal));
      if (result instanceof VideoState) return keep(result);
      if (isSent<{ state: VideoState }>(result, "state")) return { ...result, state: keep(result.state) };
      return result;
    },

    /** What a predictor knows, between two layers of whatever else is running. */
    ask(call: Call, invocation: Invocation): unknown {
      const { method } = invocation;
      try {
        return sam2.aside(() => begin(call, invocation, call.signal));
      } catch (cause) {
        throw expectOurs(method, call.signal, cause);
      }
    },

    /** The next item of a method that yields, or undefined after the last; the first call begins it. */
    async next(call: Call, as: number, invocation: Invocation): Promise<unknown> {
      const walk = walks.get(as) ?? beginWalk((signal) => begin(call, invocation, signal) as AsyncGenerator<unknown>);
      walks.delete(as);
      walk.follow(call.signal);
      const next = await typed(invocation.method, call.signal, () => walk.items.next());
      if (next.done) return undefined;
      walks.set(as, walk);
      return next.value;
    },
    async endWalk(_: Call, as: number): Promise<void> {
      await walks.get(as)?.items.return(undefined);
      walks.delete(as);
    },
    forget(_: Call, predictor: number): void {
      const object = predictors.get(predictor);
      if (object instanceof ImagePredictor) object.resetPredictor();
      predictors.delete(predictor);
    },
    closeState(_: Call, { stateId }: SentState): void {
      states.get(stateId)?.frames.close();
      states.delete(stateId);
    },
  };
}

async function typed<T>(method: string, signal: AbortSignal, run: () => T): Promise<Awaited<T>> {
  try {
    return await run();
  } catch (cause) {
    throw expectOurs(method, signal, cause);
  }
}

/** What is not thrown on purpose comes of arguments that nobody expected. */
function expectOurs(method: string, signal: AbortSignal, cause: unknown): unknown {
  if (cause instanceof Sam2Error || cause instanceof WebAssembly.RuntimeError || signal.aborted) return cause;
  const got = `some that give "${(cause as Error)?.message}"`;
  return new UsageError(method, "arguments as documented", got, "compare them with the documentation", { cause });
}

/** A method that yields, with a signal that follows that of the call under way. */
interface Walk {
  items: AsyncGenerator<unknown>;
  follow(signal: AbortSignal): void;
}

function beginWalk(begin: (signal: AbortSignal) => AsyncGenerator<unknown>): Walk {
  const controller = new AbortController();
  let current = controller.signal;
  const items = begin(Object.assign(controller.signal, { throwIfAborted: () => current.throwIfAborted() }));
  return {
    items,
    follow(signal) {
      current = signal;
      signal.addEventListener("abort", () => controller.abort());
    },
  };
}

function isSent<T extends object>(value: unknown, key: keyof T & string): value is T {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key); // a Blob has a method "stream"
}

/** Tells the caller of every further percent. */
function teller(call: Call): (progress: Progress) => void {
  let told = "";
  return ({ stage, fraction }) => {
    const percent = `${stage} ${fraction === undefined ? "" : Math.floor(100 * fraction)}`;
    if (percent === told) return;
    told = percent;
    call.progress({ stage, fraction: fraction && Math.min(1, fraction) } satisfies Progress);
  };
}

/** A checkpoint whose tensors tell how far loading has come, and stop when it is aborted. */
function counted(checkpoint: Checkpoint, signal: AbortSignal, tell: ReturnType<typeof teller>): Checkpoint {
  const total = [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + numel(shape), 0);
  let done = 0;
  const counting = (stored: StoredTensor): StoredTensor => ({
    ...stored,
    read(into) {
      signal.throwIfAborted();
      stored.read(into);
      done += numel(stored.shape);
      tell({ stage: "load", fraction: done / total });
    },
  });
  return { ...checkpoint, tensors: new Map([...checkpoint.tensors].map(([name, t]) => [name, counting(t)])) };
}
