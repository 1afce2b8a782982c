// chromium.ts JOB: one stage in Chromium, on a page with shared memory; prints a line of JSON.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { onPage } from "../page.ts";
import type { Job, Result } from "./job.ts";

const job: Job = JSON.parse(process.argv[2]);
const here = fileURLToPath(new URL(".", import.meta.url));
const engines = ["onnxruntime-web", "onnxruntime-web-of-transformers"];
const links = Object.fromEntries(engines.map((name) => [name, join(here, "node_modules", name, "dist")]));

await onPage(here, { ...links, models: job.models }, async (page, browser) => {
  const call = `carryOut(${JSON.stringify({ ...job, models: "/models" })})`;
  const result = await page.evaluate<Result>(call);
  const peakBytes = await rendererPeak(browser);
  process.stdout.write(JSON.stringify({ ...result, peakBytes }));
});

/** The most memory that the process of the page has held; Linux only. */
async function rendererPeak(browser: Browser): Promise<number | undefined> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const renderers = processInfo.filter(({ type }) => type === "renderer");
  if (process.platform !== "linux") return undefined;
  const peaks = renderers.map(({ id }) => /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1]);
  return Math.max(...peaks.map(Number)) * 1024;
}
