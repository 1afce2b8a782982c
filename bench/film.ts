// npx tsx bench/film.ts [--chromium] [case …]: what a frame of an mp4 costs, all included, from the file to the written masks,
// how much of that is the model, and the memory that it takes, by the built command; in a page of Chromium that uses the built
// package, to the mask in the page. Weights are drawn, but nano's; ffmpeg draws the film. Each case runs in a process of its own.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { hashWeights } from "../golden/hash_weights.ts";
import { describeMachine } from "../src/cli/machine.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { edgeTamConfig, type Sam2Config, variantConfig } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import type { Graph } from "../src/predict/sam2.ts";
import { numel } from "../src/tensor/shape.ts";
import { hasChromium, NO_CHROMIUM } from "../tests/chromium.ts";
import { filmInChromium } from "./film_in_chromium.ts";

const BUILT = new URL("../dist/", import.meta.url);
const MAIN = fileURLToPath(new URL("cli/main.js", BUILT));
const built = <M>(path: string): Promise<M> => import(new URL(path, BUILT).href);

/** Frames until the memory is full and the engine's code is fast. */
const FILLING = 18;

interface Film {
  /** undefined: nano */
  config?: Sam2Config;
  size: [width: number, height: number];
  /** 1024 if not given */
  imageSize?: number;
  frames: number;
}

const FILMS: Record<string, Film> = {
  nano: { size: [1280, 720], frames: 80 },
  "edgetam.512": { config: edgeTamConfig(), size: [1280, 720], imageSize: 512, frames: 30 },
  "edgetam.768": { config: edgeTamConfig(), size: [1280, 720], imageSize: 768, frames: 20 },
  edgetam: { config: edgeTamConfig(), size: [1280, 720], frames: 15 },
  "tiny.512": { config: variantConfig("tiny", "2.1"), size: [1280, 720], imageSize: 512, frames: 15 },
  "tiny.768": { config: variantConfig("tiny", "2.1"), size: [1280, 720], imageSize: 768, frames: 8 },
  tiny: { config: variantConfig("tiny", "2.1"), size: [1920, 1080], frames: 5 },
};

const { values: options, positionals: asked } = parseArgs({
  options: { chromium: { type: "boolean" }, in: { type: "string" } }, // in: the folder of a case that is drawn
  allowPositionals: true,
});
const inChromium = options.chromium ?? false;
const unknown = asked.filter((name) => !(name in FILMS));
if (unknown.length > 0) {
  console.error(`film: expected some of ${Object.keys(FILMS).join(", ")}, got ${unknown.join(", ")}`);
  process.exit(2);
}
if (inChromium && !hasChromium) {
  console.error(`film: ${NO_CHROMIUM}`);
  process.exit(2);
}
if (options.in === undefined) {
  const { cpu, cores, os, node } = describeMachine();
  console.log(`${cpu}, ${cores} cores, ${os}, Node ${node}`);
  for (const name of asked.length > 0 ? asked : Object.keys(FILMS)) alone(name);
} else {
  process.chdir(options.in);
  await (inChromium ? measureInChromium : measure)(asked[0], FILMS[asked[0]], options.in);
}

