import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../errors.ts";
import { openFrames } from "./open.ts";

const [W, H] = [6, 4];
const picture = (value: number) => ({ width: W, height: H, data: new Uint8Array(3 * W * H).fill(value) });

/** A frame of WebCodecs where there is no canvas, as in Node. */
class DecodedFrame {
  static open = 0;
  readonly displayWidth = W;
  readonly displayHeight = H;
  readonly #value: number;
  constructor(value: number) {
    this.#value = value;
    DecodedFrame.open++;
  }
  async copyTo(into: Uint8Array): Promise<void> {
    into.fill(this.#value);
  }
  close(): void {
    DecodedFrame.open--;
  }
}

const Stream = suite("frames of a stream");

Stream("VideoFrames are read when they are needed, and closed", async () => {
  async function* decoded() {
    for (let i = 0; i < 5; i++) yield new DecodedFrame(10 * i);
  }
  const frames = await openFrames(decoded());
  for (let i = 0; i < 5; i++) {
    assert.is((await frames.read(i, 1))!.data[0], 10 * i);
    assert.is(DecodedFrame.open, 0);
  }
  assert.is(await frames.read(5, 1), undefined);
});

Stream("a ReadableStream is read, with async iteration or without", async () => {
  const values = () => {
    let next = 0;
    return new ReadableStream({
      pull: (controller) => (next < 3 ? controller.enqueue(picture(next++)) : controller.close()),
    });
  };
  const plain = values();
  for (const stream of [values(), { getReader: () => plain.getReader() as never }]) {
    const frames = await openFrames(stream);
    assert.is((await frames.read(2, 1))!.data[0], 2);
    assert.is(await frames.read(3, 1), undefined);
  }
});

Stream("closing ends the source, and what has passed is refused", async () => {
  let ended = false;
  async function* endless() {
    try {
      for (let i = 0; ; i++) yield picture(i);
    } finally {
      ended = true;
    }
  }
  const frames = await openFrames(endless());
  await frames.read(4, 1);
  const error = await frames.read(2, 1).catch((error) => error);
  assert.instance(error, UsageError);
  frames.close();
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(ended);
});

Stream.run();
