import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Golden } from "../../golden/golden.ts";
import { goldenFrame } from "../../golden/hash_image.ts";
import { hashWeights } from "../../golden/hash_weights.ts";
import { hashModel } from "../../golden/run_case.ts";
import { CheckpointError, ImageError, PromptError, StateError, UsageError } from "../errors.ts";
import { readCheckpoint } from "../io/checkpoint.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import type { RgbImage } from "../io/image.ts";
import { Weights } from "../io/weights.ts";
import { parameters } from "../model/parameters.ts";
import { createMachine } from "../runtime/create.ts";
import { Sam2 } from "./sam2.ts";
import { type FrameResult, VideoPredictor } from "./video_predictor.ts";
import type { VideoState } from "./video_state.ts";

const WIDTH = 64;
const HEIGHT = 48;
const { model } = new Golden("small_a.video").entry;
const sam2 = await hashModel(model, "auto", (key, values) => {
  if (key === "sam_mask_decoder.pred_obj_score_head.layers.2.bias") values[0] += 0.25;
});
const predictor = new VideoPredictor(sam2);

function clip(frames: number): RgbImage[] {
  return Array.from({ length: frames }, (_, t) => ({
    width: WIDTH,
    height: HEIGHT,
    data: goldenFrame(31, t, WIDTH, HEIGHT),
  }));
}
async function* arriving(frames: readonly RgbImage[]) {
  yield* frames;
}

/** A click and a box on frame 0. */
async function twoObjects(state: VideoState): Promise<void> {
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[20, 15]] });
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 2, box: [30, 10, 60, 44] });
}

async function collect(results: AsyncIterable<FrameResult>, into: string[] = []): Promise<string[]> {
  for await (const { frame, objects } of results) {
    for (const { id, score, mask } of objects)
      into.push(`${frame} ${id} ${score} ${Buffer.from(mask).toString("base64")}`);
  }
  return into;
}

/** Exactly the same lines, told in one line if not. */
function assertSame(got: readonly string[], want: readonly string[]): void {
  assert.is(got.length, want.length);
  const differs = got.findIndex((line, i) => line !== want[i]);
  assert.is(differs < 0 ? "" : `line ${differs}: ${got[differs].slice(0, 40)}, not ${want[differs].slice(0, 40)}`, "");
}

const Video = suite("VideoPredictor");

Video(
  "bounded = unbounded bit for bit: forward, a correction where tracking stands, a late object, both directions",
  async () => {
    const run = async (keepAll: boolean) => {
      const state = await predictor.initState(clip(64), { keepAll });
      await predictor.addNewPointsOrBox(state, { frame: 20, object: 1, points: [[20, 15]] });
      await predictor.addNewPointsOrBox(state, { frame: 24, object: 2, box: [30, 10, 60, 44] });
      const lines = await collect(predictor.propagateInVideo(state, { maxFrames: 22 }));
      await predictor.addNewPointsOrBox(state, {
        frame: 42,
        object: 1,
        points: [
          [50, 30],
          [5, 5],
        ],
        labels: [1, 0],
      });
      await predictor.addNewPointsOrBox(state, { frame: 42, object: 3, points: [[40, 20]] });
      await collect(predictor.propagateInVideo(state, { startFrame: 42 }), lines);
      await collect(predictor.propagateInVideo(state, { startFrame: 20, reverse: true }), lines);
      return { lines, state };
    };
    const [all, bounded] = [await run(true), await run(false)];
    assertSame(bounded.lines, all.lines);
    assert.is(all.state.objects.get(1)!.nonCond.size, 63);
    const { nonCond } = bounded.state.objects.get(1)!;
    const maps = [...nonCond.values()].filter(({ maskmemFeatures }) => maskmemFeatures).length;
    assert.ok(maps < 40, `${maps} maps are kept`);
  },
);

