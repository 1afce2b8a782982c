/**
 * What users hold: the model and the predictors as promises. The model lives in a worker of its own (service.ts), so that
 * the caller's thread never computes; names and meanings are those of predict/.
 */
import { CheckpointError } from "../errors.ts";
import type { CheckpointSource } from "../io/checkpoint.ts";
import { unnamedModel } from "../io/demo_model.ts";
import type { ImageInput } from "../io/image_input.ts";
import type { Sam2Config } from "../model/config.ts";
import { platform } from "../platform/platform.ts";
import type { FrameInput } from "../video/open.ts";
import type { ImagePredictorOptions, Prediction, PredictOptions } from "../predict/image_predictor.ts";
import type { Prompt } from "../predict/prompt.ts";
import type { LoadOptions as ThreadLoadOptions } from "../predict/sam2.ts";
import type {
  FrameResult,
  InitOptions,
  NewMask,
  NewPoints,
  Place,
  PropagateOptions,
  VideoPredictorOptions,
} from "../predict/video_predictor.ts";
import { buffersOf, Client, type CallOptions as RpcOptions } from "./rpc.ts";
import type { EngineService, Handle, ModelInfo, Progress, SentFrames, VideoInfo } from "./service.ts";

/** Options of calls that take long. */
export interface CallOptions {
  /** ends the call within one layer, while loading or downloading at once: it rejects with the reason of the signal */
  signal?: AbortSignal;
  /** called now and then while the call goes on */
  onProgress?: (progress: Progress) => void;
  /** Give the bytes that are passed in away instead of copying them: their buffers are empty afterwards. */
  transfer?: boolean;
}

/** Options of `Sam2.fromPretrained`. */
export interface LoadOptions extends Omit<ThreadLoadOptions, "onProgress" | "signal">, CallOptions {}

type Engine = Client<EngineService>;

/** Kept from users. */
const engines = new WeakMap<Sam2, Engine>();
const stateIds = new WeakMap<VideoState, number>();
let ids = 0;

/**
 * A model in a worker of its own. Calls run in the order in which they were made; up to 64 may wait, and more are rejected
 * with QueueError.
 *
 * @example
 * await using sam2 = await Sam2.fromPretrained("sam2.1_hiera_tiny.pt");
 */
export class Sam2 {
  /** sizes, image size, version and name of the model */
  readonly config: Sam2Config;
  /** tells checkpoints apart, whatever the file's format */
  readonly digest: string;
  /** Has the model what video needs? */
  readonly canTrack: boolean;
  /** threads that compute, the worker's own included */
  readonly threads: number;
  /** Which kernels, register tile and threads were chosen, and why, line by line. */
  readonly chosen: readonly string[];

  private constructor(engine: Engine, { config, digest, canTrack, threads, chosen }: ModelInfo) {
    engines.set(this, engine);
    this.config = config;
    this.digest = digest;
    this.canTrack = canTrack;
    this.threads = threads;
    this.chosen = chosen;
  }

