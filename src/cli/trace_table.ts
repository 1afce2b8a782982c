import type { LayerTrace } from "../predict/trace.ts";
import type { Paint, Style } from "./io.ts";

/** One layer, as `trace --json` shows it. */
export interface TraceRow extends Omit<LayerTrace, "values"> {
  /** max |Δ| against PyTorch, and the standard deviation of PyTorch's output */
  maxAbs?: number;
  sigma?: number;
}

export interface TableOptions {
  /** Levels to show. Without it all are, but repeated blocks are folded. */
  depth?: number;
  columns: number;
  paint: Paint;
}

export interface Node {
  row: TraceRow;
  /** path below the node above */
  name: string;
  children: Node[];
  /** name of an earlier sibling of the same structure */
  like?: string;
}

interface Column {
  title: string;
  width: number;
  text(row: TraceRow): string;
  style?(row: TraceRow): Style | undefined;
}

/** Largest |Δ| as a share of σ that counts as parity. */
const PARITY = 1e-3;

/** The rows, in execution order, as a tree with aligned columns and a line of totals. */
export function traceTable(rows: readonly TraceRow[], { depth, columns: room, paint }: TableOptions): string {
  const roots = treeOf(rows);
  if (depth === undefined) markRepeats(roots);
  const total = totals(roots);
  const columns = columnsFor(rows, total.ms);
  const widths = columns.reduce((sum, { width }) => sum + width + 2, 0);
  const treeWidth = Math.max(30, Math.min(room, 132) - widths);

  const line = (label: string, cells: string[]) => `${label}${cells.map((cell) => `  ${cell}`).join("")}`.trimEnd();
  const head = line(
    "layer".padEnd(treeWidth),
    columns.map(({ title, width }, i) => (i === 0 ? title.padEnd(width) : title.padStart(width))),
  );
  const body = visible(roots, depth ?? Number.POSITIVE_INFINITY).map(({ node, stem, level }) => {
    const cells = columns.map(({ width, text, style }, i) => {
      const cell = i === 0 ? text(node.row).padEnd(width) : text(node.row).padStart(width);
      const look = style?.(node.row);
      return look ? paint(look, cell) : cell;
    });
    return line(label(node, stem, level, treeWidth, paint), cells);
  });
  const rule = paint("dim", "─".repeat(treeWidth + widths));
  const sum = line(
    paint("bold", "total".padEnd(treeWidth)),
    columns.map(({ width, text }, i) => (i === 0 ? text(total).padEnd(width) : text(total).padStart(width))),
  );
  return [paint("dim", head), ...body, rule, sum, ...verdict(rows, paint), ""].join("\n");
}

/** Which layer runs inside of which follows from paths and order: a layer's path begins with its caller's. */
export function treeOf(rows: readonly TraceRow[]): Node[] {
  const roots: Node[] = [];
  const open: Node[] = [];
  for (const row of rows) {
    while (open.length > 0 && !row.path.startsWith(`${open.at(-1)!.row.path}.`)) open.pop();
    const parent = open.at(-1);
    const node: Node = { row, name: parent ? row.path.slice(parent.row.path.length + 1) : row.path, children: [] };
    (parent?.children ?? roots).push(node);
    open.push(node);
  }
  return roots;
}

/** Classes and shapes of a node and all below it. */
function structure({ row, children }: Node): string {
  return JSON.stringify([row.class, row.output, children.map((child) => [child.name, structure(child)])]);
}

function markRepeats(nodes: readonly Node[]): void {
  const seen = new Map<string, string>();
  for (const node of nodes) {
    const key = structure(node);
    if (node.children.length > 0) node.like = seen.get(key);
    if (!seen.has(key)) seen.set(key, node.name);
    if (node.like === undefined) markRepeats(node.children);
  }
}

interface Line {
  node: Node;
  /** the branches that lead to it */
  stem: string;
  level: number;
}

function visible(nodes: readonly Node[], depth: number, stem = "", level = 0): Line[] {
  if (depth === 0) return [];
  return nodes.flatMap((node, i) => {
    const isLast = i === nodes.length - 1;
    const branch = level === 0 ? "" : isLast ? "└ " : "├ ";
    const below = level === 0 ? "" : isLast ? "  " : "│ ";
    const children = node.like === undefined ? visible(node.children, depth - 1, stem + below, level + 1) : [];
    return [{ node, stem: stem + branch, level }, ...children];
  });
}

