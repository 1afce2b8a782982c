// A page that imports the package, through each bundler and without one, with no configuration: see docs/bundlers.md.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { expectBuilt } from "./built.ts";
import { ISOLATED, launchChromium, runWithChromium, withPage } from "./chromium.ts";
import { leaveOut } from "./left_out.ts";
import { served } from "./served.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = realpathSync(mkdtempSync(join(tmpdir(), "sam2-bundlers-")));
const SHARED = { "cross-origin-resource-policy": "cross-origin", "access-control-allow-origin": "*" };
let browser: Browser;

const page = (from: string) => `import { ImagePredictor, Sam2 } from "${from}";
  globalThis.answer = async (model = new URL("nano.safetensors", location.href)) => {
    const sam2 = await Sam2.fromPretrained(model, { threads: 2 });
    const predictor = new ImagePredictor(sam2);
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
    canvas.getContext("2d").fillRect(0, 0, 64, 48);
    for (const type of ["image/jpeg", "image/webp"]) {
      await predictor.setImage(await new Promise((done) => canvas.toBlob(done, type)));
    }
    await predictor.setImage(new ImageData(64, 48));
    const { masks } = await predictor.predict({ points: [[30, 20]] });
    await sam2.dispose();
    return { threads: sam2.threads, masks: masks.length };
  };`;

/** A folder to serve, with the model; `script` is how its page loads page.js. */
function site(name: string, script = '<script type="module" src="page.js"></script>'): string {
  const folder = join(project, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "index.html"), `<!doctype html>${script}`);
  cpSync(fileURLToPath(DEMO_MODEL.url), join(folder, "nano.safetensors"));
  return folder;
}

/** esbuild and Rolldown come with the project; the others are installed apart, for they are large. */
const APART = join(root, "tests/bundlers/node_modules");
const hasBundlers = existsSync(APART);

/** What the package depends on is found where this project has it. */
const env = { ...process.env, NODE_PATH: join(root, "node_modules") };

function run(tool: string, ...args: string[]): void {
  const [bin] = [root, join(root, "tests/bundlers")]
    .map((folder) => join(folder, "node_modules/.bin", tool))
    .filter((file) => existsSync(file));
  const { status, stdout, stderr } = spawnSync(bin, args, { cwd: project, encoding: "utf8", env });
  assert.is(status, 0, `${basename(bin)} ${args.join(" ")}\n${stdout}${stderr}`);
}

async function expectMasks(url: string, threads = 2): Promise<void> {
  await withPage(browser, url, async (page, messages) => {
    await page.waitForFunction("globalThis.answer");
    const answer = await page.evaluate("answer()").catch((error: Error) => error.message);
    assert.equal(answer, { threads, masks: 3 }, messages.join("\n"));
  });
}

const Bundlers = suite("bundlers");

Bundlers.before(async () => {
  expectBuilt();
  for (const part of ["dist", "models/nano", "package.json"]) {
    cpSync(join(root, part), join(project, "node_modules", "sam2-ts", part), { recursive: true });
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "pages", private: true, type: "module" }));
  writeFileSync(join(project, "page.js"), page("sam2-ts"));
  browser = await launchChromium();
});

Bundlers.after(async () => {
  await browser?.close();
  rmSync(project, { recursive: true, force: true });
});

Bundlers("esbuild, one file of modules", async () => {
  const folder = site("esbuild");
  run("esbuild", "page.js", "--bundle", "--minify", "--format=esm", "--outfile=esbuild/page.js");
  await served(folder, ISOLATED, expectMasks);
});

Bundlers("esbuild, a classic script", async () => {
  const folder = site("classic", '<script src="page.js"></script>');
  run("esbuild", "page.js", "--bundle", "--outfile=classic/page.js", "--log-level=error");
  await served(folder, ISOLATED, expectMasks);
});

Bundlers("Rolldown, chunks of modules", async () => {
  const folder = site("rolldown");
  run("rolldown", "page.js", "--dir", "rolldown");
  await served(folder, ISOLATED, expectMasks);
});

Bundlers("a page that loads the package from another origin", async () => {
  await served(join(project, "node_modules"), { ...ISOLATED, ...SHARED }, async (other) => {
    const folder = site("cdn");
    writeFileSync(join(folder, "page.js"), page(new URL("sam2-ts/dist/browser/index.js", other).href));
    await served(folder, ISOLATED, expectMasks);
  });
});

