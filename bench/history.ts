// Earlier versions of kernels, as their diaries count them: each validated, then timed in turns with the one in use.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nodePlatform } from "../src/platform/node.ts";
import { random } from "../tests/random.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ROUNDS = 9;
const ROUND_MS = 40;
const K = 192; // summed channels of the register tile: its operands stay in the first-level cache
const [N, D] = [1024, 96]; // queries and keys of the attention, and channels of its one head
const CHECKED = 5; // of its queries, against scalar loops

type Kernel = (...args: number[]) => void;

/** What is timed; its result lies in `out`. */
interface Version {
  name: string;
  run: Kernel;
  out: Float32Array;
}

/** Build them by asc, with fused multiply-adds where the engine has them, and print a table. */
export function runHistory(print: (line: string) => void): void {
  nodePlatform.prepareWasm();
  const fused = WebAssembly.validate(readFileSync(`${ROOT}build/kernels_fma.wasm`));
  const [target, name] = fused ? ["history_fma", "kernels_fma"] : ["history", "kernels"];
  const asc = `${ROOT}node_modules/assemblyscript/bin/asc.js`;
  const args = [asc, "kernels/history/index.ts", "--target", target];
  const built = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  if (built.status !== 0) throw new Error(`asc could not build kernels/history:\n${built.stderr}`);

  const module = new WebAssembly.Module(readFileSync(`${ROOT}build/history/${name}.wasm`));
  const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let free = (exports.heap_base as () => number)();
  const next = random(1);
  /** Random values, a line of the cache apart from those before. */
  const floats = (length: number) => {
    const values = new Float32Array(memory.buffer, Math.ceil(free / 64) * 64, length);
    free = values.byteOffset + values.byteLength;
    for (let i = 0; i < length; i++) values[i] = next();
    return values;
  };
  const kernel = (name: string) => exports[name] as Kernel;

  print(`${"".padEnd(44)}   min ms  median ms  GFLOP/s`);
  for (const tile of ["6x8", "6x16"])
    compare(tiles(kernel, floats, tile), 2 * 6 * (tile === "6x8" ? 8 : 16) * K, print);
  compare(attentions(kernel, floats), 4 * N * N * D, print);
}

type Floats = (length: number) => Float32Array;

/** c[6, 16] = a[6, K]·b[K, 16]: version 1 reads a packed by rows of six, the others where it lies. */
function tiles(kernel: (name: string) => Kernel, floats: Floats, tile: string): Version[] {
  const [a, packed, b, bias] = [floats(6 * K), floats(6 * K), floats(16 * K), floats(16)];
  const rows = new Uint32Array(floats(6).buffer, floats(6).byteOffset, 6);
  for (let row = 0; row < 6; row++) {
    rows[row] = a.byteOffset + 4 * row * K;
    for (let k = 0; k < K; k++) packed[6 * k + row] = a[row * K + k];
  }
  const columns = tile === "6x8" ? 8 : 16;
  const want = Array.from({ length: 6 * 16 }, (_, i) => {
    const [row, column] = [Math.floor(i / 16), i % 16];
    return a.subarray(row * K, row * K + K).reduce((sum, x, k) => sum + x * b[16 * k + column], bias[column]);
  });
  return [
    ["1, a packed", "_v1", packed.byteOffset],
    ["2, a read in place", "_v2", rows.byteOffset],
    ["4, four steps a round (6×16), in use", "", rows.byteOffset],
  ].map(([version, suffix, operand]) => {
    const out = floats(6 * 16).fill(0);
    const run = kernel(`gemm_f32_${tile}${suffix}`);
    const call = () => run(out.byteOffset, 64, bias.byteOffset, 0, Number(operand), b.byteOffset, 64, K);
    call();
    expectNear(
      `tile ${tile} ${version}`,
      out,
      want.map((x, i) => (i % 16 < columns ? x : 0)),
    );
    return { name: `tile ${tile}: ${version}`, run: call, out };
  });
}

/** o = softmax(q·kᵀ/√d)·v of one head, adjacent rows. */
function attentions(kernel: (name: string) => Kernel, floats: Floats): Version[] {
  const [q, k, v] = [floats(N * D), floats(N * D), floats(N * D)];
  const scratch = floats(2 ** 20).byteOffset;
  const scale = 1 / Math.sqrt(D);
  const want = Array.from({ length: CHECKED }, (_, n) => {
    const row = (t: Float32Array, i: number) => t.subarray(i * D, i * D + D);
    const scores = Array.from(
      { length: N },
      (_, s) => row(q, n).reduce((sum, x, c) => sum + x * row(k, s)[c], 0) * scale,
    );
    const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const total = weights.reduce((sum, x) => sum + x, 0);
    return Array.from({ length: D }, (_, c) => weights.reduce((sum, w, s) => sum + w * v[s * D + c], 0) / total);
  }).flat();
  const strides = [0, 0, 4 * D];
  return [
    ["1, eˣ and f32x4.max", "_v1", scale, [192]],
    ["2, f32x4.pmax", "_v2", scale, [192]],
    ["21, in use", "", scale * Math.LOG2E, [510, 256, 0]],
  ].map(([version, suffix, factor, sizes]) => {
    const out = floats(N * D).fill(0);
    const run = kernel(`attention_f32${suffix}`);
    const tensors = [out, q, k, v].flatMap((t) => [t.byteOffset, ...strides]);
    const tile = sizes as number[];
    const call = () => run(...tensors, 1, N, N, D, D, Number(factor), ...tile, 1, scratch, 0, Math.ceil(N / tile[0]));
    call();
    expectNear(`attention ${version}`, out.subarray(0, CHECKED * D), want);
    return { name: `attention: ${version}`, run: call, out };
  });
}

/** @throws unless every value is within 10⁻⁵ of the largest */
function expectNear(name: string, got: Float32Array, want: readonly number[]): void {
  const most = Math.max(...want.map(Math.abs));
  const at = want.findIndex((x, i) => !(Math.abs(x - got[i]) <= 1e-5 * most));
  if (at >= 0) throw new Error(`${name}: wrong result at ${at}: expected ${want[at]}, got ${got[at]}`);
}

/** Time versions in turns, so that what else the machine does falls on all alike. */
function compare(versions: readonly Version[], flop: number, print: (line: string) => void): void {
  const times = versions.map(() => [] as number[]);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, { run }] of versions.entries()) {
      const start = performance.now();
      let runs = 0;
      for (; performance.now() - start < ROUND_MS; runs++) for (let n = 0; n < repeats(flop); n++) run();
      if (round > 0) times[i].push((performance.now() - start) / (runs * repeats(flop))); // the first round warms up
    }
  }
  for (const [i, { name }] of versions.entries()) {
    const sorted = times[i].toSorted((a, b) => a - b);
    const [min, median] = [sorted[0], sorted[sorted.length >> 1]];
    const columns = [min.toPrecision(3).padStart(9), median.toPrecision(3).padStart(11)];
    print(`${name.padEnd(44)}${columns.join("")}${(flop / median / 1e6).toFixed(1).padStart(9)}`);
  }
}

/** Calls between two looks at the clock: a tile takes a microsecond. */
function repeats(flop: number): number {
  return Math.max(1, Math.round(1e7 / flop));
}
