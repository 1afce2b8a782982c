/**
 * Lines of the source on the pages. A page says above a code block where its lines stand, and they are copied from there:
 *
 *     <!-- source src/model/hiera.ts multiScaleBlock "return layer" … "});" -->
 *
 * are, in `multiScaleBlock`, the lines from the first that begins with `return layer` to the next with the same indentation
 * that begins with `});`.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = new URL("..", import.meta.url);
const MARKED = /<!-- source (\S+) (\S+) "(.+)" … "(.+)" -->\n\n<!-- prettier-ignore -->\n```typescript\n([^]*?)```/g;

export interface Snippet {
  file: string;
  /** of its first line in the file, from 1 */
  line: number;
  code: string;
}

/** The page with all its snippets as the source has them now, and the snippets. @throws if one cannot be found */
export function renewSnippets(markdown: string): { markdown: string; snippets: Snippet[] } {
  const snippets: Snippet[] = [];
  const renewed = markdown.replaceAll(MARKED, (block, file: string, symbol: string, from: string, to: string, old) => {
    const snippet = cut(file, symbol, from, to);
    snippets.push(snippet);
    return block.replace(`\`\`\`typescript\n${old}`, () => `\`\`\`typescript\n${snippet.code}\n`);
  });
  return { markdown: renewed, snippets };
}

function cut(file: string, symbol: string, from: string, to: string): Snippet {
  const lines = readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8").split("\n");
  const find = (what: string, start: number, is: (line: string) => boolean): number => {
    const found = lines.findIndex((line, i) => i >= start && is(line));
    if (found < 0) throw new Error(`${file}: expected ${what} after line ${start}, got none; mend the page's marker`);
    return found;
  };
  const declared = new RegExp(`(^|\\s)(function\\*? |const |#)?${symbol}\\b.*[({=]`);
  const start = find(symbol, 0, (line) => declared.test(line) && !/^\s*(\*|\/\/|import)/.test(line));
  const first = find(from, start, (line) => line.trimStart().startsWith(from));
  const indent = lines[first].search(/\S/);
  const last = find(to, first, (line) => line.search(/\S/) === indent && line.slice(indent).startsWith(to));
  const code = lines.slice(first, last + 1).map((line) => line.slice(indent));
  return { file, line: first + 1, code: code.join("\n") };
}
