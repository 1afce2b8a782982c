/**
 * What the engine's worker does: it owns the model, its memory and the predictors, and runs the synchronous graph. Objects
 * that a caller holds stay here and are known by a number, which the caller gives them.
 */
import { type Checkpoint, readCheckpoint } from "../io/checkpoint.ts";
import type { ImageInput } from "../io/image_input.ts";
import type { StoredTensor } from "../io/tensor_file.ts";
import type { Sam2Config } from "../model/config.ts";
import { ImagePredictor, type ImagePredictorOptions, type PredictOptions } from "../predict/image_predictor.ts";
import type { Prompt } from "../predict/prompt.ts";
import { type LoadOptions, Sam2 } from "../predict/sam2.ts";
import {
  type FrameResult,
  type InitOptions,
  type NewMask,
  type NewPoints,
  type Place,
  type PropagateOptions,
  VideoPredictor,
  type VideoPredictorOptions,
} from "../predict/video_predictor.ts";
import type { VideoState } from "../predict/video_state.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import type { Call, StreamHandle } from "./rpc.ts";

/** How far a call has come. */
export interface Progress {
  /** what is going on */
  stage: "download" | "load" | "encode";
  /** 0…1 of the bytes, the weights or the multiply-adds; undefined if a server does not tell how long its file is */
  fraction: number | undefined;
}

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
export type SentFrames = string | readonly ImageInput[] | StreamHandle<ImageInput>;
type Without<T> = Omit<T, "signal" | "onProgress">;

/** An object that stays here, made when it is first used. */
export interface Handle<Options> {
  id: number;
  options: Options;
}
type Images = Handle<ImagePredictorOptions>;
type Videos = Handle<VideoPredictorOptions>;

/** What a caller is told of a video. */
export interface VideoInfo {
  width: number;
  height: number;
  numFrames: number;
}

export type EngineService = ReturnType<typeof engineService>;

export function engineService() {
  let sam2: Sam2;
  let macsOfImage: number;
  const images = new Map<number, ImagePredictor>();
  const videos = new Map<number, VideoPredictor>();
  const states = new Map<number, VideoState>();
  const walks = new Map<number, Walk>();

  const imagePredictor = ({ id, options }: Images) => made(images, id, () => new ImagePredictor(sam2, options));
  const videoPredictor = ({ id, options }: Videos) => made(videos, id, () => new VideoPredictor(sam2, options));
  const framesOf = (call: Call, video: SentFrames) =>
    typeof video === "object" && "stream" in video ? call.stream(video) : video;
  const infoOf = ({ width, height, numFrames }: VideoState): VideoInfo => ({ width, height, numFrames });

  return {
    async load(call: Call, source: SentSource, options: Without<LoadOptions>): Promise<ModelInfo> {
      const { signal } = call;
      const tell = teller(call);
      const onProgress = (loaded: number, total = Number.NaN) => tell("download", loaded / total);
      const checkpoint = await readCheckpoint(isUrl(source) ? new URL(source.href) : source, { signal, onProgress });
      try {
        sam2 = await Sam2.fromCheckpoint(counted(checkpoint, signal, tell), options);
      } finally {
        checkpoint.close();
      }
      macsOfImage = countMacs(sam2);
      const { config, digest, canTrack, machine } = sam2;
      return { config, digest, canTrack, threads: machine.threads, chosen: machine.chosen };
    },

    async setImageBatch(call: Call, handle: Images, batch: readonly ImageInput[]): Promise<void> {
      const { machine } = sam2;
      const tell = teller(call);
      const before = machine.macs;
      machine.onLayer = () => tell("encode", (machine.macs - before) / (batch.length * macsOfImage));
      try {
        await imagePredictor(handle).setImageBatch(batch, call);
      } finally {
        machine.onLayer = undefined;
      }
    },
    predict: ({ signal }: Call, handle: Images, prompt: Prompt, options: Without<PredictOptions>) =>
      imagePredictor(handle).predict(prompt, { ...options, signal }),
    predictAll: ({ signal }: Call, handle: Images, prompts: readonly Prompt[], options: Without<PredictOptions>) =>
      imagePredictor(handle).predict(prompts, { ...options, signal }),
    predictBatch(
      { signal }: Call,
      handle: Images,
      batch: readonly (readonly Prompt[])[],
      options: Without<PredictOptions>,
    ) {
      return imagePredictor(handle).predictBatch(batch, { ...options, signal });
    },
    getImageEmbedding: (_: Call, handle: Images) => imagePredictor(handle).getImageEmbedding(),
    resetPredictor: (_: Call, handle: Images) => imagePredictor(handle).resetPredictor(),
    async initState(call: Call, handle: Videos, as: number, video: SentFrames, options: Without<InitOptions>) {
      const state = await videoPredictor(handle).initState(framesOf(call, video), { ...options, signal: call.signal });
      states.set(as, state);
      return infoOf(state);
    },
    addNewPointsOrBox: ({ signal }: Call, handle: Videos, at: number, prompt: Without<NewPoints>) =>
      videoPredictor(handle).addNewPointsOrBox(states.get(at)!, { ...prompt, signal }),
    addNewMask: ({ signal }: Call, handle: Videos, at: number, prompt: Without<NewMask>) =>
      videoPredictor(handle).addNewMask(states.get(at)!, { ...prompt, signal }),
    /** The next frame of a pass, or undefined after the last; the first call begins it. */
    async propagate({ signal }: Call, handle: Videos, at: number, as: number, options: Without<PropagateOptions>) {
      const begin = () =>
        beginWalk((signal) => videoPredictor(handle).propagateInVideo(states.get(at)!, { ...options, signal }));
      const walk = walks.get(as) ?? begin();
      walks.delete(as);
      walk.follow(signal);
      const next = await walk.frames.next();
      if (next.done) return undefined;
      walks.set(as, walk);
      return next.value;
    },
    async endPropagation(_: Call, at: number): Promise<void> {
      await walks.get(at)?.frames.return(undefined);
      walks.delete(at);
    },
    clearAllPromptsInFrame: (_: Call, handle: Videos, at: number, place: Place) =>
      videoPredictor(handle).clearAllPromptsInFrame(states.get(at)!, place),
    resetState: (_: Call, handle: Videos, at: number) => videoPredictor(handle).resetState(states.get(at)!),
    removeObject: (_: Call, handle: Videos, at: number, object: number) =>
      videoPredictor(handle).removeObject(states.get(at)!, object),
    encodeState: (_: Call, handle: Videos, at: number, note: string) =>
      videoPredictor(handle).encodeState(states.get(at)!, note),
    saveState: (_: Call, handle: Videos, at: number, path: string, note: string) =>
      videoPredictor(handle).saveState(states.get(at)!, path, note),
    async loadState(call: Call, handle: Videos, as: number, saved: string | Uint8Array, video: SentFrames) {
      const { state, note } = await videoPredictor(handle).loadState(saved, framesOf(call, video), call);
      states.set(as, state);
      return { note, ...infoOf(state) };
    },
    closeState(_: Call, at: number): void {
      states.delete(at);
    },
  };
}