/** In a process of its own, in a folder with film.mp4 and model.safetensors. */
function alone(name: string): void {
  const { config, size, frames } = FILMS[name];
  const folder = mkdtempSync(join(tmpdir(), "sam2-film-"));
  try {
    drawFilm(join(folder, "film.mp4"), size, FILLING + frames);
    if (config) writeWeights(join(folder, "model.safetensors"), config);
    else copyFileSync(DEMO_MODEL.url, join(folder, "model.safetensors"));
    const args = [fileURLToPath(import.meta.url), ...(inChromium ? ["--chromium"] : []), name, "--in", folder];
    const { status } = spawnSync(process.execPath, [...process.execArgv, ...args], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(name: string, { config, size, imageSize }: Film): Promise<void> {
  const { main } = await built<typeof import("../src/cli/cli.ts")>("cli/cli.js");
  const { nodePlatform } = await built<typeof import("../src/platform/node.ts")>("platform/node.js");
  const { setPlatform } = await built<typeof import("../src/platform/platform.ts")>("platform/platform.js");
  const { Sam2 } = await built<typeof import("../src/predict/sam2.ts")>("predict/sam2.js");
  const clock = timeModel(Sam2);
  const seen: { ms: number; model: number }[] = [];
  let before = 0;
  const write = (line: string) => {
    seen.push({ ms: JSON.parse(line).ms, model: clock.ms - before });
    before = clock.ms;
  };
  const point = size.map((side) => side / 2).join(",");
  const model = ["--model", config ? "model.safetensors" : "nano"];
  if (imageSize) model.push("--image-size", `${imageSize}`);
  const prompt = ["--object", "1", "--point", point];
  const args = ["track", "film.mp4", ...model, ...prompt, "--json", "--quiet", "--out", "out"];
  const stderr = { write: (text: string) => process.stderr.write(text) };
  setPlatform(nodePlatform);
  const code = await main(args, { stdout: { write }, stderr, env: {}, signal: new AbortController().signal });
  if (code !== 0) throw new Error(`sam2 track ended with ${code}`);
  const steady = seen.slice(FILLING);
  const [ms, inModel] = [median(steady.map(({ ms }) => ms)), median(steady.map(({ model }) => model))];
  const times = `${ms.toFixed(1).padStart(7)} ms a frame · model ${inModel.toFixed(1).padStart(7)} ms`;
  console.log(
    `${head(name, size)} ${times} = ${((100 * inModel) / ms).toFixed(1)} % · peak ${peakOf(args).toFixed(0)} MB`,
  );
}

/** The most memory of the built command, until its memory bank is full, in MB. */
function peakOf(args: readonly string[]): number {
  const tell = `data:text/javascript,process.on("exit",()=>console.error(process.resourceUsage().maxRSS))`;
  const command = ["--import", tell, MAIN, ...args, "--max-frames", `${FILLING}`];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`the built command failed, is it built? ${stderr}`);
  return (Math.max(...stderr.trim().split("\n").map(Number)) * 1024) / 1e6;
}

async function measureInChromium(name: string, { size, imageSize }: Film, folder: string): Promise<void> {
  const { all, decoding, withoutFile } = await filmInChromium(folder, imageSize, FILLING);
  const ms = (times: number[]) => `${median(times).toFixed(1).padStart(7)} ms`;
  const parts = `from pixels in memory ${ms(withoutFile)} · decoding alone ${ms(decoding)}`;
  console.log(`${head(name, size)} ${ms(all)} a frame, Chromium · ${parts}`);
}

function head(name: string, size: Film["size"]): string {
  return `${name.padEnd(12)} ${size.join("×").padEnd(10)}`;
}

function drawFilm(path: string, [width, height]: Film["size"], frames: number): void {
  const source = ["-f", "lavfi", "-i", `testsrc2=size=${width}x${height}:rate=25`];
  const { status, stderr } = spawnSync("ffmpeg", [
    ...["-v", "error", ...source, "-frames:v", `${frames}`],
    ...["-pix_fmt", "yuv420p", path],
  ]);
  if (status !== 0) throw new Error(`ffmpeg cannot draw a film: ${stderr}`);
}

function writeWeights(path: string, config: Sam2Config): void {
  const weights = [...hashWeights(parameters(config))].map(([name, { shape, read }]) => {
    const data = new Float32Array(numel(shape));
    read(data);
    return [name, { shape, data }] as const;
  });
  writeFileSync(path, writeSafetensors(new Map(weights), {}));
}

/** Time spent in the graph from now on; resizing frames and masks is not part of it. */
function timeModel({ prototype }: typeof import("../src/predict/sam2.ts").Sam2): { readonly ms: number } {
  const clock = { ms: 0 };
  const timed = <F extends (...args: never[]) => unknown>(forward: F): F =>
    ((...args: Parameters<F>) => {
      const start = performance.now();
      try {
        return forward(...args);
      } finally {
        clock.ms += performance.now() - start;
      }
    }) as F;
  const { run } = prototype;
  prototype.run = function (forward, signal) {
    const inner = (graph: Graph) => {
      const tracker = Object.entries(graph.tracker!).map(([name, step]) => [name, timed(step)]);
      const forwardImage = timed(graph.forwardImage);
      return forward({ ...graph, forwardImage, tracker: Object.fromEntries(tracker) as Graph["tracker"] });
    };
    return run.call(this, inner, signal) as ReturnType<typeof forward>;
  };
  return clock;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
