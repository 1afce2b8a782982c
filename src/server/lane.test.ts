import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { featureBytes, ImagePredictor } from "../predict/image_predictor.ts";
import { Sam2 } from "../predict/sam2.ts";
import { Lane } from "./lane.ts";

const { signal } = new AbortController();

/** A lane whose first task ends when `open` is called, and what ran in which order. */
function held() {
  const lane = new Lane();
  const order: string[] = [];
  let open!: () => void;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const first = lane.run(() => gate, { limit: 0, signal });
  const add = (name: string, limit = 100, until = signal) =>
    lane.run(async () => void order.push(name), { limit, signal: until });
  return { lane, order, open, first, add };
}

const Lanes = suite("lane");

Lanes("who came first goes first; too many are refused", async () => {
  const { order, open, first, add } = held();
  const all = [add("a"), add("b")];
  await add("c", 2).then(assert.unreachable, ({ status }) => assert.is(status, 503));
  open();
  await Promise.all([first, ...all]);
  assert.equal(order, ["a", "b"]);
});

Lanes("who leaves while waiting is not run, and leaves room", async () => {
  const { order, open, first, add } = held();
  const leave = new AbortController();
  const left = add("left", 1, leave.signal).catch((error) => error);
  leave.abort(new Error("gone"));
  assert.is((await left).message, "gone");
  const stayed = add("stayed", 1);
  open();
  await Promise.all([first, stayed]);
  assert.equal(order, ["stayed"]);
});

Lanes("a task that fails lets the next one run", async () => {
  const lane = new Lane();
  const place = { limit: 1, signal };
  const failed = lane.run(() => Promise.reject(new Error("no")), place).catch(({ message }) => message);
  assert.is(await lane.run(async () => "next", place), "next");
  assert.is(await failed, "no");
  assert.is(lane.size, 0);
});

Lanes("the features of an image hold as many bytes as is counted on", async () => {
  setPlatform(nodePlatform);
  const sam2 = await Sam2.fromPretrained("nano", { threads: 1 });
  const before = sam2.machine.heap.bytesInUse;
  await new ImagePredictor(sam2).setImage({ width: 8, height: 8, data: new Uint8Array(192) });
  assert.is(sam2.machine.heap.bytesInUse - before, featureBytes(sam2.config));
  sam2.dispose();
});

Lanes.run();
