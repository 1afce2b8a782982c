// npm run bench:peers -- [options]: sam2-ts and what it is measured against, one process at a time. See --help.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { format } from "prettier";
import { CHROMIUM } from "../../tests/chromium.ts";
import { describeMachine } from "../../src/cli/machine.ts";
import { nodePlatform } from "../../src/platform/node.ts";
import { isOfEdgeTam, type Job, type Result, STAGES, type StageName } from "./job.ts";
import { partOf } from "./onnxruntime.ts";
import { compare, type Row, toMarkdown, toText } from "./table.ts";

const HELP = `npm run bench:peers -- [options]

Times sam2-ts, onnxruntime-web (Node and Chromium), onnxruntime-node, transformers.js' engine and native PyTorch on the
same stages, weights and inputs, one process at a time. Outputs are compared with those of sam2-ts.

  --only NAME,…     stages (${STAGES.slice(0, 4).join(", ")} by default; also
                    ${STAGES.slice(4).join(", ")}), peers or runtimes by a part of their name, or both
  --threads N,…     1 and all cores by default
  --repeat N        timed runs, 5 by default; more of short ones, three at least of long ones
  --node PATH       another Node for sam2-ts and onnxruntime-web; may be given several times
  --python PATH     Python with torch, sam2 and onnx (golden/README.md); or the variable PYTHON; python3 by default
  --edgetam-python PATH
                    Python with torch, edgetam-dimos and timm, for the stages of EdgeTAM (golden/README.md); or the variable
                    EDGETAM_PYTHON
  --json FILE       all rows
  --markdown FILE   the table, written between <!-- bench:peers --> and <!-- /bench:peers --> if FILE has these lines

Chromium is looked for at /usr/bin/chromium, or where the variable CHROMIUM says.`;

const here = fileURLToPath(new URL(".", import.meta.url));
const LONGEST_MS = 20 * 60_000; // of a process
const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    threads: { type: "string", default: [...new Set([1, availableParallelism()])].join() },
    repeat: { type: "string", default: "5" },
    node: { type: "string", multiple: true, default: [process.execPath] },
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    "edgetam-python": { type: "string", default: process.env.EDGETAM_PYTHON ?? "" },
    json: { type: "string" },
    markdown: { type: "string" },
    help: { type: "boolean" },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit();
}
if (!existsSync(join(here, "node_modules"))) execFileSync("npm", ["ci", "--prefix", here], { stdio: "inherit" });
compile();

/** A column of the table: who computes, where, and by which command. */
interface Contender {
  peer: string;
  runtime: string;
  /** program and arguments in front of the job; or why there is none */
  command: string[] | string;
  /** the name by which node.ts and chromium.ts know the peer */
  engine: string;
}

const inNode = join(here, "build/bench/peers/node.js");
const inChromium = ["--import", import.meta.resolve("tsx"), join(here, "chromium.ts")];
const chromiumVersion = /Chromium \d+/.exec(ask(CHROMIUM, "--version") ?? "")?.[0];
const python = ask(options.python, "-c", "import torch, sam2, onnx") === undefined ? undefined : options.python;
const FIND_EDGETAM =
  "import torch; from importlib.util import find_spec as f; assert f('timm') and f('sam2.modeling.perceiver')";
const edgeTamPython =
  ask(options["edgetam-python"], "-c", FIND_EDGETAM) === undefined ? undefined : options["edgetam-python"];
const transformers = "transformers.js 4.3.1"; // package.json has the onnxruntimes that this release asks for
const contenders: Contender[] = options.node.flatMap((node) => {
  const version = ask(node, "--version");
  const command = version ? [node, inNode] : `no Node at ${node}`;
  return ["sam2-ts", "onnxruntime-web"].map((peer) => {
    return { peer, runtime: `Node ${version?.slice(1) ?? node}`, command, engine: peer };
  });
});
for (const [peer, engine] of [
  ["sam2-ts", "sam2-ts"],
  ["onnxruntime-web", "onnxruntime-web"],
  [transformers, "onnxruntime-web-of-transformers"],
]) {
  const command = chromiumVersion ? [process.execPath, ...inChromium] : `no Chromium at ${CHROMIUM}`;
  contenders.push({ peer, runtime: chromiumVersion ?? "Chromium", command, engine });
}
const native = [process.execPath, inNode];
contenders.push(
  { peer: "onnxruntime-node", runtime: "native", command: native, engine: "onnxruntime-node" },
  { peer: transformers, runtime: "native", command: "in Node it is onnxruntime-node 1.30.0", engine: "" },
  { peer: "PyTorch", runtime: "native", command: python ? [python, join(here, "pytorch.py")] : noPython(), engine: "" },
);

const only = options.only?.split(",") ?? [];
const named = only.filter((name) => !STAGES.includes(name as StageName));
const isCalled = ({ peer, runtime }: Contender, name: string) => peer.includes(name) || runtime.includes(name);
const unknown = named.filter((name) => !contenders.some((contender) => isCalled(contender, name)));
const threads = options.threads.split(",").map(Number);
const repeat = Number(options.repeat);
if (unknown.length || ![repeat, ...threads].every((n) => Number.isInteger(n) && n > 0)) {
  console.error(unknown.length ? `bench:peers: no stage, peer or runtime is called ${unknown}` : HELP);
  process.exit(2);
}
const stages = only.length > named.length ? STAGES.filter((name) => only.includes(name)) : STAGES.slice(0, 4);
const isNamed = (one: Contender) => !named.length || named.some((name) => isCalled(one, name));
/** Others are compared with sam2-ts in the same runtime, native ones with the first of all. */
const isRival = (one: Contender) =>
  one === contenders[0] ||
  (one.peer === "sam2-ts" && contenders.some((other) => isNamed(other) && other.runtime === one.runtime));
