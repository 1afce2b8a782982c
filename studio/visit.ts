/** A visitor of the built page, for tests. */
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { ISOLATED } from "../tests/chromium.ts";
import { PATIENCE_MS } from "../tests/patience.ts";
import { served } from "../tests/served.ts";
import { catchChoosers } from "./choose_files.ts";
import type { Document } from "./src/state/document.ts";

const site = fileURLToPath(new URL("../dist/studio", import.meta.url));

/** With a browser of their own. Errors that nobody catches fail the test. */
export async function visit(
  browser: Browser,
  use: (page: Page, context: BrowserContext) => Promise<void>,
  before: (page: Page) => Promise<unknown> = async () => {},
): Promise<void> {
  await served(site, ISOLATED, async (url) => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, serviceWorkers: "block" });
    const page = await context.newPage();
    catchChoosers(page);
    page.setDefaultTimeout(PATIENCE_MS);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(`${error.stack}`));
    try {
      await before(page);
      await page.goto(`${url}?kernels=portable`);
      await ready(page);
      await use(page, context);
      assert.equal(errors, []);
    } finally {
      await context.close();
    }
  });
}

/** The hint says that clicks are answered now. */
export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(() => /^(Point at|Click|Go to)/.test(document.querySelector(".hint")?.textContent ?? ""));
}

/** @units 0…1 of the picture */
export async function click(page: Page, x: number, y: number): Promise<void> {
  const box = (await page.locator(".picture").boundingBox())!;
  await page.mouse.click(box.x + x * box.width, box.y + y * box.height);
}

/** Where the drawing has something. @units 0…1 of the picture */
export const THINGS = [
  [0.65, 0.4],
  [0.15, 0.48],
] as const;

export const areAnswered = (objects: number) => (doc: Document) =>
  doc.objects.length === objects && doc.objects.every(({ on }) => on[0]?.found !== undefined);

/** The sentence that the page says when something went wrong, as soon as it is this one. */
export async function saidAsProblem(page: Page, sentence: RegExp): Promise<void> {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("[role=alert] span")?.textContent ?? ""),
    [sentence.source, sentence.flags] as const,
  );
}

/** Or one that asks for nothing. */
export async function saidAsNotice(page: Page, sentence: RegExp): Promise<void> {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector(".notice span")?.textContent ?? ""),
    [sentence.source, sentence.flags] as const,
  );
}
