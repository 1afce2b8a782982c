// What `npm pack` makes, as somebody has it who installed it: the README's examples in Node, with tsx and with Vite, types
// and sizes. The tarball is unpacked into an empty project and its dependencies, those declared and no others, are linked.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createServer, build as viteBuild } from "vite";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { officialCheckpoint } from "../src/io/official.ts";
import { encodePng } from "../src/io/png.ts";
import { expectBuilt } from "./built.ts";
import { hasChromium, ISOLATED, launchChromium, NO_CHROMIUM, withPage } from "./chromium.ts";
import { goldenImage } from "../golden/hash_image.ts";
import { leaveOut } from "./left_out.ts";
import { served } from "./served.ts";

const MB = 1e6;
const [WIDTH, HEIGHT, FRAMES] = [960, 640, 3];

const root = fileURLToPath(new URL("..", import.meta.url));
const project = realpathSync(mkdtempSync(join(tmpdir(), "sam2-package-")));
process.once("exit", () => rmSync(project, { recursive: true, force: true }));
const installed = join(project, "node_modules", "sam2-ts");
const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(
  ([, code]) => code,
);
const tarball = prepare();

const Package = suite("package");

Package("holds what runs, its types, nano and the licence, and nothing else", () => {
  const files = readdirSync(installed, { recursive: true, encoding: "utf8" }).filter(
    (file) => !lstatSync(join(installed, file)).isDirectory(),
  );
  const wanted =
    /^(dist\/.*\.(js|d\.ts)|dist\/(browser|platform|server)\/LICENSES\.txt|build\/kernels(_fma)?\.wasm|dist\/studio\/(assets\/.*|index\.html|sw\.js|address\.js|_headers|LICENSES\.txt)|models\/nano\/(nano\.safetensors|README\.md)|package\.json|README\.md|LICENSE|NOTICE)$/;
  const unwanted = files.filter((file) => !wanted.test(file.replaceAll("\\", "/")) || /\.test\./.test(file));
  assert.is(unwanted.join("\n"), "");
});

Package(
  "at most 1.2 MB without nano and the studio's page, which takes 1.5 MB more, 15 MB when installed with all that it needs",
  () => {
    const packed = (...excluded: string[]) => {
      const args = ["-czf", "-", ...excluded.map((folder) => `--exclude=package/${folder}`), "package"];
      const { stdout } = spawnSync("tar", args, { cwd: project, maxBuffer: 64 * MB });
      assert.ok(stdout.length > 0);
      return stdout.length;
    };
    const withoutStudio = packed("models", "dist/studio");
    assert.ok(withoutStudio <= 1.2 * MB, `${withoutStudio} bytes`);
    const studio = packed("models") - withoutStudio;
    assert.ok(studio > 0 && studio <= 1.5 * MB, `${studio} bytes`);
    const bytes = [...withDependencies("sam2-ts")].reduce((sum, folder) => sum + sizeOf(folder), 0);
    assert.ok(bytes <= 15 * MB, `${bytes} bytes`);
  },
);

for (const [name, command, extension] of [
  ["Node", process.execPath, "mjs"],
  ["tsx", join(root, "node_modules", ".bin", "tsx"), "ts"],
] as const) {
  Package(`the README's example for a photo runs in ${name}`, () => {
    const file = write(extension, blockWith("new ImagePredictor"), "console.log(masks.length, masks[0].length);");
    const answer = run(command, [file]);
    assert.is(answer, `3 ${WIDTH * HEIGHT}\n`);
  });

  Package(`the README's example for a video runs in ${name} and lets the process end`, () => {
    const answer = run(command, [write(extension, blockWith("new VideoPredictor"))]);
    const frames = answer.split("\n").filter((line) => /^\d+ -?\d+\.\d+$/.test(line));
    assert.is(frames.length, FRAMES, answer);
  });
}

Package("the README's examples and all declarations are typed, for Node, for bundlers and for node10", () => {
  for (const code of blocks) write("ts", code);
  const files = readdirSync(project).filter((file) => file.endsWith(".ts"));
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const strict = ["--noEmit", "--strict", "--target", "es2023", "--lib", "esnext,dom,dom.iterable"];
  for (const resolution of [
    ["--module", "nodenext"],
    ["--module", "esnext", "--moduleResolution", "bundler"],
    ["--module", "esnext", "--moduleResolution", "node10", "--ignoreDeprecations", "6.0"],
  ]) {
    assert.is(run(tsc, [...strict, "--skipLibCheck", "false", ...resolution, ...files]), "");
  }
});

