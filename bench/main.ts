// npm run bench -- [options]: kernels and stages against the limit of the machine. See --help.
import { parseArgs } from "node:util";
import { hasChromium, NO_CHROMIUM } from "../tests/chromium.ts";
import { describeMachine } from "../src/cli/machine.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { GROUPS } from "./bench.ts";
import { FRAME_NAMES } from "./frames.ts";
import { runInChromium } from "./chromium.ts";
import { runHistory } from "./history.ts";
import { type Job, NAMES, run } from "./run.ts";
import { STAGES } from "./stages.ts";

const HELP = `npm run bench -- [options]

Times every kernel at the shapes of SAM 2, on one thread, by both register tiles and by the portable kernels, each checked
against scalar loops before and after; then whole stages on one thread and on all. Beside each stands its speed as a share
of the peak: multiply-adds on registers alone, measured in the same run. All rows take about 8 minutes.

  --only NAME,…     groups (${GROUPS.join(", ")}), rows by their names, or both
  --chromium        in Chromium, at /usr/bin/chromium or where the variable CHROMIUM says
  --json FILE       all rows
  --history         instead: versions of the register tile and of attention that were replaced, and those in use, in turns

Stages: ${[...STAGES.map(([name]) => name), ...FRAME_NAMES].join(", ")}`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    chromium: { type: "boolean" },
    json: { type: "string" },
    history: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit();
}
const only = options.only?.split(",");
const unknown = only?.filter((name) => !NAMES.includes(name)) ?? [];
if (unknown.length) {
  console.error(`bench: no group or row is called ${unknown}; all names: ${NAMES.join(", ")}`);
  process.exit(2);
}
if (options.chromium && !hasChromium) {
  console.error(`bench: ${NO_CHROMIUM}`);
  process.exit(2);
}

setPlatform(nodePlatform);
if (options.history && (options.only || options.chromium || options.json)) {
  console.error("bench: --history goes with no other option");
  process.exit(2);
}
if (options.history) {
  runHistory(console.log);
  process.exit();
}
const job: Job = { only, description: describeMachine() };
const results = await (options.chromium ? runInChromium(job, console.log) : run(job, console.log));
if (options.json) {
  const text = JSON.stringify({ node: process.version, ...results }, null, 2);
  await nodePlatform.writeFile(options.json, new TextEncoder().encode(`${text}\n`));
}