const chosen = contenders.filter((one) => isNamed(one) || isRival(one));

const date = new Date().toISOString();
const { cpu, cores, os } = describeMachine();
const machine = `${cpu}, ${cores} cores, ${os}`;
console.log(`${machine}, ${date.slice(0, 10)}`);
const models = exportModels();
const rows: Row[] = [];
for (const stage of stages) {
  for (const count of threads) {
    let reference: Result | undefined;
    for (const contender of chosen) {
      const { peer, runtime, engine } = contender;
      const head = { stage, threads: count, peer, runtime };
      const job: Job = { peer: engine, stage, threads: count, repeat, models };
      const found = await carryOut(contender, job);
      const row: Row = typeof found === "string" ? { ...head, why: found } : { ...head, ...compare(found, reference) };
      if (typeof found !== "string") reference ??= found;
      rows.push(row);
      console.log(toText(row, rows));
    }
  }
}
const report = { date, machine, rows };
if (options.json) await write(options.json, `${JSON.stringify(report, null, 2)}\n`);
if (options.markdown) await writeMarkdown(options.markdown, toMarkdown(report));

/** As users run it: JavaScript, without what learns TypeScript on the way. A copy, so that edits do not change a run. */
function compile(): void {
  const tsc = fileURLToPath(import.meta.resolve("typescript/bin/tsc"));
  execFileSync(process.execPath, [tsc, "--project", here], { stdio: "inherit" });
  mkdirSync(join(here, "build/build"), { recursive: true });
  for (const file of ["kernels.wasm", "kernels_fma.wasm"]) {
    copyFileSync(join(here, "../../build", file), join(here, "build/build", file));
  }
}

/** Run a job in a process of its own; what it found, or why it did not. */
async function carryOut({ peer, command: usual }: Contender, job: Job): Promise<Result | string> {
  const command = peer === "PyTorch" && isOfEdgeTam(job.stage) ? edgeTamCommand() : usual;
  if (typeof command === "string") return command;
  const needsModel = peer !== "sam2-ts" && peer !== "PyTorch";
  if (needsModel && !partOf(job.stage)) return "no ONNX file does this";
  if (needsModel && !existsSync(join(job.models, `${partOf(job.stage)}.onnx`)))
    return `no ONNX file: ${python ? "export_onnx.py failed" : noPython()}`;
  const child = spawn(command[0], [...command.slice(1), JSON.stringify(job)], { timeout: LONGEST_MS });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  const code = await new Promise((resolve) => {
    child.on("error", ({ message }) => resolve((errors += `Error: ${message}`)));
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  if (code === 0) return JSON.parse(output);
  const lines = errors.split("\n").filter((line) => /^[\w.]*Error\b/.test(line));
  return lines.at(-1)?.slice(0, 200) ?? `ended with ${code}`;
}

/** The folder of ONNX files, which are made where Python can; what they are made from is part of its name. */
function exportModels(): string {
  const sources = [
    "export_onnx.py",
    "pytorch.py",
    "../../golden/reference/hash_weights.py",
    "../../golden/hash_rules.json",
  ];
  const hash = createHash("sha256");
  for (const file of sources) hash.update(readFileSync(join(here, file)));
  const folder = join(tmpdir(), `sam2-ts-peers-${hash.digest("hex").slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  const parts = new Set(stages.flatMap((stage) => partOf(stage) ?? []));
  if (parts.has("decoder")) parts.add("encoder.tiny");
  const missing = [...parts].filter((part) => !existsSync(join(folder, `${part}.onnx`)));
  if (python && missing.length) {
    console.log(`making ${missing.map((part) => `${part}.onnx`).join(", ")} in ${folder}`);
    const command = [join(here, "export_onnx.py"), folder, ...missing];
    spawnSync(python, command, { stdio: ["ignore", "ignore", "inherit"] });
  }
  return folder;
}

/** What a program prints; undefined if it cannot be run. */
function ask(program: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function edgeTamCommand(): string[] | string {
  if (edgeTamPython) return [edgeTamPython, join(here, "pytorch.py")];
  return `${options["edgetam-python"] || "no Python"} with torch, edgetam-dimos and timm; see --edgetam-python`;
}

function noPython(): string {
  return `${options.python} cannot import torch, sam2 and onnx; see --python`;
}

async function writeMarkdown(file: string, table: string): Promise<void> {
  const [begin, end] = ["<!-- bench:peers -->", "<!-- /bench:peers -->"];
  const old = existsSync(file) ? readFileSync(file, "utf8") : "";
  const [from, to] = [old.indexOf(begin), old.indexOf(end)];
  const text = from >= 0 && to > from ? `${old.slice(0, from + begin.length)}\n\n${table}\n${old.slice(to)}` : table;
  await write(file, await format(text, { parser: "markdown", printWidth: 120 }));
}

function write(file: string, text: string): Promise<void> {
  return nodePlatform.writeFile(file, new TextEncoder().encode(text));
}
