// The exercises as commands: what they print, and how they refuse. docs.test.ts runs those of the pages as processes.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadNano, nearest, paths } from "./nano.ts";
import { play as run } from "./play_command.ts";

/** A command line in this process. */
async function play(...args: string[]) {
  const [stdout, stderr]: string[][] = [[], []];
  const { log, error } = console;
  console.log = (text) => stdout.push(`${text}\n`);
  console.error = (text) => stderr.push(`${text}\n`);
  try {
    return { status: await run(args), stdout: stdout.join(""), stderr: stderr.join("") };
  } finally {
    Object.assign(console, { log, error });
  }
}

const Play = suite("play");

Play("--help names every exercise, and every option that it takes", async () => {
  const { status, stdout } = await play("--help");
  assert.is(status, 0);
  for (const name of ["click", "survey", "track", "scenes"]) assert.match(stdout, new RegExp(`^  ${name} +[a-z]`, "m"));
  const options = ["watch", "without", "scalar", "memories", "scene", "object", "point", "box", "clip"];
  for (const option of options) assert.match(stdout, new RegExp(`^  --${option} `, "m"));
  assert.is((await play()).stdout, stdout);
});

Play("what is wrong is said in one line: no stack, exit code 2", async () => {
  for (const [args, line] of [
    [["clik"], /^play: exercise: expected one of click, survey, track, scenes, got clik; see --help\n$/],
    [["click", "--scene", "x"], /^play: --scene: expected a whole number ≥ 0, got "x"; see --help\n$/],
    [["click", "--object", "99"], /^play: scene 13: expected an object .*, got 99; take one of \d+, .*\n$/],
    [["click", "--watch", "image_encoder.nek"], /^play: --watch: .*; do you mean image_encoder\.neck\?\n$/],
    [["click", "--without", "no_obj_prt"], /^play: --without: .*; do you mean no_obj_ptr\?\n$/],
    [["click", "--scalar", "gem"], /^play: --scalar: expected one of pack, gemm, .*, got gem; see --help\n$/],
    [["click", "--box", "1,2,3"], /^play: --box: expected x0,y0,x1,y1, got "1,2,3"; .*\n$/],
    [["survey", "--watch", "image_encoder"], /^play: survey: expected only --without, --scalar, got --watch; .*\n$/],
    [["click", "--foo"], /^play: Unknown option '--foo'\n$/],
  ] as const) {
    const { status, stdout, stderr } = await play(...args);
    assert.equal([status, stdout], [2, ""], args.join(" "));
    assert.match(stderr, line);
  }
  const main = fileURLToPath(new URL("play.ts", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ["--import", import.meta.resolve("tsx"), main, "clik"]);
  assert.is(status, 2);
  assert.match(`${stderr}`, /^play: exercise: .*\n$/);
});

Play("a prompt outside of the scene is refused as the predictor does", async () => {
  const { status, stderr } = await play("click", "--point", "600,20");
  assert.is(status, 1);
  assert.match(stderr, /^play: prompt\.points\[0\]: expected x in 0…512.*\n$/);
});

Play("boxes and clicks of one's own, positive and negative, move the masks", async () => {
  const { stdout: alone } = await play("click", "--box", "230,180,450,400");
  const { stdout: corrected } = await play("click", "--box", "230,180,450,400", "--point", "340,280,0");
  assert.match(alone, /^scene 13, object 4, box 230, 180, 450, 400\n/);
  assert.match(corrected, /^scene 13, object 4, negative click at \(340, 280\), box 230, 180, 450, 400\n/);
  const numbers = (text: string) => text.split("\n").slice(2, 5).join();
  assert.is.not(numbers(alone), numbers(corrected));
});

Play("scenes lists objects that click finds, and the object without --object is the first of them", async () => {
  const { stdout } = await play("scenes", "--scene", "19");
  const codes = [...stdout.matchAll(/^ +19 +(\d+) +\d+\.\d % +\d+,\d+$/gm)].map(([, code]) => code);
  assert.ok(codes.length > 1, stdout);
  assert.match((await play("click", "--scene", "19")).stdout, `scene 19, object ${codes[0]}, click at`);
  assert.match(
    (await play("click", "--scene", "19", "--object", codes.at(-1)!)).stdout,
    `scene 19, object ${codes.at(-1)}, `,
  );
});

Play("click --watch shows every path of the graph", async () => {
  const known = await paths((await loadNano()).config);
  const roots = [...known].filter((path) => !path.includes("."));
  assert.ok(roots.includes("memory_attention") && roots.includes("obj_ptr_proj"));
  const seen = new Set<string>();
  for (const path of [...roots, "sam_prompt_encoder.mask_downscaling"]) {
    for (const [, one] of (await play("click", "--watch", path)).stdout.matchAll(/^(\S+) \S+: .*→/gm)) {
      for (let name = one; name; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) seen.add(name);
    }
  }
  assert.is([...known].filter((path) => !seen.has(path)).join("\n"), "");
});

Play("track --watch shows how the memory grows, and a line only where something is new", async () => {
  const { stdout } = await play("track", "--watch", "memory_attention.layers.1.cross_attn_image.k_proj");
  const lines = stdout.split("\n").filter((line) => line.startsWith("frame  ") && line.includes("k_proj"));
  const tokens = lines.map((line) => Number(/\[1, (\d+), 64\]/.exec(line)![1]));
  assert.equal(tokens.slice(0, 8), [258, 516, 774, 1032, 1290, 1548, 1806, 1808]);
  assert.is((await play("track", "--watch", "obj_ptr_proj")).stdout.match(/^frame .*obj_ptr_proj/gm)!.length, 4);
});

Play("the nearest name is the one with the fewest letters to change", () => {
  assert.is(nearest("kitten", ["mitten", "sitting", "kite"]), "mitten");
  assert.is(nearest("", ["abc", "a"]), "a");
});

Play.run();
