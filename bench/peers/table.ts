// Rows as lines on the console and as the table of the README.
import type { Result, StageName } from "./job.ts";

export interface Row {
  stage: StageName;
  threads: number;
  peer: string;
  /** "Node 24.9.0", "Chromium 156" or "native" */
  runtime: string;
  version?: string;
  minMs?: number;
  medianMs?: number;
  runs?: number;
  peakBytes?: number;
  /** the largest difference from the first row of the stage, as a fraction of the output's largest value */
  difference?: number;
  /** why there is no time */
  why?: string;
}

/** Another summation order changes less than this; a wrong graph changes more. */
const BOUND = 2e-3;

/** A result's part of a row; no time is given to wrong outputs. */
export function compare({ version, times, peakBytes, outputs }: Result, reference?: Result) {
  const sorted = times.toSorted((a, b) => a - b);
  const timing = { minMs: sorted[0], medianMs: sorted[sorted.length >> 1], runs: times.length };
  if (!reference) return { version, ...timing, peakBytes };
  const distances = Object.entries(reference.outputs).map(([name, want]) => distance(outputs[name] ?? [], want));
  const difference = Math.max(...distances);
  if (difference <= BOUND) return { version, ...timing, peakBytes, difference };
  return { version, difference, why: `outputs differ by ${difference.toExponential(1)} of their range` };
}

function distance(got: readonly number[], want: readonly number[]): number {
  if (got.length !== want.length) return Infinity;
  const range = Math.max(...want.map(Math.abs));
  return (
    Math.max(...want.map((value, i) => (Math.abs(got[i] - value) <= Infinity ? Math.abs(got[i] - value) : Infinity))) /
    range
  );
}

/** Time as a multiple of that of sam2-ts in the same runtime; native peers are compared with the first runtime. */
function ratio(row: Row, rows: readonly Row[]): number | undefined {
  const rivals = rows.filter(
    ({ peer, stage, threads }) => peer === "sam2-ts" && stage === row.stage && threads === row.threads,
  );
  const rival = rivals.find(({ runtime }) => runtime === row.runtime) ?? rivals[0];
  return rival?.medianMs && row.medianMs && row.medianMs / rival.medianMs;
}

const ms = (time: number) => time.toFixed(time < 1000 ? 1 : 0);
const mb = (bytes?: number) => (bytes ? (bytes / 1e6).toFixed(0) : "–");

export function toText(row: Row, rows: readonly Row[]): string {
  const who = `${row.peer}, ${row.runtime}`;
  const head = row.stage.padEnd(26) + `×${row.threads}`.padEnd(4) + who.padEnd(36);
  if (row.why !== undefined) return `${head}– ${row.why}`;
  const times = ` min ${ms(row.minMs!).padStart(7)}  median ${ms(row.medianMs!).padStart(7)} ms of ${`${row.runs}`.padEnd(3)}`;
  const share = `${ratio(row, rows)?.toFixed(2) ?? "–"}×`.padStart(7);
  const agrees = row.difference === undefined ? "" : `  |Δ| ${row.difference.toExponential(0)}`;
  return `${head}${times}${share}${mb(row.peakBytes).padStart(6)} MB${agrees}  ${row.version}`;
}

interface Report {
  date: string;
  machine: string;
  rows: readonly Row[];
}

export function toMarkdown({ date, machine, rows }: Report): string {
  const stages = [...new Set(rows.map(({ stage }) => stage))];
  const contenders = [...new Set(rows.map(nameOf))];
  const parts = [`${machine}, ${date.slice(0, 10)}. SAM 2.1 at 1024², f32. ${LEGEND}`];
  for (const threads of new Set(rows.map((row) => row.threads))) {
    const titles = [threads === 1 ? "1 thread" : `${threads} threads`, ...stages.map((name) => TITLES[name] ?? name)];
    const photo = stages.includes("decoder.point");
    if (photo) titles.push("peak MB");
    const body = contenders.map((name) => {
      const own = rows.filter((row) => row.threads === threads && nameOf(row) === name);
      const cells = stages.map((stage) =>
        cell(
          own.find((row) => row.stage === stage)!,
          rows,
        ),
      );
      if (photo) cells.push(mb(own.find(({ stage }) => stage === "decoder.point")!.peakBytes));
      return [name, ...cells];
    });
    const lines = [titles, titles.map((_, i) => (i ? "--:" : "---")), ...body];
    parts.push(lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
  }
  const untimed = rows.filter(({ why }) => why !== undefined);
  const reasons = [...new Set(untimed.map(({ why }) => why))].map((reason) => {
    const names = new Set(untimed.filter(({ why }) => why === reason).map(nameOf));
    return `- ${[...names].join("; ")}: ${reason}`;
  });
  const versions = new Set(rows.flatMap(({ version }) => version ?? []));
  parts.push(`Versions: ${[...versions].join("; ")}.`, reasons.join("\n"));
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const LEGEND = `Median ms; in
brackets the time relative to sam2-ts in the same runtime, of native engines to sam2-ts in Node. Peak MB: photo to mask.`;
const TITLES: Partial<Record<StageName, string>> = {
  "encoder.tiny": "encoder, tiny",
  "encoder.small": "encoder, small",
  "encoder.base_plus": "encoder, base_plus",
  "encoder.large": "encoder, large",
  "decoder.point": "click to mask",
  "memory_attention.full": "memory attention",
  "frame.full": "tracked frame",
  "everything.tiny": "everything, 64 points",
  "everything.full": "everything, 1,024 points",
};

const nameOf = ({ peer, runtime }: Row) => `${peer}, ${runtime}`;

function cell(row: Row, rows: readonly Row[]): string {
  if (row.medianMs === undefined) return "–";
  const times = ratio(row, rows);
  const multiple = row.peer === "sam2-ts" || times === undefined ? "" : ` (${times.toFixed(2)}×)`;
  return row.medianMs.toFixed(row.medianMs < 100 ? 1 : 0) + multiple;
}
