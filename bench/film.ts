// npx tsx bench/film.ts [case …]: what a frame of an mp4 costs, all included, from the file to the written masks, and how
// much of that is the model. Weights are drawn, but nano's; ffmpeg draws the film. Each case runs in a process of its own.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashWeights } from "../golden/hash_weights.ts";
import { main } from "../src/cli/cli.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { edgeTamConfig, type Sam2Config, variantConfig } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { type Graph, Sam2 } from "../src/predict/sam2.ts";
import { numel } from "../src/tensor/shape.ts";

/** Frames until the memory is full and the engine's code is fast. */
const FILLING = 18;

interface Film {
  /** undefined: nano */
  config?: Sam2Config;
  size: [width: number, height: number];
  options: string[];
  frames: number;
}

const FILMS: Record<string, Film> = {
  nano: { size: [1280, 720], options: [], frames: 80 },
  "edgetam.512": { config: edgeTamConfig(), size: [1280, 720], options: ["--image-size", "512"], frames: 30 },
  edgetam: { config: edgeTamConfig(), size: [1280, 720], options: [], frames: 15 },
  tiny: { config: variantConfig("tiny", "2.1"), size: [1920, 1080], options: [], frames: 5 },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in FILMS));
if (unknown.length > 0) {
  console.error(`film: expected some of ${Object.keys(FILMS).join(", ")}, got ${unknown.join(", ")}`);
  process.exit(2);
}
if (asked.length === 1) await measure(asked[0]);
else for (const name of asked.length > 0 ? asked : Object.keys(FILMS)) alone(name);

/** In a process of its own, whose memory is then that of the case. */
function alone(name: string): void {
  const { status } = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), name], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(1);
}

async function measure(name: string): Promise<void> {
  const { config, size, options, frames } = FILMS[name];
  const folder = mkdtempSync(join(tmpdir(), "sam2-film-"));
  process.chdir(folder);
  try {
    drawFilm("film.mp4", size, FILLING + frames);
    if (config) writeWeights("model.safetensors", config);
    const clock = timeModel();
    const seen: { ms: number; model: number }[] = [];
    let before = 0;
    const write = (line: string) => {
      seen.push({ ms: JSON.parse(line).ms, model: clock.ms - before });
      before = clock.ms;
    };
    const point = size.map((side) => side / 2).join(",");
    const model = ["--model", config ? "model.safetensors" : "nano", ...options];
    const args = [
      "track",
      "film.mp4",
      ...model,
      "--object",
      "1",
      "--point",
      point,
      "--json",
      "--quiet",
      "--out",
      "out",
    ];
    const stderr = { write: (text: string) => process.stderr.write(text) };
    setPlatform(nodePlatform);
    const code = await main(args, { stdout: { write }, stderr, env: {}, signal: new AbortController().signal });
    if (code !== 0) process.exit(code);
    const steady = seen.slice(FILLING);
    const [ms, inModel] = [median(steady.map(({ ms }) => ms)), median(steady.map(({ model }) => model))];
    const peak = process.resourceUsage().maxRSS / 1024;
    const what = `${name.padEnd(12)} ${size.join("×").padEnd(10)}`;
    const times = `${ms.toFixed(1).padStart(7)} ms a frame · model ${inModel.toFixed(1).padStart(7)} ms`;
    console.log(`${what} ${times} = ${((100 * inModel) / ms).toFixed(1)} % · peak ${peak.toFixed(0)} MiB`);
  } finally {
    process.chdir(tmpdir());
    rmSync(folder, { recursive: true, force: true });
  }
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
function timeModel(): { readonly ms: number } {
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
  const run = Sam2.prototype.run;
  Sam2.prototype.run = function (forward, signal) {
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
