import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../src/cli/cli.ts";
import type { Output } from "../src/cli/io.ts";
import { encodePng } from "../src/io/png.ts";
import { type WrittenTensor, writeSafetensors } from "../src/io/safetensors.ts";
import type { HieraConfig } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import { numel } from "../src/tensor/shape.ts";
import { Golden } from "../golden/golden.ts";
import { goldenImage } from "../golden/hash_image.ts";
import { hashWeights } from "../golden/hash_weights.ts";

/** What a command printed, and how it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  signal?: AbortSignal;
  /** columns of a terminal; none if the output goes to files */
  columns?: number;
}

/** An empty folder that is the working directory until `leave`. */
export function enterFolder() {
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), "sam2-cli-"));
  process.chdir(folder);
  const leave = () => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  };
  return { folder, leave };
}

/** Run `sam2 …args` in this process. */
export async function sam2(args: readonly string[], { env = {}, signal, columns }: RunOptions = {}): Promise<Outcome> {
  const texts = { stdout: "", stderr: "" };
  const collect = (name: "stdout" | "stderr"): Output => ({
    write: (text) => {
      texts[name] += text;
    },
    isTTY: columns !== undefined,
    columns,
  });
  const io = {
    stdout: collect("stdout"),
    stderr: collect("stderr"),
    env,
    signal: signal ?? new AbortController().signal,
  };
  const code = await main(args, io);
  return { code, ...texts };
}

/** The configuration small_a, 1.7 million parameters. */
export const SMALL = new Golden("small_a.image_encoder").entry.model as HieraConfig;

/** The hash weights of small_a under Meta's names. */
export function smallWeights(): Map<string, WrittenTensor> {
  return new Map(
    [...hashWeights(parameters(SMALL))].map(([name, { shape, read }]) => {
      const data = new Float32Array(numel(shape));
      read(data);
      return [name, { shape, data }];
    }),
  );
}

/** Write a checkpoint whose metadata say what its shapes do not. */
export function writeCheckpoint(path: string, weights: ReadonlyMap<string, WrittenTensor>): void {
  const { name, imageSize, numHeads, windowSpec, globalAttBlocks } = SMALL;
  const config = JSON.stringify({ name, imageSize, numHeads, windowSpec, globalAttBlocks });
  writeFileSync(path, writeSafetensors(weights, { config }));
}

/** Write a drawn picture. */
export function writePhoto(path: string, width: number, height: number): void {
  writeFileSync(path, encodePng({ width, height, channels: 3, data: goldenImage(1, width, height) }));
}

export function readBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}
