// Chromium on a page of this repository that may share memory, for as long as it is used.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build, preview } from "vite";
import { ISOLATED, launchChromium } from "../tests/chromium.ts";

/** `page.html` in `root`, bundled, with `links` (name → path) beside it. */
export async function onPage<R>(
  root: string,
  links: Record<string, string>,
  use: (page: Page, browser: Browser) => Promise<R>,
): Promise<R> {
  const site = mkdtempSync(join(tmpdir(), "sam2-bench-"));
  const common = { root, configFile: false, logLevel: "error" } as const;
  try {
    await build({
      ...common,
      worker: { format: "es" },
      build: { outDir: site, emptyOutDir: true, rollupOptions: { input: join(root, "page.html") } },
    });
    for (const [name, path] of Object.entries(links)) symlinkSync(path, join(site, name));
    const server = await preview({ ...common, build: { outDir: site }, preview: { port: 0, headers: ISOLATED } });
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(0);
      await page.goto(new URL("page.html", server.resolvedUrls!.local[0]).href);
      await page.waitForFunction("globalThis.carryOut");
      return await use(page, browser);
    } finally {
      await browser.close();
      await server.close();
    }
  } finally {
    rmSync(site, { recursive: true, force: true });
  }
}
