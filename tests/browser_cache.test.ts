// What a page asks for by name is downloaded once: the built package in Chromium, with a server of this process in the
// place of the Hub.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build } from "vite";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { expectBuilt } from "./built.ts";
import { launchChromium, runWithChromium } from "./chromium.ts";
import { PATIENCE_MS } from "./patience.ts";

const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `
  import { Sam2 } from "sam2-ts";
  globalThis.load = async (name) => {
    const fractions = [];
    const onProgress = ({ stage, fraction }) => stage === "download" && fractions.push(fraction);
    try {
      const sam2 = await Sam2.fromPretrained(name, { threads: 1, onProgress });
      await sam2.dispose();
      return { model: sam2.config.name, last: fractions.at(-1), error: "" };
    } catch (error) {
      return { model: "", last: fractions.at(-1), error: error.message };
    }
  };`;

interface Loaded {
  model: string;
  /** the last fraction of the download that was told */
  last?: number;
  error: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sam2-page-"));
const nano = readFileSync(DEMO_MODEL.url);
/** The Hub: which ranges were asked for, how many bytes it gives before it hangs up, and what it gives instead of nano. */
const hub = { ranges: [] as (string | undefined)[], cutAfter: Number.POSITIVE_INFINITY, body: nano as Buffer };

const server = createServer(({ url = "/", headers: { range } }, response) => {
  if (!url.startsWith("/hub/")) {
    const path = join(folder, "site", url === "/" ? "index.html" : new URL(url, "http://localhost").pathname);
    if (!existsSync(path)) return response.writeHead(404).end();
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    return response.writeHead(200, { "content-type": type }).end(readFileSync(path));
  }
  hub.ranges.push(range);
  const start = Number(/\d+/.exec(range ?? "0")![0]);
  const body = hub.body.subarray(start);
  // no ETag and no Content-Range are shown to a page of another origin unless the server says so
  response.writeHead(start > 0 ? 206 : 200, {
    "access-control-allow-origin": "*",
    "content-length": body.length,
    "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    etag: '"one"',
    ...(start > 0 && { "content-range": `bytes ${start}-${hub.body.length - 1}/${hub.body.length}` }),
  });
  if (hub.cutAfter >= body.length) return response.end(body);
  if (hub.cutAfter === 0) return response.destroy();
  response.write(body.subarray(0, hub.cutAfter), () => setTimeout(() => response.destroy(), 100));
  hub.cutAfter = 0;
});
let browser: Browser;

/** Pages of one person: what one of them keeps, the next finds. */
async function asPerson<R>(use: (open: () => Promise<Page>, context: BrowserContext) => Promise<R>): Promise<R> {
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  await context.route("https://huggingface.co/**", (route) =>
    route.fulfill({
      status: 302,
      headers: {
        location: `${address}/hub/${new URL(route.request().url()).pathname}`,
        "access-control-allow-origin": "*",
      },
    }),
  );
  const open = async () => {
    const page = await context.newPage();
    await page.goto(address);
    await page.waitForFunction("globalThis.load");
    return page;
  };
  try {
    return await use(open, context);
  } finally {
    await context.close();
  }
}

const load = (page: Page, name: string) => page.evaluate<Loaded>(`load(${JSON.stringify(name)})`);

const Kept = suite("downloads of a page");

Kept.before(async () => {
  expectBuilt();
  writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="page.js"></script>');
  writeFileSync(join(folder, "page.js"), PAGE);
  await build({
    root: folder,
    configFile: false,
    logLevel: "warn",
    resolve: { alias: { "sam2-ts": join(root, "dist/browser/index.js") } },
    build: { outDir: join(folder, "site") },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser = await launchChromium();
});
Kept.before.each(() => {
  Object.assign(hub, { ranges: [], cutAfter: Number.POSITIVE_INFINITY, body: nano });
});
Kept.after(async () => {
  await browser?.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

Kept("a model that is asked for by name is downloaded with progress, and the next page finds it", async () => {
  await asPerson(async (open) => {
    assert.equal(await load(await open(), "tiny"), { model: "nano", last: 1, error: "" });
    assert.equal(await load(await open(), "facebook/sam2.1-hiera-tiny"), { model: "nano", last: undefined, error: "" });
    assert.equal(hub.ranges, [undefined]);
  });
});

Kept("two pages at once download it once", async () => {
  await asPerson(async (open) => {
    const pages = [await open(), await open()];
    const loaded = await Promise.all(pages.map((page) => load(page, "tiny")));
    assert.equal(
      loaded.map(({ model }) => model),
      ["nano", "nano"],
    );
    assert.is(hub.ranges.length, 1);
  });
});

Kept("what was received before the network failed is continued by the next page", async () => {
  await asPerson(async (open) => {
    hub.cutAfter = 1_000_000;
    const { error } = await load(await open(), "tiny");
    assert.match(error, /hiera_tiny\.pt: expected an answer, got none/);
    Object.assign(hub, { ranges: [], cutAfter: Number.POSITIVE_INFINITY });
    assert.equal(await load(await open(), "tiny"), { model: "nano", last: 1, error: "" });
    assert.match(hub.ranges.join(), /^bytes=[1-9]\d*-$/);
  });
});

Kept("what is no checkpoint is refused and not kept", async () => {
  await asPerson(async (open) => {
    const page = await open();
    hub.body = Buffer.from("<html>not today</html>");
    assert.match((await load(page, "tiny")).error, /expected a \.pt or \.safetensors file, got a web page/);
    hub.body = nano;
    assert.is((await load(page, "tiny")).model, "nano");
  });
});

Kept("without a private file system, the Cache API keeps it", async () => {
  await asPerson(async (open, context) => {
    // pages and their workers get a platform without it
    await context.route("**/*.js", async (route) => {
      const answer = await route.fetch();
      const without = "delete globalThis.FileSystemFileHandle?.prototype.createSyncAccessHandle;\n";
      await route.fulfill({ response: answer, body: without + (await answer.text()) });
    });
    assert.equal(await load(await open(), "tiny"), { model: "nano", last: 1, error: "" });
    const page = await open();
    assert.equal(await load(page, "tiny"), { model: "nano", last: undefined, error: "" });
    assert.is(hub.ranges.length, 1);
    assert.equal(await page.evaluate("caches.keys()"), ["sam2-ts"]);
  });
});

runWithChromium(Kept, "downloads of a page", 5);
