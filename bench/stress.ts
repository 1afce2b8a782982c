/**
 * `sam2 serve` under clients of every kind at once: those that click on images it knows, and in between new images,
 * everything, bodies that are malformed, too large, slow, or broken off. What they ask for is known beforehand, so every
 * answer is compared.
 *
 *     npx tsx bench/stress.ts [--seconds 60] [--clients 200] [--model nano] [--threads N]
 *
 * Each client asks, waits for the answer and then up to a second, or as long as Retry-After says. Those that click would ask
 * for some five times what the decoder can do, so that many are refused; the time of a click is that of those answered.
 *
 * Prints what came back, that time beside the decoder's own, and the server's memory; exit 1 if something is wrong.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ImagePredictor } from "../src/engine/image_predictor.ts";
import { Sam2 } from "../src/engine/sam2.ts";
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { random } from "../tests/random.ts";

/** What a run found. */
export interface Stress {
  /** answers by kind of client and status; 0 where the connection ended without one, as it should for some */
  statuses: Record<string, Record<string, number>>;
  /** answers that differ from the first one to the same question, or of a status that they should not have */
  wrong: string[];
  /** ms */
  decoder: number;
  /** of a click on a known image, from the first byte sent to the last received, ms */
  click: { p50: number; p95: number; count: number };
  /** resident memory of the server after a warm-up, after every minute, and at the end, bytes */
  memory: number[];
  /** did it end by itself when it was asked to? */
  code: number | null;
}

interface Options {
  seconds: number;
  clients: number;
  model: string;
  threads?: number;
}

const [WIDTH, HEIGHT] = [640, 480];
const KNOWN = 4;
const POINTS = 8;
/** Images that come and go: more than the server keeps. */
const OTHERS = 24;
/** Questions that each client asks at least, however slow the machine is. */
const TURNS = 3;
const MAX_BODY_MB = 1;
const SERVER_ARGS = ["--port", "0", "--max-body-mb", `${MAX_BODY_MB}`, "--keep-images", "16", "--quiet"];

const OVERSIZED = Buffer.alloc(2 * MAX_BODY_MB * 2 ** 20, " ");

/** Clients of each kind, of a hundred. */
const SHARES = { click: 60, encode: 2, everything: 2, malformed: 10, oversized: 10, slow: 8, aborted: 8 };
type Kind = keyof typeof SHARES;
/** What a client of a kind may be answered; 0 is no answer. */
const DUE: Record<Kind, readonly number[]> = {
  click: [200, 503],
  encode: [200, 503],
  everything: [200, 503],
  malformed: [400, 415, 422, 503],
  oversized: [413, 0],
  slow: [408, 0],
  aborted: [0, 200, 503],
};

/** Discs on a gradient: as many bytes as a photo of this size has as JPEG. */
function photo(seed: number): Uint8Array {
  const next = random(seed);
  const discs = Array.from({ length: 12 }, () => [
    next() * WIDTH,
    next() * HEIGHT,
    60 + 40 * next(),
    128 + 127 * next(),
  ]);
  const data = new Uint8Array(WIDTH * HEIGHT * 3);
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const disc = discs.find(([cx, cy, r]) => Math.hypot(x - Math.abs(cx), y - Math.abs(cy)) < r);
      for (let c = 0; c < 3; c++) data[at++] = disc ? disc[3] / (c + 1) : (x * (c + 1) + y * seed) / 8;
    }
  }
  return encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data });
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const click = (image: string, x: number, y: number) => JSON.stringify({ image, prompts: [{ points: [[x, y]] }] });

/** Start a server, let the clients at it, and end it. */
export async function stress({ seconds, clients, model, threads }: Options): Promise<Stress> {
  setPlatform(nodePlatform);
  const decoder = await decoderMs(model, threads);
  const server = await startServer(model, threads);
  process.once("exit", () => server.child.kill());
  const images = Array.from({ length: KNOWN }, (_, seed) => base64(photo(seed + 1)));
  const points = Array.from({ length: POINTS }, (_, i) => [60 + 70 * i, 40 + 50 * i]);
  const others = Array.from({ length: OTHERS }, (_, i) => click(base64(photo(KNOWN + 1 + i)), 100, 100));
  const questions = images.flatMap((image) => points.map(([x, y]) => click(image, x, y)));
  const truth: string[] = [];
  for (const question of questions) truth.push((await ask(server.url, "/segment", question)).text);
  const memory = [rssOf(server.child)];
  const watch = setInterval(() => memory.push(rssOf(server.child)), 60_000);

  const statuses: Stress["statuses"] = {};
  const wrong: string[] = [];
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  const count = (kind: Kind, status: number, text: string) => {
    (statuses[kind] ??= {})[status] = (statuses[kind][status] ?? 0) + 1;
    if (!DUE[kind].includes(status)) wrong.push(`${kind}: ${status} ${text.slice(0, 200)}`);
  };
  const kinds = (Object.entries(SHARES) as [Kind, number][]).flatMap(([kind, share]) =>
    Array<Kind>(Math.max(1, Math.round((share * clients) / 100))).fill(kind),
  );
  const run = async (kind: Kind, client: number) => {
    const next = random(client + 1);
    const chance = () => (next() + 1) / 2;
    for (let turn = 0; turn < TURNS || performance.now() < end; turn++) {
      const q = Math.floor(chance() * questions.length);
      const begun = performance.now();
      const { status, text, retryAfter } = await CLIENTS[kind]({
        url: server.url,
        question: questions[q],
        chance,
        other: others[(client + turn) % OTHERS],
      });
      count(kind, status, text);
      if (kind === "click" && status === 200) {
        times.push(performance.now() - begun);
        if (text !== truth[q]) wrong.push(`click: another answer, ${text.slice(0, 100)}`);
      }
      await pause(1000 * (retryAfter * (1 + chance()) + chance()));
    }
  };
  await Promise.all(kinds.map(run));
  for (let q = 0; q < questions.length; q += POINTS) {
    if ((await ask(server.url, "/segment", questions[q])).text !== truth[q]) wrong.push("after all: another answer");
  }
  clearInterval(watch);
  memory.push(rssOf(server.child));
  const code = await server.stop();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))];
  return { statuses, wrong, decoder, click: { p50: at(0.5), p95: at(0.95), count: times.length }, memory, code };
}

