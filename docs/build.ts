/**
 * The pages as HTML, with one stylesheet, to be read from disk.
 *
 *     npx tsx docs/build.ts      writes docs/html/
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Marked, type Tokens } from "marked";
import { escaped } from "../models/nano/report/html.ts";
import { slug } from "./names.ts";
import { renewSnippets, type Snippet } from "./snippets.ts";

/** In the order in which they are read. */
const PAGES = [
  ["tour", "photo"],
  ["memory", "memory"],
  ["edgetam", "EdgeTAM"],
  ["kernels", "kernels"],
] as const;

const FOLDER = new URL("html/", import.meta.url);

/** Write the pages to docs/html, from which they reach figures and sources. */
export function buildPages(): void {
  mkdirSync(FOLDER, { recursive: true });
  cpSync(new URL("style.css", import.meta.url), new URL("style.css", FOLDER));
  for (const [name] of PAGES) {
    writeFileSync(
      new URL(`${name}.html`, FOLDER),
      page(name, readFileSync(new URL(`${name}.md`, import.meta.url), "utf8")),
    );
  }
}

function page(name: string, text: string): string {
  const { markdown, snippets } = renewSnippets(text);
  const code = codeBlock(snippets);
  const marked = new Marked({ renderer: { heading, link, image, code, table, paragraph } });
  const body = unbroken(withoutComments(marked.parse(markdown) as string));
  const headings = marked.lexer(markdown).filter((token): token is Tokens.Heading => token.type === "heading");
  const [title, ...others] = headings;
  const nav = PAGES.map(([other, label]) =>
    other === name
      ? `<a href="${other}.html" aria-current="page">${label}</a>`
      : `<a href="${other}.html">${label}</a>`,
  );
  const contents = others.map(({ text }) => `<li><a href="#${slug(text)}">${escaped(text)}</a></li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title.text)} · sam2-ts</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
</head>
<body>
<header><a class="home" href="../../README.md">sam2-ts</a><nav aria-label="Pages">${nav.join("")}</nav></header>
<div class="page">
<nav class="contents" aria-label="On this page"><ol>${contents.join("")}</ol></nav>
<main>
${body}</main>
</div>
</body>
</html>
`;
}

/** Readers of the HTML need not see where numbers and lines come from. */
function withoutComments(html: string): string {
  return html.replaceAll(/^<!--[^]*?-->\n/gm, "").replaceAll(/<!--[^]*?-->/g, "");
}

/** Shapes in the text stay on one line, and so do numbers with their %. */
function unbroken(html: string): string {
  const parts = html.split(/(<pre[^]*?<\/pre>)/);
  const shape = /\[\d+(?:,\s\d+)+\]/g;
  return parts
    .map((part, i) =>
      i % 2
        ? part
        : part.replaceAll(shape, (text) => text.replaceAll(/\s/g, "\u00a0")).replaceAll(/(?<=\d)\s%/g, "\u00a0%"),
    )
    .join("");
}

type Renderer = { parser: { parseInline(tokens: unknown[]): string } };

function heading(this: Renderer, { tokens, depth, text }: Tokens.Heading): string {
  return `<h${depth} id="${slug(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
}

/** Pages link to pages; everything else lies one folder farther away than it did. */
function link(this: Renderer, { href, tokens }: Tokens.Link): string {
  const [path, anchor] = href.split("#");
  const isWeb = /^https?:/.test(href);
  const isPage = PAGES.some(([name]) => path === `${name}.md`);
  const target =
    isWeb || path === "" ? href : isPage ? href.replace(".md", ".html") : `../${path}${anchor ? `#${anchor}` : ""}`;
  return `<a href="${target}">${this.parser.parseInline(tokens)}</a>`;
}

function image({ href, text }: Tokens.Image): string {
  return `<img src="../${href}" alt="${escaped(text)}">`;
}

/** A picture alone in its paragraph is a figure, its text the caption. */
function paragraph(this: Renderer, { tokens }: Tokens.Paragraph): string {
  const inner = this.parser.parseInline(tokens);
  const [first] = tokens;
  if (tokens.length === 1 && first.type === "image") {
    return `<figure><div class="scroll" tabindex="0">${inner}</div><figcaption>${escaped((first as Tokens.Image).text)}</figcaption></figure>\n`;
  }
  const isSurprise = first.type === "strong" && (first as Tokens.Strong).text.startsWith("Surprise");
  return `<p${isSurprise ? ' class="surprise"' : ""}>${inner}</p>\n`;
}

/** Lines of the source say where they stand. @param snippets of the page, in order */
function codeBlock(snippets: readonly Snippet[]): (token: Tokens.Code) => string {
  const left = [...snippets];
  return ({ lang, text }) => {
    const block = `<pre class="${lang || "formula"}" tabindex="0"><code>${escaped(text)}</code></pre>\n`;
    if (lang !== "typescript") return block;
    const { file, line } = left.shift()!;
    return `<figure class="source">${block}<figcaption><a href="../../${file}">${file}</a>, line ${line}</figcaption></figure>\n`;
  };
}

function table(this: Renderer, { header, rows }: Tokens.Table): string {
  const row = (cells: Tokens.TableCell[], tag: string) =>
    `<tr>${cells.map(({ tokens }) => `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`).join("")}</tr>`;
  const body = rows.map((cells) => row(cells, "td")).join("\n");
  return `<div class="scroll" tabindex="0"><table>\n<thead>${row(header, "th")}</thead>\n<tbody>${body}</tbody>\n</table></div>\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildPages();
