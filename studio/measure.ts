/**
 * What a visitor feels, measured: first picture and first mask of a first visit, previews while the pointer moves, tasks of the
 * page's thread over 50 ms. After `npm run build`, with nothing else running:
 *
 *     npx tsx studio/measure.ts [CHECKPOINT]     previews by that model as well
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { launchChromium } from "../tests/chromium.ts";
import { catchChoosers, chooseFiles } from "./choose_files.ts";
import { watchTasks } from "./long_tasks.ts";

const [checkpoint] = process.argv.slice(2);

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const MOVES = 120;

const server = spawn(process.execPath, [command, "studio", "--no-open", "--port", "0"], {
  stdio: ["ignore", "pipe", "ignore"],
});
const [address] = await once(server.stdout, "data");
const browser = await launchChromium();
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, bypassCSP: true });
catchChoosers(page);
const tasks = await watchTasks(page);
await page.addInitScript(() => {
  const post = Worker.prototype.postMessage;
  const previews: number[] = [];
  Worker.prototype.postMessage = function (this: Worker, ...args: [unknown]) {
    if ((args[0] as { type?: string }).type === "preview") previews.push(performance.now());
    return post.apply(this, args);
  };
  Object.assign(globalThis, { previews });
});
await page.goto(`${address}`.trim());
/** ms of the page's clock at which something is so */
const when = (isSo: string) =>
  page
    .waitForFunction(`(${isSo}) && performance.now()`, undefined, { polling: 5 })
    .then((handle) => handle.jsonValue());

const picture = await when('document.querySelector(".picture").width > 300');
const ready = await when('/^Point/.test(document.querySelector(".hint").textContent)');
const clicked = await page.evaluate(() => performance.now());
await page.mouse.click(560, 360);
const mask = await when('document.querySelector(".candidates")');
console.log(
  `picture after ${Math.round(picture as number)} ms, clicks answered after ${Math.round(ready as number)} ms`,
);
console.log(`first mask ${Math.round((mask as number) - clicked)} ms after the click`);

await page.keyboard.press("Enter");
await preview("nano");

await page.keyboard.press("a");
await page.waitForSelector(".everything .found");
await page.keyboard.press("Escape");
await page.evaluate(() => countTasks(true));
console.log(`tasks over 50 ms: ${tasks.atLoad.length} at load, ${tasks.later.length} later: ${tasks.later.join(", ")}`);
if (checkpoint) {
  page.setDefaultTimeout(120_000);
  await chooseFiles(page, checkpoint);
  await page.waitForFunction(
    (name) => document.querySelector(".chip.ready")?.textContent?.includes(name),
    basename(checkpoint),
  );
  await when('/^(Point|Click)/.test(document.querySelector(".hint").textContent)');
  await page.mouse.click(560, 360);
  await when('document.querySelector(".candidates")');
  await page.keyboard.press("Enter");
  await preview(basename(checkpoint));
}
await browser.close();
server.kill("SIGINT");

/** Move the pointer over the picture, and see how often a mask is painted. */
async function preview(model: string): Promise<void> {
  const before = await page.evaluate<number>("previews.length");
  for (let k = 0; k < MOVES; k++) await page.mouse.move(300 + 4 * k, 250 + 2 * k);
  await page.waitForTimeout(300);
  const times = (await page.evaluate<number[]>("previews")).slice(before);
  const gaps = times.slice(1).map((time, k) => time - times[k]).sort((a, b) => a - b); // prettier-ignore
  console.log(`${model}: ${times.length} previews, one every ${gaps[gaps.length >> 1]?.toFixed(1)} ms (median)`);
}
