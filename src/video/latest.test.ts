import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError, UsageError } from "../errors.ts";
import { latestFrames } from "./latest.ts";
import { openFrames } from "./open.ts";

const [W, H] = [6, 4];

/** A camera: what it sends waits until it is taken, as in the queue of a ReadableStream. */
class Camera {
  /** frames that were sent and not closed */
  open = 0;
  ended = false;
  #frames: unknown[] = [];
  #over = false;
  #failure: Error | undefined;
  #wake = () => {};

  send(...values: number[]): this {
    for (const value of values) {
      this.open++;
      this.#frames.push({
        displayWidth: W,
        displayHeight: H,
        copyTo: async (into: Uint8Array) => void into.fill(value),
        close: () => this.open--,
      });
    }
    this.#wake();
    return this;
  }

  stop(failure?: Error): this {
    this.#over = true;
    this.#failure = failure;
    this.#wake();
    return this;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<never> {
    try {
      for (;;) {
        if (this.#frames.length > 0) yield this.#frames.shift() as never;
        else if (this.#failure) throw this.#failure;
        else if (this.#over) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.ended = true;
    }
  }
}

const opened = async (camera: Camera) => {
  const frames = await openFrames(latestFrames(camera));
  const look = async (frame: number) => [(await frames.read(frame, 1))?.data[0], frames.arrival!(frame)];
  return { frames, look };
};

const turns = () => new Promise((resolve) => setTimeout(resolve, 20));

const Latest = suite("latest frames");

Latest(
  "what came while a frame was computed is dropped and closed but the last; the number among all is told",
  async () => {
    const camera = new Camera().send(10);
    const { frames, look } = await opened(camera);
    assert.equal(await look(0), [10, 0]);
    camera.send(20, 30, 40);
    assert.equal(await look(1), [40, 3]);
    assert.is(camera.open, 0);
    assert.equal(await look(1), [40, 3], "a frame may be read again");
    assert.is(frames.arrival!(0), undefined, "of frames that have passed it is not known any more");
    camera.send(50);
    await turns();
    assert.is(camera.open, 1, "the latest waits");
    camera.send(60);
    assert.equal(await look(2), [60, 5]);
    assert.is(camera.open, 0);
  },
);

Latest("where none has come since, the next one is waited for", async () => {
  const camera = new Camera().send(10);
  const { look } = await opened(camera);
  const next = look(1);
  await turns();
  camera.send(20);
  assert.equal(await next, [20, 1]);
});

Latest("a source that never waits does not keep the thread to itself", async () => {
  let made = 0;
  async function* endless() {
    for (;;) yield { width: W, height: H, data: new Uint8Array(3 * W * H).fill(made++) };
  }
  const frames = await openFrames(latestFrames(endless()));
  let last = 0;
  for (let frame = 1; frame < 5; frame++) {
    await frames.read(frame, 1);
    assert.ok(frames.arrival!(frame)! > last);
    last = frames.arrival!(frame)!;
  }
  frames.close();
  await turns();
  const before = made;
  await turns();
  assert.is(made, before);
});

Latest("the last frame is looked at before the end, and before what the source throws", async () => {
  const { look } = await opened(new Camera().send(10, 20, 30).stop());
  assert.equal(await look(0), [30, 2]);
  assert.equal(await look(1), [undefined, undefined]);

  const broken = await opened(new Camera().send(10).stop(new ImageError("camera", "a picture", "none", "plug it in")));
  assert.equal(await broken.look(0), [10, 0]);
  const error = await broken.look(1).catch((error) => error);
  assert.match(error.message, /plug it in/);
});

Latest("closing ends the source and closes the frame that waits, though no other frame ever comes", async () => {
  const camera = new Camera().send(10);
  const { frames } = await opened(camera);
  camera.send(20);
  await turns();
  frames.close();
  camera.send(30); // what was asked for before still comes
  await turns();
  assert.is(camera.open, 0);
  assert.ok(camera.ended);
});

Latest("frames that can wait are refused", () => {
  for (const video of ["folder", [new Uint8Array(4)], undefined, { frames: 3 }]) {
    assert.throws(
      () => latestFrames(video),
      (error: unknown) => error instanceof UsageError,
    );
  }
});

Latest.run();
