/**
 * The code blocks of a page as programs. A `sh` block is a script and a `ts` block a file in the root of a checkout; a
 * `text` block right below is what it prints; a last line … stands for the rest. Clips are tracked with the fastest kernels of
 * the machine, so the last digit of their numbers may differ.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { marked, type Tokens } from "marked";
import { expectBuilt } from "../tests/built.ts";
import { renewSnippets } from "./snippets.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGES = fileURLToPath(new URL(".", import.meta.url));
/** What a checkout does not have, and what commands write. */
const LEFT_OUT = [".git", "demo-output"];
const REST = "…";
/** Pages whose programs ask a server that is not theirs. */
const NEEDS_A_SERVER = ["serve.md"];

/** A program of a page. */
export interface Block {
  /** of the page, from 1 */
  line: number;
  lang: "sh" | "ts";
  code: string;
  /** what the page says that it prints */
  output?: string;
}

/** The programs of a page, in order. Blocks in other languages are only shown. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let last: Block | undefined;
  let at = 0;
  for (const token of marked.lexer(markdown)) {
    const line = markdown.slice(0, at).split("\n").length;
    at += token.raw.length;
    if (token.type === "space") continue;
    const { lang, text } = token.type === "code" ? (token as Tokens.Code) : { lang: undefined, text: "" };
    if (last && lang === "text") last.output = text;
    last = lang === "sh" || lang === "ts" ? { line, lang, code: text } : undefined;
    if (last) blocks.push(last);
  }
  return blocks;
}

/**
 * A folder that looks like a checkout, with links to all that is in it and the package's commands in .bin; what a program
 * writes stays there.
 */
export function sandbox(): { folder: string; remove: () => void } {
  expectBuilt();
  const folder = mkdtempSync(join(tmpdir(), "sam2-docs-"));
  for (const name of readdirSync(ROOT)) if (!LEFT_OUT.includes(name)) symlinkSync(join(ROOT, name), join(folder, name));
  mkdirSync(join(folder, ".bin"));
  const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { bin: Record<string, string> };
  for (const [command, file] of Object.entries(bin)) {
    const script = `#!/bin/sh\nexec node "${join(ROOT, file)}" "$@"\n`;
    writeFileSync(join(folder, ".bin", command), script, { mode: 0o755 });
  }
  // npx itself takes a second to find what is on the PATH here, and tsx half of one to start a process like this
  writeFileSync(join(folder, ".bin", "npx"), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  const tsx = `#!/bin/sh\nexec node --import "${import.meta.resolve("tsx")}" "$@"\n`;
  writeFileSync(join(folder, ".bin", "tsx"), tsx, { mode: 0o755 });
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** Run a block in a folder. @returns what it printed to stdout, and all that it printed */
export async function runBlock({ lang, code }: Block, folder: string): Promise<Ran> {
  if (lang === "sh") return run("bash", ["-euo", "pipefail", "-c", code], folder);
  const file = join(folder, "block.ts");
  writeFileSync(file, code);
  return run("tsx", [file], folder);
}

export interface Ran {
  code: number;
  stdout: string;
  all: string;
}

function run(command: string, args: string[], cwd: string): Promise<Ran> {
  const PATH = [join(cwd, ".bin"), join(ROOT, "node_modules/.bin"), process.env.PATH].join(delimiter);
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, PATH, NO_COLOR: "1" } });
    const ran: Ran = { code: 1, stdout: "", all: "" };
    child.stdout.on("data", (chunk) => {
      ran.stdout += chunk;
      ran.all += chunk;
    });
    child.stderr.on("data", (chunk) => {
      ran.all += chunk;
    });
    child.on("close", (code) => resolve({ ...ran, code: code ?? 1 }));
  });
}

export interface RunOptions {
  /** why a block is not run, e.g. because it needs the internet */
  skip?: (block: Block) => string | undefined;
  /** put files into the folder that the page takes for granted */
  prepare?: (folder: string) => void | Promise<void>;
}

/** Run all blocks of a page, one after the other in one folder. @returns what is wrong, a line each */
export async function blockFailures(file: string, { skip, prepare }: RunOptions = {}): Promise<string[]> {
  const { folder, remove } = sandbox();
  const failures: string[] = [];
  try {
    await prepare?.(folder);
    for (const block of blocksOf(readFileSync(file, "utf8"))) {
      if (skip?.(block)) continue;
      const { code, stdout, all } = await runBlock(block, folder);
      const where = `${file}:${block.line}`;
      if (code !== 0) failures.push(`${where}: exit code ${code}\n${all}`);
      else if (block.output !== undefined && !agrees(block.output, stdout, /play\.ts track/.test(block.code))) {
        failures.push(`${where}: expected\n${block.output}\ngot\n${stdout}`);
      }
    }
  } finally {
    remove();
  }
  return failures;
}

/**
 * Is it the same, but for spaces?
 *
 * @param loose the last digit of a number may be one more or less, as it may with other kernels
 */
export function agrees(expected: string, got: string, loose = false): boolean {
  const [want, have] = [expected, got].map(lines);
  const isSame = (line: string, i: number) => have[i] !== undefined && sameLine(line, have[i], loose);
  if (want.at(-1) === REST) return want.slice(0, -1).every(isSame);
  return want.length === have.length && want.every(isSame);
}

function lines(text: string): string[] {
  return text.trimEnd().split("\n");
}

function sameLine(expected: string, got: string, loose: boolean): boolean {
  const [want, have] = [expected, got].map((line) => line.trim().split(/\s+/));
  return want.length === have.length && want.every((word, i) => word === have[i] || (loose && isNear(word, have[i])));
}

function isNear(a: string, b: string): boolean {
  const digits = /\.(\d+)$/.exec(a)?.[1].length;
  return digits !== undefined && Math.abs(Number(a) - Number(b)) < 1.5 * 10 ** -digits;
}

/**
 * Copy the source lines that the pages of this folder quote, run their commands, and write what they print below them.
 *
 * @returns the changed pages
 */
export async function renewPages(): Promise<string[]> {
  const changed: string[] = [];
  const { folder, remove } = sandbox();
  try {
    for (const page of readdirSync(PAGES).filter((name) => name.endsWith(".md") && !NEEDS_A_SERVER.includes(name))) {
      const before = readFileSync(join(PAGES, page), "utf8");
      let { markdown } = renewSnippets(before);
      for (const block of blocksOf(markdown)) {
        if (block.output === undefined) continue;
        const { code, stdout, all } = await runBlock(block, folder);
        if (code !== 0) throw new Error(`${page}:${block.line}: expected exit code 0, got ${code}\n${all}`);
        const start = markdown.indexOf(block.code) + block.code.length;
        const output = `\`\`\`text\n${block.output}\n\`\`\``;
        const at = markdown.indexOf(output, start);
        markdown = `${markdown.slice(0, at)}\`\`\`text\n${renewed(block.output, stdout)}\n\`\`\`${markdown.slice(at + output.length)}`;
      }
      if (markdown === before) continue;
      writeFileSync(join(PAGES, page), markdown);
      changed.push(page);
    }
  } finally {
    remove();
  }
  return changed;
}

/** As many lines as the page showed. */
function renewed(old: string, stdout: string): string {
  const shown = lines(old);
  if (shown.at(-1) !== REST) return stdout.trimEnd();
  return [...lines(stdout).slice(0, shown.length - 1), REST].join("\n");
}