Video("bounded = unbounded bit for bit over 300 frames: nano, three objects", async () => {
  const checkpoint = await readCheckpoint(DEMO_MODEL.url);
  const nano = new VideoPredictor(await Sam2.fromCheckpoint(checkpoint, { imageSize: 64, threads: 1 }));
  checkpoint.close();
  const run = async (keepAll: boolean) => {
    const state = await nano.initState(clip(300), { keepAll, keepMasks: 0 });
    await nano.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[20, 15]] });
    await nano.addNewPointsOrBox(state, { frame: 0, object: 2, box: [30, 10, 60, 44] });
    await nano.addNewPointsOrBox(state, { frame: 0, object: 3, points: [[50, 30]] });
    return { lines: await collect(nano.propagateInVideo(state)), state };
  };
  const [all, bounded] = [await run(true), await run(false)];
  assert.is(all.lines.length, 900);
  assertSame(bounded.lines, all.lines);
  const kept = ({ objects }: VideoState) => [...objects.values()].map(({ nonCond }) => nonCond.size);
  assert.equal(kept(all.state), [299, 299, 299]);
  assert.equal(kept(bounded.state), [31, 31, 31]); // 15 after frame 0, and 16 where tracking stands
});

Video("what is kept does not grow with the video", async () => {
  const state = await predictor.initState(clip(80), { keepMasks: 20 });
  await twoObjects(state);
  const sizes: number[] = [];
  for await (const _ of predictor.propagateInVideo(state)) {
    sizes.push([...state.objects.values()].reduce((sum, { nonCond }) => sum + nonCond.size, 0));
  }
  assert.is(sizes.at(-1), sizes[60]);
  assert.ok(sizes.at(-1)! <= 2 * (15 + 15 + 20), `${sizes.at(-1)} frames are kept of two objects`);
});

Video("frames that arrive one by one give what a list gives, and can be prompted where they stand", async () => {
  const frames = clip(20);
  const [listed, streamed] = [await predictor.initState(frames), await predictor.initState(arriving(frames))];
  for (const state of [listed, streamed]) await twoObjects(state);
  const want = await collect(predictor.propagateInVideo(listed, { maxFrames: 9 }));
  const got = await collect(predictor.propagateInVideo(streamed, { maxFrames: 9 }));
  for (const state of [listed, streamed]) {
    await predictor.addNewPointsOrBox(state, { frame: 9, object: 5, points: [[40, 20]] });
  }
  await collect(predictor.propagateInVideo(listed, { startFrame: 9 }), want);
  await collect(predictor.propagateInVideo(streamed), got);
  assertSame(got, want);
});

Video("an object that is added or removed in mid-run does not change the others by a bit", async () => {
  const run = async (visitor: boolean) => {
    const state = await predictor.initState(clip(16));
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[20, 15]] });
    const lines = await collect(predictor.propagateInVideo(state, { maxFrames: 5 }));
    if (visitor) await predictor.addNewPointsOrBox(state, { frame: 5, object: 2, box: [30, 10, 60, 44] });
    await collect(predictor.propagateInVideo(state, { startFrame: 5, maxFrames: 5 }), lines);
    if (visitor) await predictor.removeObject(state, 2);
    return collect(predictor.propagateInVideo(state, { startFrame: 10 }), lines);
  };
  const withVisitor = (await run(true)).filter((line) => line.split(" ")[1] === "1");
  assertSame(withVisitor, await run(false));
});

Video("1, 2, 4 and 8 threads give the same bits", async () => {
  const run = async (threads: number) => {
    const machine = await createMachine({ kernels: "auto", threads });
    const predictor = new VideoPredictor(
      new Sam2(machine, new Weights(hashWeights(parameters(model)), machine.heap), model),
    );
    const state = await predictor.initState(clip(8));
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[20, 15]] });
    await predictor.addNewPointsOrBox(state, { frame: 2, object: 2, box: [30, 10, 60, 44] });
    const lines = await collect(predictor.propagateInVideo(state));
    machine.dispose();
    return [...lines, Buffer.from(await predictor.encodeState(state)).toString("base64")];
  };
  const want = await run(1);
  for (const threads of [2, 4, 8]) assertSame(await run(threads), want);
});

