/**
 * Numbers in the sentences and tables of a page. Behind a number stands, in a comment that no reader sees, where it comes
 * from: 281<!--= frame.gmac --> is `frame.gmac` of numbers.ts, 84<!--= gemm 3 --> stands in entry 3 of the diary at the head
 * of kernels/gemm.ts. A number without a source is a setting of the code, or has fewer than two significant digits.
 */
import { existsSync, readFileSync } from "node:fs";

export interface ProseNumber {
  /** of the page, from 1 */
  line: number;
  text: string;
  source?: string;
}

const NUMBER = /(?<![\w.#×])(\d[\d,]*\d|\d)(\.\d+)?(e[-+]?\d+)?(?![\w])(<!--= ([^>]+?) -->)?/g;
/** Code, addresses, shapes, other comments, numbers of sections, and what the paper and models are called. */
const NOT_PROSE = [
  /^\|.*\| `\w+ \d+`\s*\|$/gm, // a row that names its diary is compared as a whole
  /^ {4}.*$/gm, // formulas
  /```[^]*?```/g,
  /`[^`]*`/g,
  /\]\([^)]*\)/g,
  /^\[[^\]]+\]: .*$/gm,
  /<!--(?!=)[^]*?-->/g,
  /\[\d+(,\s\d+)+\]/g,
  /SAM 2\.[01]/g,
  /arXiv:[\d.]+/g,
  /appendix [A-Z]\.\d/gi,
  /^#+ .*$/gm,
];

/** Numbers of two significant digits or more, and all that name a source. */
export function proseNumbers(markdown: string): ProseNumber[] {
  const prose = NOT_PROSE.reduce((text, pattern) => text.replace(pattern, blank), markdown);
  return [...prose.matchAll(NUMBER)].flatMap((match) => {
    const [, whole, fraction = "", power = "", , source] = match;
    const text = `${whole}${fraction}${power}`;
    const digits = `${whole}${fraction}`.replaceAll(/[.,]/g, "").replace(/^0+/, "");
    if (source === undefined && digits.length < 2) return [];
    return [{ line: prose.slice(0, match.index).split("\n").length, text, source }];
  });
}

/** The same number of lines. */
function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, " ");
}

/** Is this how the value reads with as many digits as are printed? */
export function isRounded(text: string, value: number): boolean {
  const plain = text.replaceAll(",", "");
  const [, digits = ""] = /\.(\d+)/.exec(plain) ?? [];
  return plain === (/e/.test(plain) ? value.toExponential(digits.length) : value.toFixed(digits.length));
}

/** Entry n of the diary at the head of a kernel, in all series that have one; all of it without n. */
export function diaryEntry(kernel: string, n?: number): string {
  const source = readFileSync(new URL(`../kernels/${kernel}.ts`, import.meta.url), "utf8");
  const head = source.slice(0, source.search(/^[^/]/m)).replaceAll("\n// ", "\n");
  if (n === undefined) return head;
  const entries = head.matchAll(new RegExp(`^${n}\\. [^]*?(?=^\\d+\\. |^\\S.*:$|^[A-Z][a-z]+ |$(?![^]))`, "gm"));
  return [...entries].map(([entry]) => entry).join("\n");
}

/** @returns what is wrong with the numbers of a page, a line each */
export function numberFailures(
  markdown: string,
  measured: ReadonlyMap<string, number>,
  settings: ReadonlySet<string>,
): string[] {
  return proseNumbers(markdown).flatMap(({ line, text, source }) => {
    if (source === undefined) {
      return settings.has(text) ? [] : [`line ${line}: ${text}: expected a source, <!--= name -->, or a setting`];
    }
    const value = measured.get(source);
    if (value !== undefined) return isRounded(text, value) ? [] : [`line ${line}: ${source} is ${value}, not ${text}`];
    const [, kernel, entry] = /^([a-z]+)(?: (\d+))?$/.exec(source) ?? [];
    if (!kernel || !existsSync(new URL(`../kernels/${kernel}.ts`, import.meta.url))) {
      return [`line ${line}: ${source}: neither a measured number nor an entry of a diary`];
    }
    const told = diaryEntry(kernel, entry === undefined ? undefined : Number(entry));
    const digits = text.replaceAll(",", "").replace(".", "\\.");
    return new RegExp(`(^|[^\\d.])${digits}($|[^\\d.]|\\.(?!\\d))`, "m").test(told)
      ? []
      : [`line ${line}: ${text} does not stand in ${source}: ${told}`];
  });
}
