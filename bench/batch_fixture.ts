/** Jobs about drawn pictures, the command that does them, and what it leaves. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { goldenImage } from "../golden/hash_image.ts";
import { encodePng } from "../src/io/png.ts";
import { random } from "../tests/random.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const [WIDTH, HEIGHT] = [160, 120];

/** Gone when the process ends. */
export const folder = mkdtempSync(join(tmpdir(), "sam2-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

interface JobsOptions {
  /** pictures that cannot be read, among the jobs */
  poison?: number;
  /** of each picture there are several jobs, as ids are made from what is asked */
  pictures?: number;
  /** videos beside the jobs */
  clips?: number;
}

/** A file of so many jobs about images. */
export function writeJobs(jobs: number, { poison = 0, pictures = 20, clips = 0 }: JobsOptions = {}): string {
  mkdirSync(join(folder, "img"), { recursive: true });
  for (let i = 0; i < pictures; i++) writePicture(join("img", `${i}.png`), i);
  writeFileSync(join(folder, "img", "bad.png"), "no picture");
  const values: object[] = Array.from({ length: jobs }, (_, n) => {
    const isPoison = poison > 0 && n % Math.floor(jobs / poison) === 0;
    const image = !isPoison ? `img/${n % pictures}.png` : n % 2 ? `img/missing${n}.png` : "img/bad.png";
    return { image, prompts: [{ points: [[n % WIDTH, Math.floor(n / WIDTH) % HEIGHT]] }] };
  });
  for (let c = 0; c < clips; c++) {
    mkdirSync(join(folder, `clip${c}`), { recursive: true });
    for (let i = 0; i < CLIP_FRAMES; i++) writePicture(join(`clip${c}`, `${i}.png`), c * CLIP_FRAMES + i);
    values.splice(Math.floor((c * jobs) / clips), 0, { video: `clip${c}`, prompts: [{ points: [[80, 60]] }] });
  }
  const path = join(folder, "jobs.jsonl");
  writeFileSync(path, values.map((value) => `${JSON.stringify(value)}\n`).join(""));
  return path;
}

const CLIP_FRAMES = 24;

function writePicture(name: string, seed: number): void {
  const data = goldenImage(seed, WIDTH, HEIGHT);
  writeFileSync(join(folder, name), encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data }));
}

/** sam2 …, with nano; its errors are shown. */
export function sam2(...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args, "--model", "nano", "--quiet"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: folder },
  });
}

export interface Line {
  id: string;
  state: "done" | "failed" | "skipped";
  ms: number;
}

/** Wait for it. */
export async function ended(child: ChildProcess): Promise<{ code: number | null; lines: Line[] }> {
  let text = "";
  child.stdout!.on("data", (chunk) => (text += chunk));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, lines: linesOf(text) };
}

/** Lines of JSON; one that was cut off by a kill is none. */
export function linesOf(text: string): Line[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

/** Of all files in a folder of results. */
export function digest(out: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(join(folder, out)).sort()) {
    hash.update(name).update(readFileSync(join(folder, out, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Of 0…1, the same in every run. */
export function draws(seed: number): () => number {
  const signed = random(seed);
  return () => (signed() + 1) / 2;
}
