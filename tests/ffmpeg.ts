/**
 * Video tools for tests: tools of the test's own making on a PATH of its own, and the real ones where they are installed.
 *
 *     const path = writeTools("tools", { ffmpeg: old(REAL_FFMPEG), ffprobe: BROKEN });
 *     await withPath(path, () => sam2(["track", "clip.mp4", …]));
 */
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { leaveOut } from "./left_out.ts";

/** Bodies of programs in JavaScript modules; `process.argv.slice(2)` are the arguments. One that is not named is absent. */
export interface Tools {
  ffmpeg?: string;
  ffprobe?: string;
}

/** Put these tools, and no others, into `folder`; a PATH with that folder alone. `writeTools(folder, {})` has none at all. */
export function writeTools(folder: string, tools: Tools): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, body] of Object.entries(tools)) {
    const program = resolve(folder, `${name}.mjs`);
    writeFileSync(program, body);
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(program)} "$@"\n`, {
      mode: 0o755,
    });
  }
  return resolve(folder);
}

/** Run `body` while this process, and what it starts, finds programs on `path` alone. */
export async function withPath<R>(path: string, body: () => Promise<R>): Promise<R> {
  const before = process.env.PATH;
  process.env.PATH = path;
  try {
    return await body();
  } finally {
    process.env.PATH = before;
  }
}

/** A tool that was installed badly: it ends at once, as the dynamic linker ends it. */
export const BROKEN = `
console.error("error while loading shared libraries: libavdevice.so.59: cannot open shared object file");
process.exit(127);
`;

/** `tool` as of version 4.4: in 4.4's words it refuses the options that came later. */
export function old(tool: string): string {
  return `
const later = process.argv.find((arg) => /^-(fps_mode|display_(rotation|hflip|vflip)$|\\/)/.test(arg));
if (later !== undefined) {
  console.error(\`Unrecognized option '\${later.slice(1)}'.\\nError splitting the argument list: Option not found\`);
  process.exit(1);
}
${tool}`;
}

/** `tool`, begun only after so many seconds. */
export function slow(seconds: number, tool: string): string {
  return `
await new Promise((resolve) => setTimeout(resolve, ${1000 * seconds}));
${tool}`;
}

const [ffmpeg, ffprobe] = ["ffmpeg", "ffprobe"].map(findProgram);

export const hasFfmpeg = ffmpeg !== undefined && ffprobe !== undefined;
export const NO_FFMPEG = "there is no ffmpeg and ffprobe on the PATH; install ffmpeg";

/** The installed tools as bodies, so that they can be made old or slow, or stand on a PATH of their own. */
export const REAL_FFMPEG = calling(ffmpeg);
export const REAL_FFPROBE = calling(ffprobe);

/** Add a test that needs the real tools; without them, say that it is left out. */
export function testWithFfmpeg(
  suite: (title: string, test: () => Promise<void>) => void,
  title: string,
  test: () => Promise<void>,
): void {
  if (hasFfmpeg) suite(title, test);
  else leaveOut(title, NO_FFMPEG);
}

/** A body that passes everything on to a program; if there is none, to nothing. */
function calling(program = ""): string {
  return `
import { spawnSync } from "node:child_process";
const { status } = spawnSync(${JSON.stringify(program)}, process.argv.slice(2), { stdio: "inherit" });
process.exit(status ?? 1);
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function findProgram(name: string): string | undefined {
  const places = (process.env.PATH ?? "").split(delimiter).map((folder) => resolve(folder, name));
  return places.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}