interface Answered {
  status: number;
  text: string;
  /** s */
  retryAfter: number;
}

interface Turn {
  url: string;
  question: string;
  chance: () => number;
  other: string;
}

const CLIENTS: Record<Kind, (turn: Turn) => Promise<Answered>> = {
  click: ({ url, question }) => ask(url, "/segment", question),
  encode: ({ url, other }) => ask(url, "/segment", other),
  everything: ({ url, question }) => {
    const { image } = JSON.parse(question);
    return ask(url, "/everything", JSON.stringify({ image, everything: { pointsPerSide: 4 } }));
  },
  malformed: ({ url, question, chance }) => {
    const body = [
      question.slice(0, 1000),
      question.replace('"prompts"', '"promts"'),
      '{"image": "////", "prompts": [{"points": [[1, 1]]}]}',
      '{"image": [], "prompts": 5}',
    ][Math.floor(4 * chance())];
    return ask(url, chance() < 0.2 ? "/predict" : "/segment", body, chance() < 0.2 ? "text/plain" : undefined);
  },
  oversized: ({ url }) => ask(url, "/segment", OVERSIZED),
  slow: ({ url, question }) => trickle(url, question),
  aborted: ({ url, question, chance }) =>
    ask(url, "/segment", question, undefined, AbortSignal.timeout(Math.ceil(40 * chance()))),
};

function ask(
  url: string,
  path: string,
  body: string | Buffer,
  type = "application/json",
  signal?: AbortSignal,
): Promise<Answered> {
  return new Promise((resolve) => {
    const nothing = () => resolve({ status: 0, text: "", retryAfter: 0 });
    const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
    const asked = request(url + path, { method: "POST", headers, signal, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => {
        resolve({ status: response.statusCode!, text, retryAfter: Number(response.headers["retry-after"] ?? 0) });
      });
      response.on("error", nothing);
    });
    asked.on("error", nothing);
    asked.end(body);
  });
}

/** A few bytes a second, and never all of them; leaves after some seconds. */
async function trickle(url: string, body: string): Promise<Answered> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  socket.on("error", () => {});
  socket.write(
    `POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  for (let i = 0; i < 20 && socket.writable; i++) {
    socket.write(body.slice(8 * i, 8 * i + 8));
    await pause(250);
  }
  socket.destroy();
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? 0), text, retryAfter: 0 };
}

/** A click without a server, ms: the median of many. */
async function decoderMs(model: string, threads: number | undefined): Promise<number> {
  const sam2 = await Sam2.fromPretrained(model, { threads: threads ?? nodePlatform.cores(), video: false });
  const predictor = new ImagePredictor(sam2);
  await predictor.setImage(photo(1));
  const times: number[] = [];
  for (let i = 0; i < 30; i++) {
    const begun = performance.now();
    await predictor.predict({ points: [[100 + 10 * i, 200]] });
    times.push(performance.now() - begun);
  }
  await sam2.dispose();
  return times.slice(10).sort((a, b) => a - b)[10];
}

async function startServer(model: string, threads: number | undefined) {
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const args = [main, "serve", "--model", model, ...SERVER_ARGS];
  if (threads !== undefined) args.push("--threads", `${threads}`);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.setEncoding("utf8");
  const [address] = (await once(child.stdout, "data")) as [string];
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  };
  return { url: address.trim(), child, stop };
}

/** @units bytes */
function rssOf({ pid }: ChildProcess): number {
  return 1024 * Number(execFileSync("ps", ["-o", "rss=", "-p", `${pid}`], { encoding: "utf8" }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      clients: { type: "string", default: "200" },
      model: { type: "string", default: "nano" },
      threads: { type: "string" },
    },
  });
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const options = { seconds: Number(values.seconds), clients: Number(values.clients), model: values.model, threads };
  const { statuses, wrong, decoder, click, memory, code } = await stress(options);
  for (const [kind, found] of Object.entries(statuses)) console.log(kind.padEnd(12), JSON.stringify(found));
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  console.log(
    `decoder ${ms(decoder)} · click p50 ${ms(click.p50)}, p95 ${ms(click.p95)} = ${(click.p95 / decoder).toFixed(1)} × of ${click.count}`,
  );
  console.log(`memory ${memory.map((bytes) => Math.round(bytes / 1e6)).join(" → ")} MB · ended with ${code}`);
  for (const line of wrong.slice(0, 10)) console.log(`wrong: ${line}`);
  process.exitCode = wrong.length > 0 || code !== 143 ? 1 : 0;
}
