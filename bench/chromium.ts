import { fileURLToPath } from "node:url";
import { onPage } from "./page.ts";
import type { Job, Results } from "./run.ts";

/** `run` in a worker of a page in Chromium. */
export function runInChromium({ only, description }: Job, print: (line: string) => void): Promise<Results> {
  return onPage(fileURLToPath(new URL(".", import.meta.url)), {}, (page, browser) => {
    const job: Job = { only, description: { ...description, browser: `Chromium ${browser.version()}` } };
    page.on("console", (message) => print(message.text()));
    return page.evaluate<Results>(`carryOut(${JSON.stringify(job)})`);
  });
}
