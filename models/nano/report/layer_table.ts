/** The module tree of `sam2 trace` as an HTML table whose branches open and close. */
import {
  countText,
  isParity,
  type Node,
  shapeText,
  threeDigits,
  totals,
  type TraceRow,
  treeOf,
} from "../../../src/cli/trace_table.ts";
import { number, scientific } from "./html.ts";

/** The row that is farthest from PyTorch, as a share of the spread of PyTorch's values; undefined if none was compared. */
export function farthest(rows: readonly TraceRow[]): { path: string; share: number; compared: number } | undefined {
  const compared = rows.filter(({ maxAbs }) => maxAbs !== undefined);
  if (compared.length === 0) return undefined;
  const worst = compared.reduce((a, b) => (share(b) > share(a) ? b : a));
  return { path: worst.path, share: share(worst), compared: compared.length };
}

export function totalOf(rows: readonly TraceRow[]): TraceRow {
  return totals(treeOf(rows));
}

export function layerTable(rows: readonly TraceRow[]): string {
  const total = totalOf(rows);
  return `<table class="layers" id="layer-table">
<caption class="visually-hidden">Every layer in the order in which it runs, nested as in the checkpoint</caption>
<thead><tr><th scope="col">layer</th><th scope="col">output</th><th scope="col">parameters</th><th scope="col">GMAC</th>
<th scope="col">ms</th><th scope="col">GFLOP/s</th><th scope="col">max |Δ|</th><th scope="col">|Δ| / σ</th></tr></thead>
<tbody>
${treeOf(rows)
  .flatMap((node) => branch(node, 0, total.ms))
  .join("\n")}
</tbody>
<tfoot><tr><th scope="row">total</th><td></td>${cells(total, total.ms)}</tr></tfoot>
</table>`;
}

function branch(node: Node, level: number, totalMs: number): string[] {
  const { row, name, children } = node;
  const toggle =
    children.length > 0
      ? `<button type="button" class="toggle" aria-expanded="true" aria-label="layers of ${row.path}"></button>`
      : `<span class="toggle"></span>`;
  const head = `<th scope="row" style="--level:${level}"><div>${toggle}<span class="name" title="${row.path}">${name}</span> <span class="class">${row.class}</span></div></th>`;
  const own = `<tr data-level="${level}" data-path="${row.path}">${head}<td class="shape">${shapeText(row.output)}</td>${cells(row, totalMs)}</tr>`;
  return [own, ...children.flatMap((child) => branch(child, level + 1, totalMs))];
}

function cells(row: TraceRow, totalMs: number): string {
  const { parameters, gmac, ms, gflops, maxAbs } = row;
  const work = gmac === 0 ? "" : gmac < 0.001 ? "&lt; .001" : threeDigits(gmac);
  const compared =
    maxAbs === undefined
      ? "<td></td><td></td>"
      : `<td>${number(maxAbs, scientific(maxAbs), "maxAbs")}</td><td class="${isParity(row) ? "parity" : "no-parity"}">${scientific(share(row))}</td>`;
  return [
    `<td>${parameters === 0 ? "" : number(parameters, countText(parameters), "parameters")}</td>`,
    `<td>${number(gmac, work, "gmac")}</td>`,
    `<td class="time" style="--share:${((100 * ms) / totalMs).toFixed(1)}%">${number(ms, ms < 0.005 ? "0" : threeDigits(ms), "ms")}</td>`,
    `<td>${gmac === 0 ? "" : number(gflops, gflops.toFixed(1), "gflops")}</td>`,
    compared,
  ].join("");
}

function share({ maxAbs = 0, sigma = 0 }: TraceRow): number {
  return maxAbs === 0 ? 0 : maxAbs / sigma;
}