  /**
   * Load Meta's `.pt`, or `.safetensors` with Meta's or transformers' names: a path, a URL, or bytes. Without a source
   * it is nano, the demo model of the package, and the console says so once.
   *
   * @throws CheckpointError if it is no complete SAM 2 checkpoint; the signal's reason if aborted
   */
  static async fromPretrained(source?: CheckpointSource, options: LoadOptions = {}): Promise<Sam2> {
    const from = source ?? unnamedModel();
    const engine: Engine = new Client((events) => platform.startWorker("engine", events));
    const { signal: _, onProgress: __, transfer: ___, ...others } = options;
    const sent = from instanceof URL ? { href: from.href } : from;
    try {
      return new Sam2(engine, await engine.call("load", [sent, others], rpcOptions(options, [from])));
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** End the worker at once and give all its memory back. Calls under way are rejected with EngineError. */
  async dispose(): Promise<void> {
    await engines.get(this)!.stop();
  }

  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/**
 * Encode an image once, then ask for as many masks as wanted.
 *
 * @example
 * const predictor = new ImagePredictor(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
 * await predictor.setImage("truck.jpg");
 * const { masks, iouPredictions } = await predictor.predict({ points: [[500, 375]] });
 *
 * @source sam2/sam2_image_predictor.py, SAM2ImagePredictor
 */
export class ImagePredictor {
  readonly #engine: Engine;
  readonly #handle: Handle<ImagePredictorOptions>;

  /** Several may share a model. */
  constructor(sam2: Sam2, options: ImagePredictorOptions = {}) {
    this.#engine = engines.get(sam2)!;
    this.#handle = { id: ids++, options };
  }

  /**
   * Encode an image; it replaces the one before.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  setImage(image: ImageInput, options: CallOptions = {}): Promise<void> {
    return this.setImageBatch([image], options);
  }

  /** Encode several images for `predictBatch`; they replace those before. */
  setImageBatch(images: readonly ImageInput[], options: CallOptions = {}): Promise<void> {
    return this.#engine.call("setImageBatch", [this.#handle, images.map(sendable)], rpcOptions(options, images));
  }

  /**
   * Masks for one prompt, or for several on the same image.
   *
   * @throws PromptError if a prompt is empty, inconsistent, or outside of the image
   */
  predict(prompt: Prompt, options?: PredictOptions): Promise<Prediction>;
  predict(prompts: readonly Prompt[], options?: PredictOptions): Promise<Prediction[]>;
  predict(
    prompts: Prompt | readonly Prompt[],
    { signal, ...options }: PredictOptions = {},
  ): Promise<Prediction | Prediction[]> {
    return isList(prompts)
      ? this.#engine.call("predictAll", [this.#handle, prompts, options], { signal })
      : this.#engine.call("predict", [this.#handle, prompts, options], { signal });
  }

  /** Masks for each image of `setImageBatch`: one list of prompts an image. */
  predictBatch(
    batch: readonly (readonly Prompt[])[],
    { signal, ...options }: PredictOptions = {},
  ): Promise<Prediction[][]> {
    return this.#engine.call("predictBatch", [this.#handle, batch, options], { signal });
  }

  /**
   * The stride-16 features of the image, or of each image of a batch, channels last.
   *
   * @shape [B, H/16, W/16, D], with H = W = `config.imageSize`
   * @throws UsageError if no image was set
   */
  getImageEmbedding(): Promise<{
    /** B, H/16, W/16, D */
    shape: number[];
    /** row by row */
    data: Float32Array;
  }> {
    return this.#engine.call("getImageEmbedding", [this.#handle]);
  }

  /** Forget the image and give its memory back. */
  resetPredictor(): Promise<void> {
    return this.#engine.call("resetPredictor", [this.#handle]);
  }
}

/** What is known of one video. Made by `VideoPredictor.initState`. */
export class VideoState {
  /** pixels of a frame */
  readonly width: number;
  /** pixels of a frame */
  readonly height: number;
  /** Frames of the video; Infinity while it streams. */
  readonly numFrames: number;
  readonly #engine: Engine;

  /** @internal */
  constructor(engine: Engine, id: number, { width, height, numFrames }: VideoInfo) {
    this.#engine = engine;
    this.width = width;
    this.height = height;
    this.numFrames = numFrames;
    stateIds.set(this, id);
  }

  /** Forget the video and give its memory back. */
  dispose(): Promise<void> {
    return this.#engine.call("closeState", [stateIds.get(this)!]);
  }

  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/**
 * Say on some frames what the objects are, then follow them through the video.
 *
 * @example
 * const predictor = new VideoPredictor(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
 * const state = await predictor.initState("frames");
 * await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[210, 350]] });
 * for await (const { frame, objects } of predictor.propagateInVideo(state)) …
 *
 * @source sam2/sam2_video_predictor.py, SAM2VideoPredictor
 */
export class VideoPredictor {
  readonly #engine: Engine;
  readonly #handle: Handle<VideoPredictorOptions>;

  /** @throws CheckpointError if the model was trained for images alone */
  constructor(sam2: Sam2, options: VideoPredictorOptions = {}) {
    expectTracking(sam2);
    this.#engine = engines.get(sam2)!;
    this.#handle = { id: ids++, options };
  }

  /**
   * Open a video: a folder of frames named by number, a list of images, or images that arrive one by one.
   *
   * @throws ImageError if there is no frame, or the first one cannot be read
   */
  async initState(video: FrameInput, { signal, ...options }: InitOptions = {}): Promise<VideoState> {
    const id = ids++;
    const info = await this.#engine.call("initState", [this.#handle, id, this.#send(video), options], { signal });
    return new VideoState(this.#engine, id, info);
  }

  /**
   * Say where an object is on a frame, or correct what was tracked of it. The box counts before the points.
   *
   * @returns the masks of all objects on this frame
   * @throws PromptError if the prompt is empty, inconsistent, or outside of the video
   */
  addNewPointsOrBox(state: VideoState, { signal, ...prompt }: NewPoints): Promise<FrameResult> {
    return this.#engine.call("addNewPointsOrBox", [this.#handle, stateIds.get(state)!, prompt], { signal });
  }

  /**
   * Give the whole mask of an object on a frame. It is taken as it is.
   *
   * @returns the masks of all objects on this frame
   */
  addNewMask(state: VideoState, { signal, ...prompt }: NewMask): Promise<FrameResult> {
    return this.#engine.call("addNewMask", [this.#handle, stateIds.get(state)!, prompt], { signal });
  }

  /**
   * Follow all objects from frame to frame; masks leave as they come. Prompts that are added meanwhile count in the next
   * call. When a call is aborted or a frame cannot be read, everything is as it was after the frame before.
   *
   * @throws UsageError if an object has no prompt; ImageError naming a frame that cannot be read
   */
  async *propagateInVideo(state: VideoState, options: PropagateOptions = {}): AsyncGenerator<FrameResult> {
    const { signal, ...others } = options;
    const id = ids++;
    let ended = false;
    const next = async () => {
      ended = true; // unless this call succeeds
      const frame = await this.#engine.call("propagate", [this.#handle, stateIds.get(state)!, id, others], { signal });
      ended = frame === undefined;
      return frame;
    };
    try {
      for (let frame = await next(); frame; frame = await next()) yield frame;
    } finally {
      if (!ended) await this.#engine.call("endPropagation", [id]);
    }
  }

  /**
   * Take back what was said of an object on a frame. What was found there stays, as if it had been tracked.
   *
   * @returns the masks of all objects on this frame
   */
  clearAllPromptsInFrame(state: VideoState, place: Place): Promise<FrameResult> {
    return this.#engine.call("clearAllPromptsInFrame", [this.#handle, stateIds.get(state)!, place]);
  }

  /** Forget all objects. */
  resetState(state: VideoState): Promise<void> {
    return this.#engine.call("resetState", [this.#handle, stateIds.get(state)!]);
  }

  /**
   * Forget one object. The others are not touched.
   *
   * @returns the masks of the others on the frames where it had prompts: they may have been hidden behind it
   * @throws UsageError if there is no such object
   */
  removeObject(state: VideoState, object: number): Promise<FrameResult[]> {
    return this.#engine.call("removeObject", [this.#handle, stateIds.get(state)!, object]);
  }

  /** Everything that is known of the video but its frames, as bytes; `note` is kept for the caller. */
  encodeState(state: VideoState, note = ""): Promise<Uint8Array> {
    return this.#engine.call("encodeState", [this.#handle, stateIds.get(state)!, note]);
  }

  /** Write `encodeState` to a file, whole or not at all. */
  saveState(state: VideoState, path: string, note = ""): Promise<void> {
    return this.#engine.call("saveState", [this.#handle, stateIds.get(state)!, path, note]);
  }

  /**
   * Go on where `saveState` was called, with the same bits. A stream must begin with its first frame again.
   *
   * @param saved a path, or what `encodeState` returned
   * @throws StateError if it is damaged, or was saved with another checkpoint, other options or another video
   */
  async loadState(
    saved: string | Uint8Array,
    video: FrameInput,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{
    /** what was known when it was saved */
    state: VideoState;
    /** what `saveState` or `encodeState` was given */
    note: string;
  }> {
    const id = ids++;
    const info = await this.#engine.call("loadState", [this.#handle, id, saved, this.#send(video)], { signal });
    return { state: new VideoState(this.#engine, id, info), note: info.note };
  }

  #send(video: FrameInput): SentFrames {
    if (typeof video === "string") return video;
    return Symbol.asyncIterator in video ? this.#engine.stream(video, sendable) : video.map(sendable);
  }
}

function isList(prompts: Prompt | readonly Prompt[]): prompts is readonly Prompt[] {
  return Array.isArray(prompts);
}

function expectTracking({ canTrack, config }: Sam2): void {
  if (canTrack) return;
  const got = `${config.name} without maskmem_tpos_enc and the like`;
  throw new CheckpointError(
    "VideoPredictor",
    "the weights of the memory",
    got,
    "load a checkpoint for video, without video: false",
  );
}

/** Of a canvas's ImageData, or anything that holds pixels, what crosses to the worker. */
function sendable(image: ImageInput): ImageInput {
  if (typeof image === "string" || image instanceof Uint8Array || image instanceof Blob) return image;
  const { width, height, data } = image;
  return { width, height, data };
}

function rpcOptions({ signal, onProgress, transfer }: CallOptions, inputs: readonly unknown[]): RpcOptions {
  return {
    signal,
    onProgress: onProgress as RpcOptions["onProgress"],
    transfer: transfer ? buffersOf(inputs) : [],
  };
}