Video("a saved state goes on with the same bits", async () => {
  const frames = clip(24);
  const state = await predictor.initState(frames);
  await twoObjects(state);
  const want: string[] = [];
  let saved = new Uint8Array();
  let at = 0;
  for await (const result of predictor.propagateInVideo(state)) {
    if (result.frame === 11) {
      saved = new Uint8Array(await predictor.encodeState(state, "frame 11"));
      at = want.length + 2;
    }
    await collect(one(result), want);
  }
  const { state: loaded, note } = await predictor.loadState(saved, frames);
  assert.is(note, "frame 11");
  assertSame(await collect(predictor.propagateInVideo(loaded, { startFrame: 12 })), want.slice(at));
});

Video("the saved state of a stream goes on with the frame after, when the stream is played again", async () => {
  const frames = clip(12);
  const state = await predictor.initState(arriving(frames));
  await twoObjects(state);
  const want = await collect(predictor.propagateInVideo(state, { maxFrames: 5 }));
  const saved = await predictor.encodeState(state);
  await collect(predictor.propagateInVideo(state, { startFrame: 6 }), want);
  const { state: loaded } = await predictor.loadState(saved, arriving(frames));
  assertSame(await collect(predictor.propagateInVideo(loaded, { startFrame: 6 })), want.slice(12));
});

Video("a damaged state, and one of another checkpoint or video, are refused", async () => {
  const frames = clip(4);
  const state = await predictor.initState(frames);
  await twoObjects(state);
  const saved = await predictor.encodeState(state);
  const refuses = (bytes: Uint8Array, by: VideoPredictor, video: RgbImage[], pattern: RegExp) =>
    rejects(() => by.loadState(bytes, video), StateError, pattern);
  for (const at of [0, 9, 40, saved.length >> 1, saved.length - 1]) {
    await refuses(
      saved.map((byte, i) => (i === at ? byte ^ 1 : byte)),
      predictor,
      frames,
      /damaged/,
    );
  }
  await refuses(saved.subarray(0, saved.length - 5), predictor, frames, /damaged/);
  await refuses(new Uint8Array(), predictor, frames, /another kind of file/);
  await refuses(saved, predictor, clip(5), /5 frames of 64×48, got 4 frames/);
  await refuses(saved, new VideoPredictor(sam2, { fillHoleArea: 8 }), frames, /the options/);
  const other = await hashModel(model, "auto", (key, values) => {
    if (key === "no_obj_ptr") values[3] += 1e-3;
  });
  await refuses(saved, new VideoPredictor(other), frames, /digest/);
});

Video("an aborted call stops, and everything is as after the frame before", async () => {
  const frames = clip(12);
  const state = await predictor.initState(frames);
  await twoObjects(state);
  const want = await collect(predictor.propagateInVideo(state));
  const again = await predictor.initState(frames);
  await twoObjects(again);
  const abort = new AbortController();
  const got: string[] = [];
  const pass = predictor.propagateInVideo(again, { signal: abort.signal });
  for (let k = 0; k < 6; k++) await collect(one((await pass.next()).value as FrameResult), got);
  abort.abort(new Error("enough"));
  await rejects(() => pass.next(), Error, /enough/);
  await collect(predictor.propagateInVideo(again, { startFrame: 6 }), got);
  assertSame(got, want);
});

