// The pages as HTML in Chromium: on a phone and on a desk, light and dark, nothing sticks out and nothing complains.
import { readdirSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { launchChromium, runWithChromium, withPage } from "../tests/chromium.ts";
import { buildPages } from "./build.ts";

const FOLDER = new URL("html/", import.meta.url);
const SIZES = [
  { width: 390, height: 844, colorScheme: "dark" },
  { width: 1280, height: 900, colorScheme: "light" },
] as const;

let browser: Browser;
const Html = suite("html");

Html.before(async () => {
  buildPages();
  browser = await launchChromium();
});
Html.after(async () => {
  await browser.close();
});

for (const { width, height, colorScheme } of SIZES) {
  Html(`at ${width} px, ${colorScheme}: no overflow, no error, every picture and link target there`, async () => {
    const pages = readdirSync(FOLDER).filter((name) => name.endsWith(".html"));
    assert.is(pages.length, 4);
    for (const name of pages) {
      const options = { viewport: { width, height }, colorScheme };
      const wrong = await withPage(browser, new URL(name, FOLDER).href, wrongIn, options);
      assert.is(wrong.join("\n"), "", name);
    }
  });
}

runWithChromium(Html, "html", SIZES.length);

/** What the page complains of, and what sticks out of it, but for what scrolls; pictures that did not load; dead anchors. */
async function wrongIn(page: Page, complaints: string[]): Promise<string[]> {
  const found = await page.evaluate<string[]>(`(() => {
    const boxed = (element) => element.closest(".scroll, pre");
    const out = [...document.body.querySelectorAll("*")].filter(
      (element) => !boxed(element) && element.getBoundingClientRect().right > innerWidth + 0.5,
    );
    const blank = [...document.images].filter((image) => image.naturalWidth === 0);
    const dead = [...document.querySelectorAll('a[href^="#"]')].filter(
      (link) => !document.getElementById(link.getAttribute("href").slice(1)),
    );
    const scroll = document.documentElement.scrollWidth;
    return [...[...out, ...blank, ...dead].map((element) => element.outerHTML.slice(0, 120)), ...(scroll > innerWidth ? [scroll] : [])];
  })()`);
  return [...complaints, ...found];
}
