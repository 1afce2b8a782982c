/** Tasks that keep the page's thread busy for more than 50 ms, as the browser sees it: waiting for a processor counts too. */
import type { Page } from "playwright-core";

/** @units ms */
export interface LongTasks {
  atLoad: number[];
  later: number[];
}

declare global {
  /** In the page: hand over those until now. Shall the next ones count? */
  var countTasks: (isCounting: boolean) => void;
  var tellTask: (ms: number, isAtLoad: boolean) => void;
}

const all: number[] = [];
let visits = 0;

/** To be called before the page is loaded. Loading ends when the hint first says that clicks are answered, after a reload too. */
export async function watchTasks(page: Page): Promise<LongTasks> {
  const tasks: LongTasks = { atLoad: [], later: [] };
  await page.exposeFunction("tellTask", (ms: number, isAtLoad: boolean) => {
    tasks[isAtLoad ? "atLoad" : "later"].push(ms);
  });
  await page.addInitScript(() => {
    const watch = {
      ready: Infinity,
      counts: true,
      look() {
        const hint = document.querySelector(".hint")?.textContent ?? "";
        if (/^(Point at|Click|Go to)/.test(hint)) watch.ready = performance.now();
        else requestAnimationFrame(watch.look);
      },
      tell(entries: PerformanceEntryList) {
        if (watch.counts) for (const { startTime, duration } of entries) tellTask(duration, startTime < watch.ready);
      },
    };
    watch.look();
    const observer = new PerformanceObserver((list) => watch.tell(list.getEntries()));
    observer.observe({ type: "longtask" });
    globalThis.countTasks = (isCounting) => {
      watch.tell(observer.takeRecords());
      watch.counts = isCounting;
    };
  });
  return tasks;
}

/** What a test does with the page's thread is not the page's: its tasks do not count. */
export async function notCounted<R>(page: Page, run: () => Promise<R>): Promise<R> {
  await page.evaluate(() => countTasks(false));
  const result = await run();
  await page.evaluate(() => countTasks(true));
  return result;
}

/** Those of one visit, and of all when the tests are over. */
export async function tellTasks(page: Page, { later }: LongTasks): Promise<void> {
  if (!page.isClosed()) await page.evaluate(() => countTasks(true));
  if (later.length > 0) console.log(`tasks over 50 ms: ${listed(later)}`);
  if (visits++ === 0) {
    process.once("exit", () => {
      console.log(`tasks of the page's thread over 50 ms but at load: ${listed(all) || "none"} (${visits} visits)`);
    });
  }
  all.push(...later);
}

const listed = (tasks: readonly number[]) => tasks.map((ms) => `${ms} ms`).join(", ");