/** What a renderer of Electron with nodeIntegration has beside a page, before any script of its own runs. */
const NODE_GLOBALS = `<script>
  globalThis.process = { type: "renderer", platform: "linux", versions: { node: "22.0.0", electron: "38.0.0" }, argv: [], env: {},
    cwd: () => "/", on() { return this; }, nextTick: queueMicrotask };
  globalThis.global = globalThis;
  globalThis.Buffer = class Buffer extends Uint8Array {};
  globalThis.module = { exports: {} };
  globalThis.exports = globalThis.module.exports;
  globalThis.require = (name) => { throw new Error("require was called for " + name); };
  globalThis.__dirname = "/";
</script>`;

Bundlers(
  "a page that has Node's globals, as in Electron, and is not isolated: a module, and a classic script",
  async () => {
    const modules = site("renderer", `${NODE_GLOBALS}<script type="module" src="page.js"></script>`);
    cpSync(join(project, "node_modules/sam2-ts/dist/browser"), join(modules, "sam2"), { recursive: true });
    writeFileSync(join(modules, "page.js"), page("./sam2/index.js"));
    await served(modules, {}, (url) => expectMasks(url, 1));
    const classic = site("renderer-classic", `${NODE_GLOBALS}<script src="page.js"></script>`);
    run("esbuild", "page.js", "--bundle", "--outfile=renderer-classic/page.js", "--log-level=error");
    await served(classic, {}, (url) => expectMasks(url, 1));
  },
);

Bundlers("a page from a file, as a classic script, with the checkpoint from a file dialog", async () => {
  const folder = site("from file", `${NODE_GLOBALS}<input type="file"><script src="page.js"></script>`);
  run("esbuild", "page.js", "--bundle", `--outfile=from file/page.js`, "--log-level=error");
  await withPage(browser, pathToFileURL(join(folder, "index.html")).href, async (page, messages) => {
    await page.setInputFiles("input", join(folder, "nano.safetensors"));
    const answer = await page
      .evaluate("answer(document.querySelector('input').files[0])")
      .catch((error) => error.message);
    assert.equal(answer, { threads: 1, masks: 3 }, messages.join("\n"));
  });
});

Bundlers("a program for Node that has the package in its bundle is told in one sentence to leave it out", () => {
  const text = `import { Sam2 } from "sam2-ts"; Sam2.fromPretrained("tiny").catch((error) => console.log(String(error)));`;
  writeFileSync(join(project, "program.js"), text);
  for (const [format, file] of [
    ["esm", "program.mjs"],
    ["cjs", "program.cjs"],
  ]) {
    const out = `--outfile=out/${file}`;
    run(
      "esbuild",
      "program.js",
      "--bundle",
      "--minify",
      "--platform=node",
      `--format=${format}`,
      out,
      "--log-level=error",
    );
    const { stdout, stderr } = spawnSync(process.execPath, [join(project, "out", file)], {
      encoding: "utf8",
      cwd: root,
    });
    assert.match(
      stdout,
      /^UsageError: sam2-ts: .* got a bundle; leave sam2-ts out of the bundle: serverExternalPackages: .*\n$/,
      stderr,
    );
  }
});

const Apart = hasBundlers ? Bundlers : () => {};
for (const [tool, args] of [
  ["rollup", ["page.js", "--dir", "rollup", "--plugin", "node-resolve"]],
  ["webpack", ["build", "./page.js", "--mode", "production", "-o", "webpack", "--output-filename", "page.js"]],
] as const) {
  Apart(tool, async () => {
    const folder = site(tool);
    run(tool, ...args);
    await served(folder, ISOLATED, expectMasks);
  });
}

Apart("Parcel, which knows `main` and `browser` alone", async () => {
  const folder = site("parcel-page");
  cpSync(join(project, "page.js"), join(folder, "page.js"));
  run("parcel", "build", "parcel-page/index.html", "--dist-dir", "parcel", "--no-cache");
  cpSync(join(folder, "nano.safetensors"), join(project, "parcel", "nano.safetensors"));
  await served(join(project, "parcel"), ISOLATED, expectMasks);
});

runWithChromium(Bundlers, "bundlers", hasBundlers ? 10 : 7);
if (!hasBundlers) leaveOut("bundlers", "they are not installed; run: npm ci --prefix tests/bundlers", 3);