Package("lists as programs make them are typed: labels, points and boxes of plain numbers", () => {
  const file = write(
    "ts",
    'import { ImagePredictor, VideoPredictor, VideoState } from "sam2-ts";',
    "declare const image: ImagePredictor, video: VideoPredictor, state: VideoState;",
    "const [points, labels, box]: [number[][], number[], number[]] = [[[1, 2]], [1], [1, 2, 3, 4]];",
    "void image.predict({ points, labels, box });",
    "void video.addNewPointsOrBox(state, { frame: 0, object: 1, points, labels, box });",
  );
  const tsc = join(root, "node_modules", ".bin", "tsc");
  assert.is(
    run(tsc, ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--skipLibCheck", file]),
    "",
  );
});

Package("CommonJS requires it", () => {
  writeFileSync(join(project, "required.cjs"), 'console.log(typeof require("sam2-ts").Sam2.fromPretrained);');
  assert.is(run(process.execPath, ["--no-warnings", "required.cjs"]), "function\n");
});

Package("the command runs", () => {
  const { bin, version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  const main = join(installed, bin["sam2-ts"]);
  assert.is(run(process.execPath, [main, "--version"]), `${version}\n`);
  writeFileSync(
    join(project, "photo.png"),
    encodePng({ width: 64, height: 64, channels: 3, data: goldenImage(1, 64, 64) }),
  );
  const answer = run(process.execPath, [main, "segment", "photo.png", "--point", "32,32", "--json", "--quiet"]);
  assert.is(JSON.parse(answer).prompts[0].masks.length, 3);
});

for (const [name, ...args] of [
  ["publint", "run", "--strict", tarball],
  ["attw", "--profile", "esm-only", tarball],
  ["typedoc", "--emit", "none"],
]) {
  const bin = join(root, "node_modules", ".bin", name);
  if (!existsSync(bin)) {
    leaveOut(name, "it is not installed; run: npm ci");
    continue;
  }
  Package(`${name} has nothing to object to`, () => {
    const { status, stdout, stderr } = spawnSync(bin, args, { cwd: root, encoding: "utf8" });
    assert.is(status, 0, `${stdout}${stderr}`);
  });
}

// ---- Vite, without configuration -------------------------------------------------------------------------------------

const VITE = {
  root: project,
  configFile: false as const,
  logLevel: "error" as const,
};

async function answerOf(url: string): Promise<{ threads: number; masks: number }> {
  const browser = await launchChromium();
  try {
    return await withPage(browser, url, async (page) => {
      await page.waitForFunction("globalThis.answer");
      return page.evaluate("answer()");
    });
  } finally {
    await browser.close();
  }
}

function writePage(): void {
  writeFileSync(join(project, "index.html"), '<!doctype html><script type="module" src="page.js"></script>');
  writeFileSync(
    join(project, "page.js"),
    `import { ImagePredictor, Sam2 } from "sam2-ts";
    globalThis.answer = async () => {
      const sam2 = await Sam2.fromPretrained(undefined, { threads: 2 });
      const predictor = new ImagePredictor(sam2);
      await predictor.setImage(new ImageData(64, 48));
      const { masks } = await predictor.predict({ points: [[30, 20]] });
      await sam2.dispose();
      return { threads: sam2.threads, masks: masks.length };
    };`,
  );
}

if (hasChromium) {
  Package("a page of Vite's dev server segments on two threads", async () => {
    writePage();
    const server = await createServer({ ...VITE, server: { port: 0, headers: ISOLATED } });
    try {
      await server.listen();
      assert.equal(await answerOf(server.resolvedUrls!.local[0]), { threads: 2, masks: 3 });
    } finally {
      await server.close();
    }
  });

  Package("a page that Vite built does the same", async () => {
    writePage();
    await viteBuild(VITE);
    assert.equal(await served(join(project, "dist"), ISOLATED, answerOf), { threads: 2, masks: 3 });
  });
} else {
  leaveOut("pages by Vite", NO_CHROMIUM, 2);
}

Package.run();

/** Pack, unpack, link, and put the files there that the README names; the path of the tarball. */
function prepare(): string {
  expectBuilt();
  const cache = join(project, ".npm"); // the user's own may be one that cannot be written
  run("npm", ["pack", "--ignore-scripts", "--pack-destination", project, "--cache", cache], root);
  const tarball = join(
    project,
    readdirSync(project).find((file) => file.endsWith(".tgz"))!,
  );
  mkdirSync(join(project, "node_modules"));
  run("tar", ["-xzf", tarball]);
  cpSync(join(project, "package"), installed, { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(project, "node_modules", name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name), "junction");
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));

  const image = (seed: number) =>
    encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data: goldenImage(seed, WIDTH, HEIGHT) });
  process.env.SAM2_CACHE = join(project, "cache");
  mkdirSync(process.env.SAM2_CACHE);
  cpSync(DEMO_MODEL.url, join(process.env.SAM2_CACHE, officialCheckpoint("tiny")!.file));
  for (const code of blocks) {
    for (const [, name] of code.matchAll(/"([\w./-]+\.(jpg|png))"/g)) {
      writeFileSync(join(project, name), image(1));
    }
  }
  mkdirSync(join(project, "frames"));
  for (let frame = 0; frame < FRAMES; frame++) writeFileSync(join(project, "frames", `0000${frame}.jpg`), image(2));
  return tarball;
}

/** What a program prints; fails unless it ends well. */
function run(command: string, args: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 120_000 });
  assert.is(status, 0, `${basename(command)} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

function blockWith(text: string): string {
  const block = blocks.find((code) => code.includes(text));
  assert.ok(block, `README.md: expected a block of TypeScript with ${text}`);
  return block!;
}

function write(extension: string, ...lines: readonly string[]): string {
  const name = `block_${readdirSync(project).length}.${extension}`;
  writeFileSync(join(project, name), lines.join("\n"));
  return name;
}

/** The folders of a package and of all that it depends on. */
function withDependencies(name: string, from = project, found = new Set<string>()): Set<string> {
  const nested = join(from, "node_modules", name);
  const folder = realpathSync(existsSync(nested) ? nested : join(root, "node_modules", name));
  if (found.has(folder)) return found;
  found.add(folder);
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const dependency of Object.keys(dependencies)) withDependencies(dependency, folder, found);
  return found;
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => lstatSync(join(folder, file)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