Video(
  "an abort within a frame stops at the next layer, wherever it comes, and everything is as before the frame",
  async () => {
    const { machine } = sam2;
    const frames = clip(4);
    const begin = async () => {
      const state = await predictor.initState(frames);
      await twoObjects(state);
      return { state, lines: await collect(predictor.propagateInVideo(state, { maxFrames: 1 })) };
    };
    let finished = 0;
    const count = (onLayer = () => {}) => {
      finished = 0;
      machine.onLayer = () => {
        finished++;
        onLayer();
      };
    };
    try {
      const undisturbed = await begin();
      count();
      await collect(predictor.propagateInVideo(undisturbed.state, { startFrame: 2, maxFrames: 0 }), undisturbed.lines);
      const layers = finished;
      assert.ok(layers > 100, `${layers} layers`);
      await collect(predictor.propagateInVideo(undisturbed.state, { startFrame: 3 }), undisturbed.lines);

      const { state, lines } = await begin();
      const [before, inUse] = [await predictor.encodeState(state), machine.heap.bytesInUse];
      for (let k = 1; k < layers - 4; k += 17) {
        // after the last ones nothing comes that could be stopped
        const abort = new AbortController();
        count(() => {
          if (finished === k) abort.abort(new Error("enough"));
        });
        state.features = undefined; // else the second attempt would not encode the frame
        const pass = predictor.propagateInVideo(state, { startFrame: 2, signal: abort.signal });
        await rejects(() => pass.next(), Error, /enough/);
        assert.ok(finished - k <= 4, `${finished - k} layers finished after layer ${k}`); // those that end with it
        assert.is(machine.heap.bytesInUse, inUse);
      }
      machine.onLayer = undefined;
      assert.ok(Buffer.from(before).equals(Buffer.from(await predictor.encodeState(state))));
      await collect(predictor.propagateInVideo(state, { startFrame: 2 }), lines);
      assertSame(lines, undisturbed.lines);
    } finally {
      machine.onLayer = undefined;
    }
  },
);

Video("a frame that cannot be read is named, and what was tracked before it stays", async () => {
  const frames: (RgbImage | Uint8Array)[] = clip(8);
  frames[4] = new Uint8Array(100);
  const state = await predictor.initState(frames);
  await twoObjects(state);
  const got: string[] = [];
  await rejects(() => collect(predictor.propagateInVideo(state), got), ImageError, /frame 4 \(image 4\)/);
  assert.is(got.length, 8);
});

Video("frames of different sizes, no frames, and prompts that make no sense are refused by name", async () => {
  const frames = clip(6);
  frames[3] = { width: 32, height: 48, data: new Uint8Array(32 * 48 * 3) };
  const state = await predictor.initState(frames);
  await rejects(() => collect(predictor.propagateInVideo(state)), UsageError, /an object to follow/);
  await twoObjects(state);
  await rejects(() => collect(predictor.propagateInVideo(state)), ImageError, /frame 3 .*64×48, as frame 0, got 32×48/);
  await rejects(() => predictor.initState([]), ImageError, /at least one frame/);
  await rejects(() => predictor.initState(arriving([])), ImageError, /at least one frame/);
  const points: [number, number][] = [[1, 1]];
  await rejects(() => predictor.addNewPointsOrBox(state, { frame: 6, object: 1, points }), PromptError, /0…5, got 6/);
  await rejects(
    () => predictor.addNewPointsOrBox(state, { frame: 0, object: 1.5, points }),
    PromptError,
    /whole number/,
  );
  await rejects(
    () => predictor.addNewPointsOrBox(state, { frame: 0, object: 1 }),
    PromptError,
    /points, a box or a mask/,
  );
  await rejects(
    () => predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[65, 1]] }),
    PromptError,
    /0…64/,
  );
  await rejects(
    () => predictor.addNewPointsOrBox(state, { frame: 0, object: 1, box: [0, 0, 9, 9], clearOldPoints: false }),
    UsageError,
    /a box before all points/,
  );
  await rejects(
    () => predictor.addNewMask(state, { frame: 0, object: 1, mask: new Uint8Array(9) }),
    ImageError,
    /64×48/,
  );
  await rejects(() => predictor.removeObject(state, 7), UsageError, /object 7: expected one of: 1, 2/);
  await rejects(() => predictor.clearAllPromptsInFrame(state, { frame: 0, object: 7 }), UsageError, /object 7/);
});

