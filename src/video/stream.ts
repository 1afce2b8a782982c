import { ImageError, UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import type { ImageInput } from "../io/image_input.ts";
import { expectSize, type Frames } from "./frames.ts";
import { readFrame } from "./list.ts";

/** Frames that arrive one by one: only the latest is kept, and the next is asked for when it is needed. */
export async function openStream(stream: AsyncIterable<ImageInput>, signal?: AbortSignal): Promise<Frames> {
  const iterator = stream[Symbol.asyncIterator]();
  const where = "of the stream";
  let last = -1;
  let image: RgbImage | undefined;

  const advance = async (signal?: AbortSignal): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done) return false;
    const next = await readFrame({ where, image: value }, last + 1, signal);
    if (image) expectSize(next, image, `frame ${last + 1} (${where})`);
    image = next;
    last++;
    return true;
  };

  if (!(await advance(signal))) {
    throw new ImageError("initState", "at least one frame", "a stream without any", "check where the frames come from");
  }
  const { width, height } = image!;
  return {
    count: Number.POSITIVE_INFINITY,
    estimate: Number.POSITIVE_INFINITY,
    get last() {
      return last;
    },
    width,
    height,
    name: () => undefined,
    async read(frame, _step, signal) {
      while (last < frame) if (!(await advance(signal))) return undefined;
      if (last === frame) return image;
      const expected = `frame ${last} of the stream, or a later one`;
      const todo = "pass a folder, a list or a video file to go back in time";
      throw new UsageError(`frame ${frame}`, expected, "one that has passed", todo);
    },
    close: () => void iterator.return?.(),
  };
}
