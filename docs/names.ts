/**
 * What a page names, checked against the code and against the model's own shapes.
 *
 * Every code span is a path, a tensor of the checkpoint, a module of the graph, or words that stand in the code. After a
 * link to a source file and →, the symbols are declared in that file. A shape in brackets belongs to the module named
 * before it in the same paragraph, list item or row of a table, and is one that the graph of nano, tiny or EdgeTAM gives or takes
 * there.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { marked, type Token, type Tokens } from "marked";
import { edgeTamConfig, variantConfig } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import { dryModel, loadNano, type Traced, traceGraph } from "./nano.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CODE = ["src", "kernels", "golden", "bench", "models", "docs"];
/** Folders of docs/ that commands write. */
const WRITTEN = /^(html|api)[/\\]/;
const FILES = ["package.json", "asconfig.json"];

/** What there is to be named. */
export interface Names {
  /** by module path */
  traces: ReadonlyMap<string, Traced>[];
  /** of the checkpoint */
  tensors: ReadonlySet<string>;
  /** all words of the code */
  words: ReadonlySet<string>;
}

/** Read the code and walk the graphs of nano, tiny and EdgeTAM. */
export async function readNames(): Promise<Names> {
  const nano = await loadNano();
  const traces = [
    await traceGraph(nano),
    await traceGraph(await dryModel()),
    await traceGraph(await dryModel(edgeTamConfig())),
  ];
  const tensors = new Set([...parameters(nano.config).keys(), ...parameters(variantConfig("tiny", "2.1")).keys()]);
  const words = new Set<string>();
  for (const file of [...FILES, ...CODE.flatMap(codeFiles)]) {
    for (const word of readFileSync(join(ROOT, file), "utf8").match(/[\p{L}_$][\p{L}\p{N}_$]*/gu) ?? [])
      words.add(word);
  }
  return { traces, tensors, words };
}

function codeFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(ts|py|json|css)$/.test(file) && !WRITTEN.test(file))
    .map((file) => join(folder, file));
}

/** A piece of text in which a shape belongs to the module before it. */
type Piece = { kind: "text" | "code" | "link"; text: string; href?: string };

/** @returns what is wrong with the names on a page, a line each */
export function nameFailures(file: string, names: Names): string[] {
  const failures: string[] = [];
  for (const unit of unitsOf(marked.lexer(readFileSync(file, "utf8")))) {
    let module: string | undefined;
    let symbolsOf: string | undefined;
    for (const piece of unit) {
      if (piece.kind === "link") {
        const failure = linkFailure(file, piece.href!);
        if (failure) failures.push(failure);
        symbolsOf = !failure && /\.ts$/.test(piece.href!) ? resolve(dirname(file), piece.href!) : undefined;
        const named = piece.text.startsWith("`") ? piece.text.replaceAll("`", "") : undefined;
        if (named && symbolsOf && named !== relative(ROOT, symbolsOf))
          failures.push(`${named}: links to ${piece.href}`);
      } else if (piece.kind === "text") {
        if (!/^(\s*→\s*|,\s*| and )$/.test(piece.text)) symbolsOf = undefined;
        for (const [text] of piece.text.matchAll(/\[\d+(,\s\d+)+\]/g)) {
          const shape = text.replaceAll(/\s/g, " ");
          if (!module) failures.push(`${shape}: expected a module named before it, got none`);
          else if (!names.traces.some((trace) => hasShape(trace.get(module!), shape))) {
            failures.push(`${module}: expected ${shapesAt(module, names)}, got ${shape}`);
          }
        }
      } else {
        if (names.traces.some((trace) => trace.has(piece.text))) module = piece.text;
        const isKnown = symbolsOf ? isDeclared(piece.text, symbolsOf) : isNamed(piece.text, names);
        if (!isKnown) {
          failures.push(
            `${piece.text}: ${symbolsOf ? `not declared in ${relative(ROOT, symbolsOf)}` : "not in the code"}`,
          );
        }
      }
    }
  }
  return failures.map((failure) => `${relative(ROOT, file)}: ${failure}`);
}

function hasShape(traced: Traced | undefined, shape: string): boolean {
  return traced !== undefined && (traced.inputs.has(shape) || traced.outputs.has(shape));
}

function shapesAt(module: string, { traces }: Names): string {
  return traces
    .flatMap((trace) => [...(trace.get(module)?.inputs ?? []), "→", ...(trace.get(module)?.outputs ?? [])])
    .join(" ");
}

function isNamed(text: string, { traces, tensors, words }: Names): boolean {
  if (traces.some((trace) => trace.has(text)) || tensors.has(text)) return true;
  if (/^[\w./-]+$/.test(text) && existsSync(join(ROOT, text))) return true;
  const parts = text.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu) ?? [];
  return parts.length > 0 && parts.every((word) => words.has(word));
}

function isDeclared(symbol: string, file: string): boolean {
  const name = symbol.replace(/^#/, "").replaceAll("$", "\\$");
  const declared = new RegExp(
    `\\b(?:function\\*?|const|let|class|interface|type)\\s+${name}\\b|^\\s*(?:export |async |static |readonly |get |#|\\*)*${name}\\s*[(:?=<,;]`,
    "m",
  );
  return declared.test(readFileSync(file, "utf8"));
}

/** Does a link lead to a file of the project, and to a heading of it? Addresses of the web are left alone. */
export function linkFailure(file: string, href: string): string | undefined {
  if (/^(https?:|mailto:|data:)/.test(href)) return undefined;
  const [path, anchor] = href.split("#");
  const target = path ? resolve(dirname(file), decodeURIComponent(path)) : file;
  if (!existsSync(target)) return `${href}: there is no such file`;
  if (!anchor) return undefined;
  const headings = marked.lexer(readFileSync(target, "utf8")).filter(({ type }) => type === "heading");
  const slugs = headings.map((heading) => slug((heading as Tokens.Heading).text));
  return slugs.includes(anchor) ? undefined : `${href}: there is no such heading, only ${slugs.join(", ")}`;
}

/** The anchor that code hosts give a heading. */
export function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

/** Paragraphs, headings, list items and rows of tables. */
function unitsOf(tokens: readonly Token[]): Piece[][] {
  return tokens.flatMap((token): Piece[][] => {
    if (token.type === "table") {
      const { header, rows } = token as Tokens.Table;
      return [header, ...rows].map((cells) => cells.flatMap((cell) => piecesOf(cell.tokens)));
    }
    if (token.type === "list") return unitsOf((token as Tokens.List).items);
    if (token.type === "list_item" || token.type === "blockquote") return unitsOf((token as Tokens.ListItem).tokens);
    return "tokens" in token ? [piecesOf(token.tokens ?? [])] : [];
  });
}

function piecesOf(tokens: readonly Token[]): Piece[] {
  return tokens.flatMap((token): Piece[] => {
    if (token.type === "codespan") return [{ kind: "code", text: (token as Tokens.Codespan).text }];
    if (token.type === "link")
      return [{ kind: "link", text: (token as Tokens.Link).text, href: (token as Tokens.Link).href }];
    if (token.type === "image") return [{ kind: "link", text: "", href: (token as Tokens.Image).href }];
    if ("tokens" in token && token.tokens) return piecesOf(token.tokens);
    return [{ kind: "text", text: token.raw }];
  });
}
