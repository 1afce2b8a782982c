import { CheckpointError, ImageError } from "../errors.ts";
import { type SentImage, sendable } from "../io/image_input.ts";
import { kindOf } from "../io/kind_of.ts";
import { expectKind, expectOptions, OPTIONAL, TEXT } from "../io/options.ts";
import {
  type VideoPredictor as Direct,
  type FrameResult,
  INIT_KINDS,
  type InitOptions,
  LOAD_STATE_KINDS,
  type LoadStateOptions,
  type NewMask,
  type NewPoints,
  type Place,
  PREDICTOR_KINDS,
  PROPAGATE_KINDS,
  type PropagateOptions,
  type VideoPredictorOptions,
} from "../predict/video_predictor.ts";
import { latestFrames } from "../video/latest.ts";
import { type IndexedFrames, isIndexed } from "../video/list.ts";
import { type FrameInput, isList } from "../video/open.ts";
import { framesOf, isStream, type StreamFrame } from "../video/stream.ts";
import { type Arrived, isVideoFrame, takePixels } from "../video/video_frame.ts";
import { type Engine, engineOf } from "./engine.ts";
import { Remote, type Remoted } from "./remote.ts";
import type { Sam2 } from "./sam2.ts";
import type { SentFrames, SentState } from "./service.ts";
import { sent, VideoState } from "./video_state.ts";

/**
 * Say on some frames what the objects are, then follow them through the video.
 *
 * @example
 * const predictor = new VideoPredictor(await Sam2.fromPretrained("tiny"));
 * const state = await predictor.initState("frames");
 * await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[210, 350]] });
 * for await (const { frame, objects } of predictor.propagateInVideo(state)) …
 *
 * @source sam2/sam2_video_predictor.py, SAM2VideoPredictor
 */
export class VideoPredictor implements Remoted<Direct> {
  readonly #remote: Remote<Direct>;

  /** @throws CheckpointError if the model was trained for images alone; UsageError if an option is out of its range */
  constructor(sam2: Sam2, options: VideoPredictorOptions = {}) {
    const engine = engineOf(sam2, "VideoPredictor");
    expectOptions(options, PREDICTOR_KINDS, "VideoPredictor");
    expectTracking(sam2);
    this.#remote = new Remote(engine, "VideoPredictor", options);
  }

