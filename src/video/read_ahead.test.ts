import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import type { Program } from "../platform/types.ts";
import { openFrames } from "./open.ts";

const [W, H, FRAMES] = [32, 24, 40];
/** What opening a file looks at. */
const OPENED = 17;

/** A program in ffmpeg's place: every frame is one grey, and none comes before it is asked for, nor after `last`. */
function decoder(last = FRAMES - 1) {
  const seen = { asked: 0, stopped: 0 };
  setPlatform({
    ...nodePlatform,
    exists: async () => true,
    async startProgram(_name, _args, onStderr): Promise<Program> {
      const lines = Array.from(
        { length: FRAMES },
        (_, n) => `[Parsed_showinfo_0 @ 0x1] [info] n: ${n} pts: ${n} duration: 1 fmt:rgb24 sar:1/1 s:${W}x${H} i:P\n`,
      );
      onStderr(`[Parsed_showinfo_0 @ 0x1] [info] config in time_base: 1/25, frame_rate: 25/1\n${lines.join("")}`);
      let end: (how: string) => void;
      const ended = new Promise<string>((resolve) => (end = resolve));
      return {
        ended,
        async read(length) {
          const frame = seen.asked++;
          if (frame > last) await ended;
          return frame > last ? new Uint8Array() : new Uint8Array(length).fill(frame);
        },
        stop() {
          seen.stopped++;
          end("signal SIGKILL");
        },
      };
    },
  });
  return seen;
}

const Ahead = suite("frames read ahead");

Ahead("while a frame is looked at, the next one comes in, and no further one", async () => {
  const seen = decoder();
  const frames = await openFrames("film.mp4");
  assert.is(seen.asked, OPENED + 1);
  for (let frame = 0; frame < FRAMES - 2; frame++) {
    const { data } = (await frames.read(frame, 1))!;
    assert.is(data[0], frame);
    assert.is(seen.asked, Math.max(OPENED, frame + 1) + 1);
  }
  frames.close();
  assert.is(seen.stopped, 1);
});

Ahead("an abort ends the wait for a frame that does not come, and closing ends the program", async () => {
  const seen = decoder(OPENED + 2);
  const frames = await openFrames("film.mp4");
  for (let frame = 0; frame <= OPENED + 2; frame++) await frames.read(frame, 1);
  const controller = new AbortController();
  const waiting = frames.read(OPENED + 3, 1, controller.signal);
  controller.abort();
  const error = await waiting.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.is(error, controller.signal.reason);
  frames.close();
  assert.is(seen.stopped, 1);
  assert.is(seen.asked, OPENED + 4);
});

Ahead.after(() => setPlatform(nodePlatform));
Ahead.run();
