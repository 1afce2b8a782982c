import { UsageError } from "../errors.ts";
import { kindOf } from "../io/kind_of.ts";
import type { Engine } from "./engine.ts";
import { Client } from "./rpc_client.ts";
import type { SentState, VideoInfo } from "./service.ts";

interface Kept {
  sent: SentState;
  engine: Engine;
  disposed: boolean;
}

/** Kept from users. */
const states = new WeakMap<object, Kept>();

/**
 * What stands for the state on the other side.
 *
 * @throws UsageError if it is no state, is disposed of, or belongs to another model
 */
export function sent(state: VideoState, engine: Engine): SentState {
  const kept = typeof state === "object" && state !== null ? states.get(state) : undefined;
  if (kept && !kept.disposed && kept.engine === engine) return kept.sent;
  const got = !kept ? kindOf(state) : kept.disposed ? "one that was disposed of" : "one of another model";
  throw new UsageError("state", "a VideoState of this predictor's model", got, "call initState, and await it");
}

/** What is known of one video. Made by `VideoPredictor.initState`. */
export class VideoState {
  /** pixels of a frame */
  readonly width: number;
  /** pixels of a frame */
  readonly height: number;
  /** Frames of the video; Infinity if that is not known at once: of a stream, and of a video file of 16 frames or more. */
  readonly numFrames: number;

  /** @internal */
  constructor(engine: Engine, info: VideoInfo) {
    if (!(engine instanceof Client)) {
      throw new UsageError("VideoState", "initState", "new VideoState", "await predictor.initState(…)");
    }
    const { stateId, width, height, numFrames } = info;
    this.width = width;
    this.height = height;
    this.numFrames = numFrames;
    states.set(this, { sent: { stateId }, engine, disposed: false });
  }

  /** Forget the video and give its memory back. */
  async dispose(): Promise<void> {
    const kept = states.get(this)!;
    if (kept.disposed) return;
    kept.disposed = true;
    await kept.engine.call("closeState", [kept.sent]);
  }

  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
