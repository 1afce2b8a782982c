// Chromium on a page of this repository that may share memory, for as long as it is used.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { ISOLATED, launchChromium, withPage } from "../tests/chromium.ts";
import { served } from "../tests/served.ts";

/** `page.html` in `root`, bundled, with `links` (name → path) beside it, once `ready` is there. */
export async function onPage<R>(
  root: string,
  links: Record<string, string>,
  use: (page: Page, browser: Browser) => Promise<R>,
  { alias = {}, ready = "globalThis.carryOut" }: { alias?: Record<string, string>; ready?: string } = {},
): Promise<R> {
  const site = mkdtempSync(join(tmpdir(), "sam2-bench-"));
  try {
    await build({
      root,
      configFile: false,
      logLevel: "error",
      resolve: { alias },
      worker: { format: "es" },
      build: { outDir: site, emptyOutDir: true, rollupOptions: { input: join(root, "page.html") } },
    });
    for (const [name, path] of Object.entries(links)) symlinkSync(path, join(site, name));
    return await served(site, ISOLATED, async (url) => {
      const browser = await launchChromium();
      try {
        return await withPage(browser, new URL("page.html", url).href, async (page) => {
          page.setDefaultTimeout(0);
          await page.waitForFunction(ready);
          return use(page, browser);
        });
      } finally {
        await browser.close();
      }
    });
  } finally {
    rmSync(site, { recursive: true, force: true });
  }
}
