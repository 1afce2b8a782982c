/** The steps that docs/kernels.md tells of the matrix product, read from its table and drawn. */
import { readFileSync } from "node:fs";
import { type Token, type Tokens, marked } from "marked";
import { MARGIN, WIDTH } from "./figure_parts.ts";
import { ACCENT, Figure, PALE } from "./svg.ts";

export interface Step {
  /** steps of one kind can be compared */
  kind: string;
  label: string;
  /** GFLOP/s with 128-bit and with 256-bit code */
  speeds: [narrow: number | undefined, wide: number | undefined];
  /** where it was written down: "gemm.ts 4" is entry 4 at the head of kernels/gemm.ts */
  source: string;
}

/** @param markdown a page with a table of kind · step · 128 bits · 256 bits · source, whose last row is the limit */
export function diarySteps(markdown: string): { steps: Step[]; limits: [number, number] } {
  const isTable = (token: Token): token is Tokens.Table =>
    token.type === "table" && /128.*from/.test(token.raw.split("\n")[0]);
  const table = marked.lexer(markdown).find(isTable);
  if (!table) throw new Error("kernels.md: expected a table with columns 128 bits … from, got none");
  const rows = table.rows.map((cells): Step => {
    const [kind, label, narrow, wide, source] = cells.map(({ text }) => text);
    return {
      kind,
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

/** The table of docs/kernels.md as bars. */
export function diaryBars(): Figure {
  const { steps, limits } = diarySteps(readFileSync(new URL("kernels.md", import.meta.url), "utf8"));
  const [left, bar, step] = [288, 340, 40];
  const isFirst = (i: number) => steps[i].kind !== steps[i - 1]?.kind;
  const kinds = steps.filter((_, i) => isFirst(i)).length;
  const height = kinds * 26 + steps.length * step;
  const figure = new Figure(WIDTH, MARGIN * 2 + 52 + height);
  const scale = bar / limits[1];
  figure.text(left, MARGIN + 8, "GFLOP/s of one thread on Z:", { size: 13 });
  figure.rect(left + 202, MARGIN - 3, 12, 12, `fill="${PALE}"`);
  figure.text(left + 219, MARGIN + 8, "128 bits", { size: 13 });
  figure.rect(left + 290, MARGIN - 3, 12, 12, `fill="${ACCENT}"`);
  figure.text(left + 307, MARGIN + 8, "256 bits", { size: 13 });
  const top = MARGIN + 26;
  for (const [i, limit] of limits.entries()) {
    const x = left + limit * scale;
    figure.line(x, top - 4, x, top + height, `stroke="${i ? ACCENT : PALE}" stroke-dasharray="4 3"`);
    figure.text(x, top + height + 16, `limit ${limit}`, { size: 12, anchor: "middle", fill: i ? ACCENT : PALE });
  }
  let y = top;
  for (const [i, { kind, label, speeds }] of steps.entries()) {
    if (isFirst(i)) {
      figure.text(MARGIN, y + 20, kind, { size: 13, bold: true });
      y += 26;
    }
    figure.text(MARGIN, y + 22, label, { size: 13 });
    for (const [k, speed] of speeds.entries()) {
      if (speed === undefined) continue;
      figure.rect(left, y + 4 + k * 14, speed * scale, 12, `fill="${k ? ACCENT : PALE}"`);
      figure.text(left + speed * scale - 5, y + 14 + k * 14, `${speed}`, {
        size: 11,
        fill: "#ffffff",
        anchor: "end",
        bold: true,
      });
    }
    y += step;
  }
  return figure;
}