  /**
   * Open a video: a folder of frames, a video file (in Node, by the ffmpeg on the PATH), a list of images, images that are
   * read by number when they are needed, or images that arrive one by one.
   *
   * @throws ImageError if there is no frame, or the first one cannot be read; UsageError if `latest` is asked of no stream
   */
  async initState(video: FrameInput, options: InitOptions = {}): Promise<VideoState> {
    expectOptions(options, INIT_KINDS, "initState");
    const { engine } = this.#remote;
    const { latest = false, ...others } = options;
    const sent = latest ? engine.stream(latestFrames(video), sendableArrived) : await this.#send(video);
    return new VideoState(engine, await this.#remote.call("initState", [sent], others));
  }

  /**
   * Say where an object is on a frame, or correct what was tracked of it. The box counts before the points.
   *
   * @returns the masks of all objects on this frame
   * @throws PromptError if the prompt is empty, inconsistent, or outside of the video
   */
  async addNewPointsOrBox(state: VideoState, prompt: NewPoints): Promise<FrameResult> {
    return this.#remote.call("addNewPointsOrBox", [this.#sent(state)], prompt);
  }

  /**
   * Give the whole mask of an object on a frame. It is taken as it is.
   *
   * @returns the masks of all objects on this frame
   */
  async addNewMask(state: VideoState, prompt: NewMask): Promise<FrameResult> {
    return this.#remote.call("addNewMask", [this.#sent(state)], prompt);
  }

  /**
   * Follow all objects from frame to frame; masks leave as they come. Prompts that are added meanwhile count in the next
   * call. When a call is aborted or a frame cannot be read, everything is as it was after the frame before.
   *
   * @throws UsageError if an object has no prompt; ImageError naming a frame that cannot be read
   */
  async *propagateInVideo(state: VideoState, options: PropagateOptions = {}): AsyncGenerator<FrameResult> {
    expectOptions(options, PROPAGATE_KINDS, "propagateInVideo");
    yield* this.#remote.walk<FrameResult>("propagateInVideo", [this.#sent(state)], options);
  }

  /**
   * Take back what was said of an object on a frame. What was found there stays, as if it had been tracked.
   *
   * @returns the masks of all objects on this frame
   */
  async clearAllPromptsInFrame(state: VideoState, place: Place): Promise<FrameResult> {
    return this.#remote.call("clearAllPromptsInFrame", [this.#sent(state), place]);
  }

  /** Forget all objects. */
  async resetState(state: VideoState): Promise<void> {
    return this.#remote.call("resetState", [this.#sent(state)]);
  }

  /**
   * Forget one object. The others are not touched.
   *
   * @returns the masks of the others on the frames where it had prompts: they may have been hidden behind it
   * @throws UsageError if there is no such object
   */
  async removeObject(state: VideoState, object: number): Promise<FrameResult[]> {
    return this.#remote.call("removeObject", [this.#sent(state), object]);
  }

  /**
   * Everything that is known of the video but its frames, as bytes; `note` is kept for the caller. Masks that are kept for
   * corrections far from where tracking stands are left out.
   */
  async encodeState(state: VideoState, note = ""): Promise<Uint8Array> {
    expectKind(note, TEXT, "encodeState note", OPTIONAL);
    return this.#remote.call("encodeState", [this.#sent(state), note]);
  }

  /** Write `encodeState` to a file, whole or not at all. */
  async saveState(state: VideoState, path: string, note = ""): Promise<void> {
    expectKind(path, TEXT, "saveState path", "name the file to write");
    expectKind(note, TEXT, "saveState note", OPTIONAL);
    return this.#remote.call("saveState", [this.#sent(state), path, note]);
  }

  /**
   * Go on where `saveState` was called, with the same bits. All frames that were seen are read again and compared; a
   * stream must begin with its first frame again.
   *
   * @param saved a path, or what `encodeState` returned
   * @throws StateError if it is damaged, or was saved with another checkpoint, other options or another video
   */
  async loadState(
    saved: string | Uint8Array,
    video: FrameInput,
    options: LoadStateOptions = {},
  ): Promise<{
    /** what was known when it was saved */
    state: VideoState;
    /** what `saveState` or `encodeState` was given */
    note: string;
  }> {
    expectOptions(options, LOAD_STATE_KINDS, "loadState");
    const { state, note } = await this.#remote.call("loadState", [saved, await this.#send(video)], options);
    return { state: new VideoState(this.#remote.engine, state), note };
  }

  #sent(state: VideoState): SentState {
    return sent(state, this.#remote.engine);
  }

  async #send(video: FrameInput): Promise<unknown> {
    if (typeof video === "string") return video;
    if (typeof video === "object" && video !== null) {
      if (isList(video)) return this.#remote.send(video);
      if (isIndexed(video)) return sendIndexed(this.#remote.engine, video);
      if (isStream(video)) return this.#remote.engine.stream(framesOf(video), sendableFrame);
    }
    const todo = "pass [image] for a single frame";
    const expected = "a folder, a video file, an array of images, { count, read }, or an async iterable of images";
    throw new ImageError("video", expected, kindOf(video), todo);
  }
}

function sendIndexed(engine: Engine, frames: IndexedFrames): SentFrames {
  const read = async (frame: number) => sendableFrame(await frames.read(frame));
  return { ...engine.indexed(read, () => frames.close?.()), count: frames.count };
}

async function sendableFrame(frame: StreamFrame): Promise<SentImage> {
  return sendable(isVideoFrame(frame) ? await takePixels(frame) : frame);
}

async function sendableArrived({ image, arrival }: Arrived<StreamFrame>): Promise<Arrived<SentImage>> {
  return { image: await sendableFrame(image), arrival };
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
