/** Chromium for tests and benchmarks: where it is, how it starts, and how a test says that there is none. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { leaveOut } from "./left_out.ts";
import { PATIENCE_MS } from "./patience.ts";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const hasChromium = existsSync(CHROMIUM);
export const NO_CHROMIUM = `there is no Chromium at ${CHROMIUM}; install it, or set CHROMIUM to its path`;

/** Headers of a page that may share memory between threads. */
export const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** A browser in a closed network, perhaps as root. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launchChromium(...more: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...more], timeout: PATIENCE_MS });
}

/** A page for as long as it is used, with all that it says: its console, its errors, what it could not load. */
export async function withPage<R>(
  browser: Browser,
  url: string,
  use: (page: Page, messages: string[]) => Promise<R>,
  options?: BrowserContextOptions,
): Promise<R> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(PATIENCE_MS);
  const messages: string[] = [];
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(`${error}`));
  page.on("requestfailed", (request) => messages.push(`not loaded: ${request.url()}`));
  try {
    await page.goto(url);
    return await use(page, messages);
  } finally {
    await page.close();
  }
}

/** Run a suite that needs Chromium; without it say so, and count its `tests` as skipped. */
export function runWithChromium(suite: { run(): void }, name: string, tests: number): void {
  if (hasChromium) suite.run();
  else leaveOut(name, NO_CHROMIUM, tests);
}
