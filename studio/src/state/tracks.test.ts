// Tracking as the document holds it: what a run writes, what undo takes back, what the timeline shows.
import { encodeRle } from "sam2-ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { desk as deskOf } from "./desk.ts";
import { EMPTY, type Found, keyOf, type Source } from "./document.ts";
import { clock, extendsPrompt, laneOf, leastSure, momentOf, sayings, timeLeft } from "./tracks.ts";

const FRAMES = 100;
const CLIP: Source = {
  id: "clip",
  kind: "video",
  name: "clip.mp4",
  width: 4,
  height: 3,
  frames: FRAMES,
  isDrawn: false,
};
const mask = (pixels: number) =>
  encodeRle(
    Uint8Array.from({ length: 12 }, (_, i) => Number(i < pixels)),
    4,
    3,
  );
const tracked = (score: number, pixels = 5): Found => ({
  by: "track",
  of: "",
  masks: [mask(pixels)],
  scores: [score],
  choice: 0,
});

/** Two objects, each clicked and answered on frame 10; the first is 1. */
function begun() {
  const desk = deskOf(EMPTY);
  desk.perform("open", CLIP);
  desk.perform("frame", { frame: 10 });
  for (const id of [1, 2]) {
    desk.perform("newObject");
    desk.perform("click", { x: id, y: 1, label: 1 });
    answer(desk, id);
  }
  return desk;
}

function answer(desk: ReturnType<typeof deskOf>, id: number, pixels = 3): void {
  const { frame } = desk.doc;
  const of = keyOf(objectOf(desk, id).on[frame].prompt);
  const found: Found = { by: "prompt", of, masks: [mask(pixels)], scores: [4], choice: 0 };
  desk.perform("found", { id, frame, found });
}

const objectOf = (desk: ReturnType<typeof deskOf>, id: number) => desk.doc.objects.find((one) => one.id === id)!;

/** Frames that a run tracks, both objects on each. */
function run(desk: ReturnType<typeof deskOf>, name: string, frames: readonly number[], score = 6): void {
  for (const [i, frame] of frames.entries()) {
    const found = { 1: tracked(score), 2: tracked(score, 0) };
    desk.perform(i === 0 ? "beginRun" : "tracked", { run: name, frame, found });
  }
}

const framesOn = (desk: ReturnType<typeof deskOf>, id: number) => Object.keys(objectOf(desk, id).on).map(Number);

const Tracks = suite("studio: tracks");

Tracks("a run of tracking is one step, and what it replaced comes back", () => {
  const desk = begun();
  run(desk, "first", [11, 12, 13], 6);
  const before = objectOf(desk, 1).on;
  run(desk, "second", [12, 13, 14, 15], 1);
  assert.equal(framesOn(desk, 1), [10, 11, 12, 13, 14, 15]);
  assert.is(objectOf(desk, 1).on[12].found!.scores[0], 1);
  desk.perform("undo");
  assert.is(objectOf(desk, 1).on, before);
  assert.is(desk.doc.run, "first");
  desk.perform("undo");
  assert.equal(framesOn(desk, 1), [10]);
  assert.is(desk.doc.run, undefined);
  desk.perform("redo");
  desk.perform("redo");
  assert.equal(framesOn(desk, 1), [10, 11, 12, 13, 14, 15]);
});

Tracks("what is done while a run goes on is undone without it", () => {
  const desk = begun();
  run(desk, "run", [11, 12]);
  desk.perform("rename", { id: 1, name: "Cup" });
  desk.perform("tracked", { run: "run", frame: 13, found: { 1: tracked(6) } });
  desk.perform("undo");
  assert.is(objectOf(desk, 1).name, "Object 1");
  assert.equal(framesOn(desk, 1), [10, 11, 12, 13]);
});

Tracks("after undo, what a run finds late is not written", () => {
  const desk = begun();
  run(desk, "run", [11]);
  desk.perform("undo");
  desk.perform("tracked", { run: "run", frame: 12, found: { 1: tracked(6) } });
  assert.equal(framesOn(desk, 1), [10]);
});

Tracks("what was said stays as it is, and so does what is locked", () => {
  const desk = begun();
  desk.perform("toggleLocked", { id: 2 });
  run(desk, "run", [10, 11]);
  assert.is(objectOf(desk, 1).on[10].found!.by, "prompt");
  assert.equal(framesOn(desk, 1), [10, 11]);
  assert.equal(framesOn(desk, 2), [10]);
});

