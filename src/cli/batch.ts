import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { type InputOptions, openInput } from "../jobs/batch_input.ts";
import { readEntries } from "../jobs/entries.ts";
import type { ImageRequest } from "../jobs/job.ts";
import { nodeSource } from "../jobs/node_source.ts";
import { type JsonPrompt, PROMPT_ENTRY } from "../jobs/prompts.ts";
import { runJobs } from "../jobs/run_jobs.ts";
import { Store } from "../jobs/store.ts";
import { readInput } from "../platform/node_files.ts";
import { notify } from "../platform/notices.ts";
import { BatchReport } from "./batch_report.ts";
import { type Computing, openComputing } from "./batch_computing.ts";
import { addMaskOptions, type MaskOptions, maskOptions } from "./everything_options.ts";
import { type Io, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, type Click, click, corners, count, type ModelOptions, once } from "./options.ts";

interface BatchOptions extends ModelOptions, MaskOptions {
  model?: string;
  out: string;
  workers?: number;
  queue?: string;
  carry?: boolean;
  retries: number;
  everything?: boolean;
  prompts?: string;
  point?: Click[];
  box?: [number, number, number, number];
  images?: string;
}

const EXAMPLES = `
Examples:
  sam2 batch jobs.jsonl --out results --model tiny            a job a line, see below
  sam2 batch photos --everything --points-per-side 16 --out results
  sam2 batch detections.json --images val2017 --out masks     COCO's boxes → masks
  sam2 batch jobs.jsonl --out results                         again: does only what is missing

Lines of a file of jobs; paths are relative to it:
  {"image": "truck.jpg", "prompts": [{"points": [[500, 375]]}, {"box": [425, 600, 700, 875]}]}
  {"image": "https://example.org/truck.jpg", "everything": {"pointsPerSide": 16}}
  {"video": "frames", "prompts": [{"object": 1, "frame": 0, "points": [[210, 350]]}], "id": "clip-1"}

Writes <id>.json, what --json of the other commands prints without its times; of a video <id>.jsonl, a line a frame. Without
"id" it is made from content: bytes, request and model, so that equal jobs are one. failed.jsonl says what failed and why,
batch.json sums up. What cannot be read is tried once; what fails by accident, again; of a job that ends two processes
nothing more is tried. Ctrl-C and SIGTERM let images under way end and save videos; the same command goes on.
`;

/** sam2 batch JOBS.jsonl|FOLDER|COCO.json */
export function addBatch(program: Command, io: Io): void {
  const command = program
    .command("batch")
    .summary("thousands of images and videos, on all cores; goes on where it stopped")
    .description("Do many jobs, each once, whatever fails meanwhile.")
    .argument(
      "<jobs>",
      "a file with a job a line (- for standard input), a folder of pictures, or a COCO file of boxes",
    )
    .requiredOption("--out <folder>", "where results go")
    .optionsGroup("Processes:")
    .option(
      "--workers <n>",
      "processes, each with the model (default: as cores and memory allow)",
      count("--workers", 0),
    )
    .option("--retries <r>", "try again what failed by accident", count("--retries", 0), 2)
    .option("--queue <url>", "let sam2 worker --queue compute, on as many machines as there are: redis://…")
    .option("--carry", "with --queue: send the bytes of images along")
    .optionsGroup("Of a folder, for every picture:")
    .option("--everything", "find every object")
    .option("--point <x,y[,0]>", "a click; may be repeated", click)
    .option("--box <x0,y0,x1,y1>", "a box", once("--box", corners))
    .option("--prompts <file>", "prompts, as JSON")
    .optionsGroup("Of a COCO file:")
    .option("--images <folder>", "where its pictures are (default: beside it)");
  addMaskOptions(command);
  addModelOptions(command, "threads of each process (default: 1)");
  command.addHelpText("after", EXAMPLES).action((path: string, options: BatchOptions) => batch(path, options, io));
}

async function batch(path: string, options: BatchOptions, io: Io): Promise<void> {
  const { out, quiet, json, retries } = options;
  expectComputing(options);
  const { signal } = io;
  const status = new Status(io, quiet);
  status.show(`reading ${path} …`);
  const input = await openInput(path, await inputOptions(options));
  const notice = (text: string) => {
    status.clear();
    notify(text);
  };
  if (input.note) notice(input.note);
  const model = await chosenModel(options, io);
  const store = await Store.open(out);
  let computing: Computing | undefined;
  try {
    status.show(`loading ${model} …`);
    computing = await openComputing(model, store.scratch, options, notice, signal);
    const { runner } = computing;
    const report = new BatchReport(path, input.count, io, status, { json, quiet });
    const source = nodeSource(input.folder, signal);
    const isDone = (task: Parameters<Store["has"]>[0]) => store.has(task);
    for await (const outcome of runJobs(input.jobs, { runner, source, retries, isDone, signal, notice })) {
      await store.settle(outcome);
      report.add(outcome);
    }
    const summary = await store.finish(runner.model);
    report.end(summary, out);
  } finally {
    status.clear();
    await computing?.close();
    await store.leave();
  }
}

function expectComputing({ queue, carry, workers }: BatchOptions): void {
  if (queue === undefined && carry) throw new UsageError("--carry", "--queue", "none", "add --queue redis://…");
  if (queue !== undefined || workers !== 0) return;
  throw new UsageError("--workers", "at least one, or --queue", "0", "leave it out, or let others compute: --queue");
}

/** What the options say about a folder's pictures, or a COCO file's. */
async function inputOptions(options: BatchOptions): Promise<InputOptions> {
  const { everything, prompts, point, box, images } = options;
  const asked = maskOptions(options);
  const kinds = [everything, prompts, point ?? box].filter((kind) => kind !== undefined);
  if (kinds.length > 1) {
    throw new UsageError("batch", "--everything, --prompts, or --point and --box", "several", "choose one of them");
  }
  const named = Object.keys(asked).filter((name) => name !== "multimaskOutput" || asked.multimaskOutput === false);
  if (!everything && named.length > 0) {
    throw new UsageError("batch", "--everything", `options of it alone (${named[0]})`, "add --everything");
  }
  let request: ImageRequest | undefined;
  if (everything) request = { everything: Object.fromEntries(named.map((name) => [name, asked[name as "maxArea"]])) };
  else if (prompts !== undefined) {
    const entries = await readEntries(prompts, PROMPT_ENTRY, readInput);
    const beside = (file: unknown) => (typeof file === "string" ? resolve(dirname(prompts), file) : file);
    request = {
      prompts: entries.map(({ fields: { maskInput, maskImage, ...fields } }) => {
        const files = { maskInput: beside(maskInput), maskImage: beside(maskImage) };
        return { ...fields, ...files } as JsonPrompt;
      }),
    };
  } else if (point || box) {
    request = { prompts: [{ points: point?.map((c) => c.point), labels: point?.map((c) => c.label), box }] };
  }
  return { request, images };
}