for (const fillHoleArea of [0, 8]) {
  Video(
    `after a whole pass, corrections anywhere give keepAll's bits; holes filled up to ${fillHoleArea}`,
    async () => {
      const predictor = new VideoPredictor(sam2, { fillHoleArea });
      const run = async (keepAll: boolean) => {
        const state = await predictor.initState(clip(50), { keepAll });
        await predictor.addNewPointsOrBox(state, { frame: 30, object: 1, points: [[20, 15]] });
        await predictor.addNewPointsOrBox(state, { frame: 30, object: 2, box: [30, 10, 60, 44] });
        const lines = await collect(predictor.propagateInVideo(state));
        await collect(predictor.propagateInVideo(state, { reverse: true }), lines);
        for (const [frame, object] of [
          [10, 1],
          [41, 2],
          [12, 2],
        ]) {
          const points: [number, number][] = [[50, 30]];
          const corrected = await predictor.addNewPointsOrBox(state, { frame, object, points, clearOldPoints: false });
          await collect(one(corrected), lines);
        }
        await collect(predictor.propagateInVideo(state, { startFrame: 12, maxFrames: 4 }), lines);
        await collect(predictor.propagateInVideo(state, { startFrame: 44, reverse: true }), lines);
        return { lines, state };
      };
      const [all, bounded] = [await run(true), await run(false)];
      assertSame(bounded.lines, all.lines);
      const { nonCond } = bounded.state.objects.get(1)!;
      assert.is(nonCond.size, 49);
      const maps = [...nonCond.values()].filter(({ maskmemFeatures }) => maskmemFeatures).length;
      assert.ok(maps < 35, `${maps} maps are kept`);
    },
  );
}

Video("no more masks are kept than keepMasks asks for; what was dropped is told when it is asked for", async () => {
  const state = await predictor.initState(clip(60), { keepMasks: 20 });
  await twoObjects(state);
  await collect(predictor.propagateInVideo(state));
  const correct = (frame: number) =>
    predictor.addNewPointsOrBox(state, { frame, object: 1, points: [[20, 15]], clearOldPoints: false });
  const masks = [...state.objects.get(1)!.nonCond.values()].filter(({ predMasks }) => predMasks).length;
  assert.is(masks, 20 + 6); // and those after frame 0, which hold maps
  assert.is((await correct(59 - 19 + 6)).frame, 46);
  await rejects(() => correct(25), UsageError, /object 1 on frame 25: expected the memory of frame 25.*keepMasks/);
  await rejects(() => correct(59 - 19 + 5), UsageError, /the memory of frame 39/);
});

Video("a saved state does not grow with the masks that are kept", async () => {
  const sizeAfter = async (frames: number) => {
    const state = await predictor.initState(clip(60));
    await twoObjects(state);
    await collect(predictor.propagateInVideo(state, { maxFrames: frames }));
    return (await predictor.encodeState(state)).length;
  };
  const [early, late] = [await sizeAfter(30), await sizeAfter(55)];
  const pointers = 2 * 25 * (4 * model.dModel + 100);
  assert.ok(late - early <= pointers, `${early} bytes after 30 frames, ${late} after 55`);
});

Video("of a stream, which cannot go back, no mask is kept for corrections", async () => {
  const state = await predictor.initState(arriving(clip(40)));
  await twoObjects(state);
  await collect(predictor.propagateInVideo(state));
  const far = { frame: 20, object: 1, points: [[20, 15]] as [number, number][] };
  await rejects(() => predictor.addNewPointsOrBox(state, far), UsageError, /the memory of frame 20/);
});

Video("a model for images alone is refused", () => {
  const imageOnly = { canTrack: false, config: model } as unknown as typeof sam2;
  assert.throws(
    () => new VideoPredictor(imageOnly),
    (error: Error) => error instanceof CheckpointError,
  );
});

Video.run();

async function* one(result: FrameResult) {
  yield result;
}

async function rejects(
  run: () => Promise<unknown>,
  type: new (...a: never[]) => Error,
  pattern: RegExp,
): Promise<void> {
  const error = await run().then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  assert.ok(error instanceof type, `${error ?? "no error"}`);
  assert.match(error.message, pattern);
}
