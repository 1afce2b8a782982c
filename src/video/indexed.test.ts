import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError, UsageError } from "../errors.ts";
import type { IndexedFrames } from "./list.ts";
import { openFrames } from "./open.ts";

const [W, H] = [6, 4];
const COUNT = 9;
const picture = (value: number, width = W) => ({ width, height: H, data: new Uint8Array(3 * width * H).fill(value) });

const failed = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

const Indexed = suite("frames by number");

Indexed("are read when they are asked for, and the next two ahead of them, in either direction", async () => {
  const read: number[] = [];
  const frames = await openFrames({
    count: COUNT,
    read(frame: number) {
      read.push(frame);
      return picture(frame);
    },
  });
  assert.equal([frames.count, frames.last, frames.width, frames.height], [COUNT, COUNT - 1, W, H]);
  assert.equal(read, [0]);
  const asked = async (frame: number, step: number) => {
    read.length = 0;
    assert.is((await frames.read(frame, step))!.data[0], frame);
    return read;
  };
  assert.equal(await asked(7, -1), [7, 6, 5]);
  assert.equal(await asked(6, -1), [4]);
  assert.equal(await asked(3, 0), [3]);
  assert.equal(await asked(7, 1), [7, 8]);
  assert.is(await frames.read(COUNT, 1), undefined);
});

Indexed("a frame that failed is named, and asked for again", async () => {
  let broken = true;
  let closed = false;
  const frames = await openFrames({
    count: COUNT,
    async read(frame: number) {
      if (frame === 2 && broken) throw new Error("a torn packet");
      return picture(frame, frame === 5 ? W + 1 : W);
    },
    close: () => (closed = true) && undefined,
  });
  const error = (await failed(frames.read(2, 0))) as Error;
  assert.instance(error, ImageError);
  assert.match(error.message, /^frame 2 \(of the video\): expected an image, got a torn packet;/);
  broken = false;
  assert.is((await frames.read(2, 0))!.data[0], 2);
  assert.match(((await failed(frames.read(5, 0))) as Error).message, /^frame 5 .*expected 6×4, as frame 0, got 7×4;/);
  frames.close();
  assert.ok(closed);
});

Indexed("VideoFrames are closed when they have been read", async () => {
  let open = 0;
  const frames = await openFrames({
    count: COUNT,
    read(frame: number) {
      open++;
      const copyTo = async (into: Uint8Array) => void into.fill(frame);
      return { displayWidth: W, displayHeight: H, copyTo, close: () => void open-- };
    },
  });
  assert.is((await frames.read(4, 0))!.data[0], 4);
  assert.is(open, 0);
});

Indexed("a count that is none is refused", async () => {
  for (const count of [0, -1, 1.5, Number.POSITIVE_INFINITY, "3"]) {
    const video = { count, read: () => picture(0) } as IndexedFrames;
    const error = await failed(openFrames(video));
    assert.instance(error, UsageError);
    assert.match((error as Error).message, /expected a count of frames/);
  }
});

Indexed.run();
