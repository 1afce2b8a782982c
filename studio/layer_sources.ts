/** Where the layers of the model stand in the source: read when the page is built, so that it can show their lines. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { LayerSource } from "./src/inside/sources.ts";

const ROOT = new URL("..", import.meta.url);
/**
 * Of the layers that a click passes through. Where the model computes the same with less work for prompts that share an
 * image (few_tokens.ts, shared_image.ts), the lines are those of the layer as it is defined.
 */
const FILES = [
  ...[
    "hiera",
    "repvit",
    "image_encoder",
    "position_encoding",
    "prompt_encoder",
    "two_way_transformer",
    "mask_decoder",
  ].map((name) => `src/model/${name}.ts`),
  ...["linear", "conv", "norm", "mlp"].map((name) => `src/nn/${name}.ts`),
];
/** A call that makes a layer: its class, or an expression that names it. */
const LAYER = /\b(?:layer|productLayer)\(\s*[\w.(")]+,\s*(?:"([\w.]+)"|(\w+)(?:\("(\w+)")?)/g;
const DECLARED = /^(?:export )?function (\w+)/;

export function layerSources(): LayerSource[] {
  return FILES.flatMap(sourcesIn);
}

function sourcesIn(file: string): LayerSource[] {
  const text = readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8");
  const lines = text.split("\n");
  return [...text.matchAll(LAYER)].map((match) => {
    const [, literal, , named] = match;
    const at = text.slice(0, match.index).split("\n").length - 1;
    const top = lines.slice(0, at + 1).findLastIndex((line) => DECLARED.test(line));
    const builder = DECLARED.exec(lines[top])![1];
    const isAll = lines[at].startsWith("  return") || builder === literal?.replace(/^./, (c) => c.toLowerCase());
    const about = commentAbove(lines, at) || (isAll ? commentAbove(lines, top) : "");
    return { class: literal ?? named ?? "", builder, file, line: at + 1, about, code: codeAt(lines, at) };
  });
}

/** The first sentence of a comment that ends above a line: the formula, or the words of the paper. */
function commentAbove(lines: readonly string[], at: number): string {
  if (!lines[at - 1]?.endsWith("*/")) return "";
  const start = lines.slice(0, at).findLastIndex((line) => line.trimStart().startsWith("/**"));
  const words = lines.slice(start, at).map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)?\s?|\s*\*\/$/g, "").trim());
  const text = words.join("\n").replace(/(^|\s)@[^]*$/, "");
  return text
    .trim()
    .split(/\n\s*\n/)[0]
    .replaceAll("\n", " ")
    .replaceAll("`", "");
}

/** The statement that begins on a line. */
function codeAt(lines: readonly string[], at: number): string {
  const indent = lines[at].search(/\S/);
  const isWhole = /;$/.test(lines[at]);
  const end = isWhole ? at : lines.findIndex((line, i) => i > at && line.search(/\S/) === indent && /;$/.test(line));
  return lines
    .slice(at, end + 1)
    .map((line) => line.slice(indent))
    .join("\n");
}
