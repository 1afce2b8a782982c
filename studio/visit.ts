/** A visitor of the built page, for tests. */
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { ISOLATED } from "../tests/chromium.ts";
import { PATIENCE_MS } from "../tests/patience.ts";
import { served } from "../tests/served.ts";
import { catchChoosers } from "./choose_files.ts";
import { notCounted, tellTasks, watchTasks } from "./long_tasks.ts";
import type { Document } from "./src/state/document.ts";

const site = fileURLToPath(new URL("../dist/studio", import.meta.url));

interface Visit extends BrowserContextOptions {
  /** done before the page loads */
  before?: (page: Page) => Promise<unknown>;
  /** what the hint says once clicks are answered */
  hint?: RegExp;
  /** of the page's files */
  headers?: Record<string, string>;
  query?: string;
}

/** With a browser of their own. Errors that nobody catches fail the test; tasks that keep the page's thread busy are told. */
export async function visit(
  browser: Browser,
  use: (page: Page, context: BrowserContext) => Promise<void>,
  { before, hint, headers = ISOLATED, query = "?kernels=portable", ...options }: Visit = {},
): Promise<void> {
  await served(site, headers, async (url) => {
    const context = await browser.newContext({
      viewport: { width: 1200, height: 800 },
      serviceWorkers: "block",
      ...options,
    });
    const page = await context.newPage();
    catchChoosers(page);
    page.setDefaultTimeout(PATIENCE_MS);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.stack || `${error}`));
    try {
      await before?.(page);
      const tasks = await watchTasks(page);
      await page.goto(`${url}${query}`);
      await ready(page, hint);
      await use(page, context);
      assert.equal(errors, []);
      await tellTasks(page, tasks);
    } finally {
      await context.close();
    }
  });
}

/** The hint says that clicks are answered now. */
export async function ready(page: Page, hint = /^(Point at|Click|Go to)/): Promise<void> {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector(".hint")?.textContent ?? ""),
    [hint.source, hint.flags] as const,
  );
}

/** A place of the picture on the screen. @units 0…1 of the picture */
export function at(page: Page, x: number, y: number): Promise<[number, number]> {
  return page.evaluate(
    ([x, y]) => {
      const { left, top, width, height } = document.querySelector(".picture")!.getBoundingClientRect();
      return [left + x * width, top + y * height] as [number, number];
    },
    [x, y] as const,
  );
}

/** @units 0…1 of the picture */
export async function click(page: Page, x: number, y: number, button: "left" | "right" = "left"): Promise<void> {
  await page.mouse.click(...(await at(page, x, y)), { button });
}

/** The clip that the page draws. */
export async function openClip(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Clip", exact: true }).click();
  await page.waitForSelector(".timeline");
  await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 400);
}

/** What is on the page and against axe's rules. */
export async function violations(page: Page): Promise<string[]> {
  return notCounted(page, async () => {
    if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(axe.source);
    return page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
      return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
    });
  });
}

/** Is a later frame than this one seen? */
export const past = (page: Page, frame: number) =>
  page.waitForFunction(
    (frame) => Number(document.querySelector(".tracks")!.getAttribute("aria-valuenow")) > frame,
    frame,
  );

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
