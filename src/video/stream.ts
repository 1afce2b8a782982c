import { ImageError, UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import type { ImageInput } from "../io/image_input.ts";
import type { SampleBits } from "../io/raster.ts";
import { expectSize, type Frames } from "./frames.ts";
import { readFrame } from "./list.ts";
import { type Arrived, isArrived, isVideoFrame, takePixels, type VideoFrameLike } from "./video_frame.ts";

/** A frame of a stream. */
export type StreamFrame = ImageInput | VideoFrameLike;

/** Frames that arrive one by one: an async iterable, or a ReadableStream, which in some browsers is none. */
export type FrameStream =
  | AsyncIterable<ImageInput | VideoFrameLike>
  | {
      /** as ReadableStream's */
      getReader(): FrameReader;
    };

/** What a ReadableStream gives. */
export interface FrameReader {
  /** the next frame */
  read(): Promise<IteratorResult<ImageInput | VideoFrameLike>>;
  /** no more frames are wanted */
  cancel(): Promise<void>;
}

/** A FrameStream of whatever items. */
type Stream<T> = AsyncIterable<T> | { getReader(): { read(): Promise<IteratorResult<T>>; cancel(): Promise<void> } };

export function isStream(input: object): input is FrameStream {
  const { [Symbol.asyncIterator]: iterate, getReader } = input as Record<PropertyKey, unknown>;
  return typeof (Symbol.asyncIterator in input ? iterate : getReader) === "function";
}

export function framesOf<T>(stream: Stream<T>): AsyncIterable<T> {
  if (Symbol.asyncIterator in stream) return stream;
  const reader = stream.getReader();
  const end = async () => {
    await reader.cancel();
    return { done: true as const, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next: () => reader.read(), return: end }) };
}

/** Frames that arrive one by one: only the latest is kept, and the next is asked for when it is needed. */
export async function openStream(
  stream: Stream<StreamFrame | Arrived<StreamFrame>>,
  signal?: AbortSignal,
): Promise<Frames> {
  const iterator = framesOf(stream)[Symbol.asyncIterator]();
  const where = "of the stream";
  const bits: SampleBits = {};
  let last = -1;
  let arrival: number | undefined;
  let latest: RgbImage | undefined;

  const advance = async (signal?: AbortSignal): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done) return false;
    const taken = isArrived(value) ? value.image : value;
    const image = isVideoFrame(taken) ? await takePixels(taken) : taken;
    const next = await readFrame({ where, image }, last + 1, signal, bits);
    if (latest) expectSize(next, latest, `frame ${last + 1} (${where})`);
    latest = next;
    arrival = isArrived(value) ? value.arrival : undefined;
    last++;
    return true;
  };

  const end = () => {
    iterator.return?.().catch(() => {}); // nobody waits for it
  };
  const found = await advance(signal).catch((error) => {
    end();
    throw error;
  });
  if (!found) {
    throw new ImageError("initState", "at least one frame", "a stream without any", "check where the frames come from");
  }
  const { width, height } = latest!;
  return {
    count: Number.POSITIVE_INFINITY,
    estimate: Number.POSITIVE_INFINITY,
    get last() {
      return last;
    },
    width,
    height,
    name: () => undefined,
    arrival: (frame) => (frame === last ? arrival : undefined),
    async read(frame, _step, signal) {
      while (last < frame) if (!(await advance(signal))) return undefined;
      if (last === frame) return latest;
      const expected = `frame ${last} of the stream, or a later one`;
      const todo = "pass a folder, a list or a video file to go back in time";
      throw new UsageError(`frame ${frame}`, expected, "one that has passed", todo);
    },
    close: end,
  };
}
