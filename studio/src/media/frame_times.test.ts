// Frames by number: what packets tell, and where decoding begins.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { frameAt, frameTimes, nearestFrame, restartAt } from "./frame_times.ts";
import { inOrder } from "./frames.ts";

const packet = (timestamp: number, isKey = false) => ({ timestamp, duration: 0.04, isKey });

const Times = suite("studio: frames by number");

Times("packets come in the order of decoding, frames in the order of time, each once, none before time 0", () => {
  const { times, keys, duration } = frameTimes([
    packet(-0.08),
    packet(0, true),
    packet(0.12),
    packet(0.04),
    packet(0.08),
    packet(0.08),
    packet(0.16, true),
  ]);
  assert.equal([...times], [0, 0.04, 0.08, 0.12, 0.16]);
  assert.equal(keys, [0, 4]);
  assert.is(duration, 0.2);
});

Times("a time belongs to the frame that is shown then; a decoder's to the nearest", () => {
  const times = Float64Array.of(0, 0.1, 0.5);
  assert.equal([-1, 0, 0.09, 0.1, 0.4, 9].map((time) => frameAt(times, time)), [0, 0, 0, 1, 1, 2]); // prettier-ignore
  assert.equal([0.0999, 0.1001, 0.3001, 7].map((time) => nearestFrame(times, time)), [1, 1, 2, 2]); // prettier-ignore
});

Times("decoding goes on where it stands unless a key frame lies between, and takes frames along backward", () => {
  const keys = [0, 50, 100];
  assert.is(restartAt(10, undefined, keys, 8), 10);
  assert.is(restartAt(12, 11, keys, 8), undefined);
  assert.is(restartAt(49, 11, keys, 8), undefined);
  assert.is(restartAt(60, 11, keys, 8), 60);
  assert.is(restartAt(40, 45, keys, 8), 33);
  assert.is(restartAt(52, 60, keys, 8), 50);
});

Times("frames of a folder are in the command line's order", () => {
  const order = (...names: string[]) => inOrder(names.map((name) => ({ name }))).map(({ name }) => name);
  assert.equal(order("frame_10.jpg", "frame_2.jpg"), ["frame_2.jpg", "frame_10.jpg"]);
  assert.equal(order("10.jpg", "9.png", "008.jpg", "0.5.jpg"), ["0.5.jpg", "008.jpg", "9.png", "10.jpg"]);
});

Times.run();
