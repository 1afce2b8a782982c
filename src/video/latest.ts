import { UsageError } from "../errors.ts";
import { kindOf } from "../io/kind_of.ts";
import { framesOf, isStream, type StreamFrame } from "./stream.ts";
import { type Arrived, isVideoFrame } from "./video_frame.ts";

/** Items are taken so many at a stretch; then whatever else waits has its turn. */
const STRETCH = 64;

/**
 * The frames of a stream of which only the latest is looked at: they are taken as they come, and when one is asked for, it
 * is the last that has come since the one before, or the next that comes. The others are dropped: a VideoFrame is closed.
 *
 * @throws UsageError if it is no stream
 */
export function latestFrames(video: unknown): AsyncIterable<Arrived<StreamFrame>> {
  if (typeof video === "object" && video !== null && isStream(video)) return latestOf(framesOf(video), close);
  const expected = "an async iterable or a ReadableStream";
  throw new UsageError("initState latest", expected, kindOf(video), "leave out latest: these frames can wait");
}

function close(frame: StreamFrame): void {
  if (isVideoFrame(frame)) frame.close();
}

function latestOf<T>(items: AsyncIterable<T>, drop: (item: T) => void): AsyncIterable<Arrived<T>> {
  const iterator = items[Symbol.asyncIterator]();
  let latest: Arrived<T> | undefined;
  let failure: { error: unknown } | undefined;
  let ended = false;
  let taking: Promise<void> | undefined;
  let wake = () => {};

  const take = async () => {
    for (let arrival = 0; ; arrival++) {
      const { done, value } = await iterator.next();
      if (done) return;
      if (latest) drop(latest.image);
      latest = { image: value, arrival };
      if (ended) return forget();
      wake();
      if (arrival % STRETCH === STRETCH - 1) await nextTurn();
    }
  };
  const forget = () => {
    if (latest) drop(latest.image);
    latest = undefined;
  };
  const end = () => {
    ended = true;
    wake();
  };

  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        taking ??= take()
          .catch((error) => (failure = { error }) && undefined)
          .then(end);
        await nextTurn(); // frames that came while this thread computed are taken first
        while (!latest && !ended) await new Promise<void>((resolve) => (wake = resolve));
        if (latest) {
          const value = latest;
          latest = undefined;
          return { done: false, value };
        }
        if (failure) throw failure.error;
        return { done: true, value: undefined };
      },
      async return() {
        end();
        forget();
        iterator.return?.().catch(() => {}); // not awaited: a camera may never send another frame
        return { done: true, value: undefined };
      },
    }),
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
