// chromium.ts JOB: one stage in Chromium, on a page with shared memory; prints a line of JSON.
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { build, preview } from "vite";
import { ISOLATED, launchChromium } from "../../golden/chromium.ts";
import type { Job, Result } from "./job.ts";

const job: Job = JSON.parse(process.argv[2]);
const here = fileURLToPath(new URL(".", import.meta.url));
const site = mkdtempSync(join(tmpdir(), "sam2-peers-"));
const common = { root: here, configFile: false, logLevel: "error" } as const;

try {
  await build({
    ...common,
    worker: { format: "es" },
    build: { outDir: site, emptyOutDir: true, rollupOptions: { input: join(here, "page.html") } },
  });
  symlinkSync(job.models, join(site, "models"));
  for (const name of ["onnxruntime-web", "onnxruntime-web-of-transformers"]) {
    symlinkSync(join(here, "node_modules", name, "dist"), join(site, name));
  }
  const server = await preview({ ...common, build: { outDir: site }, preview: { port: 0, headers: ISOLATED } });
  const browser = await launchChromium();
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(new URL("page.html", server.resolvedUrls!.local[0]).href);
  await page.waitForFunction("globalThis.carryOut");
  const call = `carryOut(${JSON.stringify({ ...job, models: "/models" })})`;
  const result = await page.evaluate<Result>(call);
  const peakBytes = await rendererPeak(browser);
  process.stdout.write(JSON.stringify({ ...result, peakBytes }));
  await browser.close();
  await server.close();
} finally {
  rmSync(site, { recursive: true, force: true });
}

/** The most memory that the process of the page has held; Linux only. */
async function rendererPeak(browser: Browser): Promise<number | undefined> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const renderers = processInfo.filter(({ type }) => type === "renderer");
  if (process.platform !== "linux") return undefined;
  const peaks = renderers.map(({ id }) => /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1]);
  return Math.max(...peaks.map(Number)) * 1024;
}