/** A pass through a video, with a signal that follows that of the call under way. */
interface Walk {
  frames: AsyncGenerator<FrameResult>;
  follow(signal: AbortSignal): void;
}

function beginWalk(begin: (signal: AbortSignal) => AsyncGenerator<FrameResult>): Walk {
  const controller = new AbortController();
  let current = controller.signal;
  const frames = begin(Object.assign(controller.signal, { throwIfAborted: () => current.throwIfAborted() }));
  return {
    frames,
    follow(signal) {
      current = signal;
      signal.addEventListener("abort", () => controller.abort());
    },
  };
}

function made<T>(objects: Map<number, T>, id: number, make: () => T): T {
  const object = objects.get(id) ?? make();
  objects.set(id, object);
  return object;
}

function isUrl(source: SentSource): source is { href: string } {
  return typeof source === "object" && "href" in source;
}

/** Tells the caller of every further percent. */
function teller(call: Call): (stage: Progress["stage"], fraction: number) => void {
  let told = "";
  return (stage, fraction) => {
    const percent = `${stage} ${Math.floor(100 * fraction)}`;
    if (percent === told) return;
    told = percent;
    const known = Number.isNaN(fraction) ? undefined : Math.min(1, fraction);
    call.progress({ stage, fraction: known } satisfies Progress);
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
      tell("load", done / total);
    },
  });
  return { ...checkpoint, tensors: new Map([...checkpoint.tensors].map(([name, t]) => [name, counting(t)])) };
}

/** Multiply-adds of an image's features: the graph is walked with kernels that do nothing. */
function countMacs(sam2: Sam2): number {
  const { machine, config } = sam2;
  const idle = Object.fromEntries(Object.keys(machine.kernels).map((name) => [name, () => {}]));
  const dry = { ...machine, kernels: idle as unknown as typeof machine.kernels, macs: 0 };
  sam2.run(({ forwardImage }) => {
    withMachine(dry, () => forwardImage(dry.heap.alloc([1, config.imageSize, config.imageSize, 3])));
  });
  return dry.macs;
}
