import type { Page } from "playwright-core";

/**
 * Let choosers of files reach the test, from before the page is loaded. `waitForEvent("filechooser")` alone asks for it too
 * late: it does not wait until Chromium has switched it on, and a key that follows at once may be carried out before.
 */
export function catchChoosers(page: Page): void {
  page.on("filechooser", () => {});
}

/** Give files to the chooser that `ask` opens: the one of Ctrl+O, if nothing is said. */
export async function chooseFiles(
  page: Page,
  files: string | string[],
  ask = () => page.keyboard.press("Control+o"),
): Promise<void> {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), ask()]);
  await chooser.setFiles(files);
}
