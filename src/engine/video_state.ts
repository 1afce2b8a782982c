import type { Engine } from "./engine.ts";
import type { SentState, VideoInfo } from "./service.ts";

/** Kept from users. */
const sentState = new WeakMap<VideoState, SentState>();
export const sent = (state: VideoState): SentState => sentState.get(state)!;

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
  constructor(engine: Engine, { stateId, width, height, numFrames }: VideoInfo) {
    this.#engine = engine;
    this.width = width;
    this.height = height;
    this.numFrames = numFrames;
    sentState.set(this, { stateId });
  }

  /** Forget the video and give its memory back. */
  dispose(): Promise<void> {
    return this.#engine.call("closeState", [sent(this)]);
  }

  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