Tracks("a correction stands on what was tracked, and without it that comes back", () => {
  const desk = begun();
  run(desk, "run", [11, 12]);
  const before = objectOf(desk, 1).on[12].found;
  desk.perform("select", { id: 1 });
  desk.perform("frame", { frame: 12 });
  desk.perform("click", { x: 0, y: 0, label: 0 });
  const under = (frame: number) => sayings(desk.doc).find((one) => one.id === 1 && one.frame === frame)?.under;
  assert.equal(under(12), mask(5));
  answer(desk, 1);
  assert.equal(under(12), mask(5));
  assert.is(under(10), undefined);
  desk.perform("removeClick", { index: 0 });
  assert.is(objectOf(desk, 1).on[12].found, before);
  assert.is(under(12), undefined);
});

Tracks(
  "what the model is told are prompts and whole masks, the first object first, and nothing that it found itself",
  () => {
    const desk = begun();
    run(desk, "run", [11, 12]);
    desk.perform("select", { id: 2 });
    desk.perform("frame", { frame: 11 });
    desk.perform("brush", { added: mask(2), erased: undefined });
    const told = sayings(desk.doc).map(({ id, frame, prompt, mask }) => [
      id,
      frame,
      prompt ? "prompt" : mask && "mask",
    ]);
    assert.equal(told, [
      [1, 10, "prompt"],
      [2, 10, "prompt"],
      [2, 11, "mask"],
    ]);
    assert.is(new Set(sayings(desk.doc).map(({ key }) => key)).size, 3);
  },
);

Tracks("more clicks extend a prompt; fewer, others or another box do not", () => {
  const clicks = [1, 2, 3].map((x) => ({ x, y: 0, label: 1 as const }));
  const [two, three] = [{ clicks: clicks.slice(0, 2) }, { clicks }];
  assert.ok(extendsPrompt(three, two));
  assert.ok(extendsPrompt(two, two));
  assert.not(extendsPrompt(two, three));
  assert.not(extendsPrompt({ clicks: clicks.slice(1) }, two));
  assert.not(extendsPrompt({ clicks, box: [0, 0, 1, 1] }, two));
});

Tracks("a lane shows where an object is seen, how sure the model is, and where it was prompted", () => {
  const desk = begun();
  run(desk, "run", [11, 12, 13], 6);
  desk.perform("tracked", { run: "run", frame: 13, found: { 1: tracked(0.1) } });
  const one = laneOf(objectOf(desk, 1).on, FRAMES, FRAMES);
  assert.equal([...one.seen].flatMap((seen, frame) => (seen ? [frame] : [])), [10, 11, 12, 13]); // prettier-ignore
  assert.equal(one.prompted, [10]);
  assert.is(one.sure[10], 1);
  assert.ok(one.sure[12] > 0.95 && one.sure[13] < 0.1);
  assert.ok(Number.isNaN(one.sure[14]));
  const two = laneOf(objectOf(desk, 2).on, FRAMES, FRAMES);
  assert.equal([two.seen[12], two.sure[12] > 0.95], [0, true]);
  const narrow = laneOf(objectOf(desk, 1).on, FRAMES, 10); // of ten frames in a column the least sure counts
  assert.ok(narrow.seen[1] === 1 && narrow.sure[1] < 0.1);
});

Tracks("frames to check are those of the least certain score, either way, and not neighbours of each other", () => {
  const desk = begun();
  run(desk, "run", [20, 21, 40, 60, 80], 6);
  for (const [frame, score] of [
    [40, -0.2],
    [41, 0.4],
    [60, 1],
    [80, -6],
  ] as const) {
    desk.perform("tracked", { run: "run", frame, found: { 1: tracked(score) } });
  }
  assert.equal(leastSure(desk.doc), [40, 60]);
  assert.ok(momentOf({ found: tracked(-6) }).sure > 0.95);
  desk.perform("frame", { frame: 50 });
  for (const frame of [60, 40, 60]) {
    desk.perform("nextUnsure");
    assert.is(desk.doc.frame, frame);
  }
});

Tracks("the playhead stays in the video", () => {
  const desk = begun();
  for (const [name, frame] of [
    ["strideOn", 20],
    ["nextFrame", 21],
    ["strideBack", 11],
    ["firstFrame", 0],
    ["previousFrame", 0],
    ["lastFrame", 99],
    ["strideOn", 99],
  ] as const) {
    desk.perform(name);
    assert.is(desk.doc.frame, frame, name);
  }
});

Tracks("times are said as people say them", () => {
  assert.is(timeLeft(20, 60), "1 s left");
  assert.is(timeLeft(100, 420), "about 40 s left");
  assert.is(timeLeft(1000, 300), "about 5 min left");
  assert.is(clock(0), "0:00.0");
  assert.is(clock(67.25), "1:07.2");
});

Tracks.run();