/** Name and class, cut to the width of the tree's column. */
function label({ name, like, row }: Node, stem: string, level: number, width: number, paint: Paint): string {
  const shown = name.slice(0, width - stem.length);
  const note = like === undefined ? ` ${row.class}` : ` ≡ ${like}`;
  const room = width - stem.length - shown.length;
  const fitting = note.length <= room ? note : room > 6 ? `${note.slice(0, room - 1)}…` : "";
  const style: Style | undefined = level === 0 ? "bold" : undefined;
  return `${paint("dim", stem)}${style ? paint(style, shown) : shown}${paint("dim", fitting)}${" ".repeat(room - fitting.length)}`;
}

function columnsFor(rows: readonly TraceRow[], totalMs: number): Column[] {
  const columns: Column[] = [
    { title: "output", width: 14, text: ({ output }) => shapeText(output) },
    { title: "params", width: 7, text: ({ parameters }) => countText(parameters), style: () => "dim" },
    { title: "GMAC", width: 6, text: ({ gmac }) => (gmac === 0 ? "" : gmac < 0.001 ? "<.001" : threeDigits(gmac)) },
    {
      title: "ms",
      width: 6,
      text: ({ ms }) => (ms < 0.005 ? "0" : threeDigits(ms)),
      style: ({ ms }) => (ms > totalMs / 10 ? "yellow" : ms < totalMs / 1000 ? "dim" : undefined),
    },
    { title: "GFLOP/s", width: 7, text: ({ gmac, gflops }) => (gmac === 0 ? "" : gflops.toFixed(1)) },
    { title: "MiB", width: 5, text: ({ peakBytes }) => `${Math.ceil(peakBytes / 2 ** 20)}`, style: () => "dim" },
  ];
  if (!rows.some(({ maxAbs }) => maxAbs !== undefined)) return columns;
  return [
    ...columns,
    {
      title: "|Δ|",
      width: 6,
      text: ({ maxAbs }) => (maxAbs === undefined ? "" : maxAbs === 0 ? "0" : maxAbs.toExponential(0)),
      style: (row) => (row.maxAbs === undefined ? undefined : isParity(row) ? "green" : "red"),
    },
    {
      title: "σ",
      width: 6,
      text: ({ sigma }) => (sigma === undefined ? "" : sigma.toPrecision(2)),
      style: () => "dim",
    },
  ];
}

export function isParity({ maxAbs = 0, sigma = 0 }: TraceRow): boolean {
  return maxAbs <= PARITY * sigma;
}

/** 1×64×64×256; the first of several. */
export function shapeText(output: TraceRow["output"]): string {
  const [first] = output;
  if (!Array.isArray(first)) return output.join("×");
  return output.length > 1 ? `${first.join("×")} +${output.length - 1}` : first.join("×");
}

/** 96, 1.15 K, 28.8 M */
export function countText(n: number): string {
  if (n < 1000) return n === 0 ? "" : `${n}`;
  return n < 1e6 ? `${threeDigits(n / 1e3)} K` : `${threeDigits(n / 1e6)} M`;
}

export function threeDigits(x: number): string {
  return x >= 1 ? x.toFixed(x < 10 ? 2 : x < 100 ? 1 : 0) : x.toFixed(3);
}

/** Sums over the roots; a root that lies in another one's directory has its parameters counted there. */
export function totals(roots: readonly Node[]): TraceRow {
  const sum = (of: (row: TraceRow) => number) => roots.reduce((total, { row }) => total + of(row), 0);
  const inside = ({ path }: TraceRow) => roots.some(({ row }) => path.startsWith(`${row.path}.`));
  const gmac = sum((row) => row.gmac);
  const ms = sum((row) => row.ms);
  return {
    path: "",
    class: "",
    inputs: [],
    output: [],
    parameters: sum((row) => (inside(row) ? 0 : row.parameters)),
    gmac,
    ms,
    gflops: (2 * gmac * 1e3) / ms,
    peakBytes: Math.max(...roots.map(({ row }) => row.peakBytes)),
  };
}

/** What the comparison with PyTorch comes to. */
function verdict(rows: readonly TraceRow[], paint: Paint): string[] {
  const compared = rows.filter(({ maxAbs }) => maxAbs !== undefined);
  if (compared.length === 0) return [];
  const share = ({ maxAbs = 0, sigma = 0 }: TraceRow) => (maxAbs === 0 ? 0 : maxAbs / sigma);
  const worst = compared.reduce((a, b) => (share(b) > share(a) ? b : a));
  const text = `${compared.length} layers compared with PyTorch; the farthest is ${worst.path}: |Δ| = ${share(worst).toExponential(1)} σ`;
  return [compared.every(isParity) ? paint("green", text) : paint("red", text)];
}
