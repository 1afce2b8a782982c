// A process of the pool: one model, one task at a time, and the next one's image decoded meanwhile.
import { EngineError } from "../errors.ts";
import { packError } from "../engine/packed_error.ts";
import { Sam2 } from "../engine/sam2.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import type { Progress } from "../predict/progress.ts";
import { isAccident } from "./accident.ts";
import type { FromProcess, ProcessOptions, ToProcess } from "./pool_messages.ts";
import { Processor } from "./process.ts";
import { savedState } from "./saved_state.ts";
import { keyOfText, type Task } from "./task.ts";
import type { SavedState } from "./video_job.ts";

setPlatform(nodePlatform);
process.on("disconnect", () => process.exit()); // whoever asked is gone
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {}); // Ctrl-C reaches the whole group

const aborts = new Map<number, AbortController>();
let processor: Promise<Processor>;
let turn = Promise.resolve();

process.on("message", (message: ToProcess) => {
  if ("load" in message) processor = load(message.load);
  else if ("run" in message) void take(message.run, message.task);
  else aborts.get(message.abort)?.abort(new Error("stopped"));
});

function say(message: FromProcess): void {
  process.send!(message, () => {}); // who is gone hears nothing, and this process ends
}

async function load(options: ProcessOptions): Promise<Processor> {
  try {
    const { model, config, imageSize, kernels = "auto", threads = 1, scratch } = options;
    const sam2 = await Sam2.fromPretrained(model, { config, imageSize, kernels, threads });
    const digest = await keyOfText(JSON.stringify([sam2.digest, sam2.config, kernels]));
    const { name, version, imageSize: size } = sam2.config;
    say({ ready: { name, version, imageSize: size, digest } });
    return new Processor(sam2, (key) => (scratch === undefined ? NOWHERE : savedState(scratch, key)));
  } catch (error) {
    say({ broken: packError(error) });
    return new Promise(() => {});
  }
}

/** Without a folder a video that is interrupted begins anew. */
const NOWHERE: SavedState = {
  read: async () => undefined,
  write: async () => {},
  readLines: async () => undefined,
  writeLines: async () => {},
};

async function take(n: number, task: Task): Promise<void> {
  const abort = new AbortController();
  const { signal } = abort;
  aborts.set(n, abort);
  const worker = await processor;
  const notice = (text: string) => say({ notice: text });
  const decoding = worker.decode(task, notice);
  decoding.catch(() => {}); // told when it is its turn
  const before = turn;
  const run = async () => {
    await before;
    const image = await decoding;
    signal.throwIfAborted();
    const progress = "video" in task.job ? (progress: Progress) => say({ of: n, progress }) : undefined;
    return worker.run(task, image, { signal, notice, progress });
  };
  const running = run();
  turn = running.then(
    () => {},
    () => {},
  );
  await running.then(
    (result) => say({ of: n, result }),
    (error) => {
      say({ of: n, error: packError(error), isAccident: isAccident(error) });
      if (error instanceof EngineError) process.disconnect(); // a new process has a new engine
    },
  );
  aborts.delete(n);
}
