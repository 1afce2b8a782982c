/** The steps that docs/kernels.md tells of the matrix product, read from its table. */
import { type Token, type Tokens, marked } from "marked";

export interface Step {
  label: string;
  /** GFLOP/s with 128-bit and with 256-bit code */
  speeds: [narrow: number | undefined, wide: number | undefined];
  /** where it was written down: "gemm.ts 4" is entry 4 at the head of kernels/gemm.ts */
  source: string;
}

/** @param markdown a page with a table of step · 128 bits · 256 bits · source, whose last row is the limit */
export function diarySteps(markdown: string): { steps: Step[]; limits: [number, number] } {
  const isTable = (token: Token): token is Tokens.Table =>
    token.type === "table" && /128/.test(token.raw.split("\n")[0]);
  const table = marked.lexer(markdown).find(isTable);
  if (!table) throw new Error("kernels.md: expected a table with a column 128 bits, got none");
  const rows = table.rows.map((cells): Step => {
    const [label, narrow, wide, source] = cells.map(({ text }) => text);
    return {
      label: label.replaceAll("`", ""),
      speeds: [speed(narrow), speed(wide)],
      source: source.replaceAll("`", ""),
    };
  });
  const limit = rows.pop()!;
  return { steps: rows, limits: limit.speeds as [number, number] };
}

function speed(text: string): number | undefined {
  return Number.isNaN(Number.parseFloat(text)) ? undefined : Number.parseFloat(text);
}
