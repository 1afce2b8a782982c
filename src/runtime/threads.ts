/**
 * Tiles of a kernel call on several threads: this one and its helpers, which lie in wait as long as the machine lives.
 * How they share the work stands in control.ts. After the first message a helper needs none; until it has begun, this
 * thread works alone.
 *
 * NB in Chromium a worker that a worker starts does not begin while its maker is busy, and a busy maker never learns of it:
 * so `started` must be awaited before the graph runs (the tiny encoder: 6.2 s on "two" threads before, 3.2 s since).
 */
import { EngineError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { Control, type HelperStart, type TileKernel } from "./control.ts";

/** Numbers that an exported operator kernel takes: addresses, sizes, strides in bytes, f32 scalars. */
export type Args = readonly number[];

/**
 * Run tiles [0, tiles) of an exported kernel `(…args, scratch, from, to)`. A tile computes its outputs whole and in one
 * order, so how tiles are split never changes a bit.
 */
export type ParallelFor = (kernel: string, tiles: number, args: Args) => void;

/** Room for one thread's packing and accumulators. */
export const SCRATCH_BYTES = 1 << 22;

/** A helper that does not finish a chunk of tiles in this time, though nobody else finishes one either, is dead. */
const PATIENCE_MS = 3000;
const SHARES = 16; // of the tiles of a call that a thread takes, so that none has to wait long for the last
const MOST_AT_ONCE = 16;

/** All tiles on the calling thread. */
export function oneThread(exports: WebAssembly.Exports, scratch: number): ParallelFor {
  return (kernel, tiles, args) => {
    if (tiles > 0) (exports[kernel] as TileKernel)(...args, scratch, 0, tiles);
  };
}

/** Helper threads, and the way to use them. */
export interface Threads {
  readonly parallelFor: ParallelFor;
  /** Every helper is at its post, or died, or let `PATIENCE_MS` pass, and is not waited for any more. */
  readonly started: Promise<void>;
  /** End the helpers. Calls fail from then on. */
  stop(): void;
}

/**
 * The calling thread and a helper for each of `scratches`.
 *
 * @throws EngineError, from a call or the next one, if a helper died or trapped; results are lost then
 */
export function severalThreads(
  start: Omit<HelperStart, "control" | "scratch">,
  exports: WebAssembly.Exports,
  scratch: number,
  scratches: readonly number[],
): Threads {
  const control = new Control();
  const alone = oneThread(exports, scratch);
  const kernels = new Map(WebAssembly.Module.exports(start.module).map(({ name }, i) => [name, i]));
  const threads = scratches.length + 1;
  let broken: EngineError | undefined;

  const fail = (got: string): EngineError => {
    broken ??= new EngineError("threads", "all helper threads at work", got, "load the model anew");
    return broken;
  };
  const helpers = scratches.map((scratch) => {
    let begun: () => void;
    const started = new Promise<void>((resolve) => (begun = resolve));
    const onDeath = (why: string) => {
      fail(`a dead one (${why})`);
      begun();
    };
    const helper = platform.startWorker("helper", { onMessage: () => begun(), onDeath });
    helper.post({ ...start, control: control.buffer, scratch } satisfies HelperStart);
    return { ...helper, started };
  });

  return {
    started: inTime(Promise.all(helpers.map(({ started }) => started))),
    parallelFor(kernel, tiles, args) {
      if (broken) throw broken;
      if (tiles < 2) return alone(kernel, tiles, args);
      const chunk = Math.max(1, Math.min(MOST_AT_ONCE, Math.floor(tiles / (threads * SHARES))));
      control.open(kernels.get(kernel)!, tiles, chunk, args);
      let finished = false;
      try {
        control.work(exports[kernel] as TileKernel, scratch);
      } finally {
        finished = control.close(PATIENCE_MS);
      }
      if (!finished) throw fail(`one that died or failed in ${kernel}`);
    },
    stop() {
      fail("none, since they were stopped");
      for (const helper of helpers) helper.stop();
    },
  };
}

/** When `all` is done, or after PATIENCE_MS. */
function inTime(all: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS);
    void all.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
