import { once } from "node:events";
import type { Command } from "commander";
import { Sam2 } from "../engine/sam2.ts";
import { UsageError } from "../errors.ts";
import { environmentFetch } from "../platform/node_fetch.ts";
import { notify } from "../platform/notices.ts";
import { expectGuarded, isLoopback, listen } from "../server/listen.node.ts";
import { createServer } from "../server/server.ts";
import type { LoadModel } from "../server/images.ts";
import { LIMITS } from "../server/limits.ts";
import { type Io, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, count, type ModelOptions } from "./options.ts";

interface ServeOptions extends ModelOptions {
  model?: string;
  host: string;
  port: number;
  token?: string;
  allowUrl: string[];
  allowOrigin: string[];
  labelStudioUrl?: string;
  labelStudioToken?: string;
  keepImages: number;
  maxBodyMb: number;
  maxPixels: number;
  maxPoints: number;
  maxFrames: number;
  maxWaiting: number;
  grace: number;
}

const EXAMPLES = `
Examples:
  sam2 serve --model tiny
  curl -s localhost:9090/segment -H 'content-type: application/json' \\
    -d "{\\"image\\": \\"$(base64 -w0 photo.jpg)\\", \\"prompts\\": [{\\"points\\": [[500, 375]]}]}"
  sam2 serve --model tiny --host 0.0.0.0 --token "$(openssl rand -hex 16)"       for other machines
  sam2 serve --model tiny --label-studio-url http://localhost:8080 --label-studio-token KEY
                                                            Label Studio's ML backend: Settings → Model → Connect
  sam2 serve --allow-url https://images.example.org/photos/     images by address, from there alone

POST /segment and /everything take what a job of sam2 batch holds, with the image in base64, and answer as --json does.
GET /health, /metrics (Prometheus), /openapi.json. A second click on an image takes the decoder's time alone: images are known
by their content. When more wait than it takes, it answers 503 with Retry-After. Ctrl-C and SIGTERM let requests end.
SAM2_TOKEN, LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY of the environment do as the options, and stand in no list of processes.
`;

/** sam2 serve */
export function addServe(program: Command, io: Io): void {
  const collect = (value: string, all: string[]) => [...all, value];
  const command = program
    .command("serve")
    .summary("answer other programs over HTTP, Label Studio among them")
    .description("Masks over HTTP: for other programs, and as Label Studio's ML backend.")
    .optionsGroup("Who may ask:")
    .option("--host <address>", "listen there; 0.0.0.0 for all addresses, with a token", "127.0.0.1")
    .option("--port <n>", "0 is a free one", count("--port", 0), 9090)
    .option("--token <text>", "requests must show it: Authorization: Bearer TEXT, or as password")
    .option("--allow-origin <origin>", "pages from there may ask too; may be repeated", collect, [])
    .optionsGroup("Where images may come from, other than in a request:")
    .option("--allow-url <prefix>", "addresses below this one; may be repeated", collect, [])
    .option("--label-studio-url <address>", "where Label Studio runs, for the files of its tasks")
    .option("--label-studio-token <text>", "of an account there: Account & Settings → Access Token")
    .optionsGroup("Limits:")
    .option("--keep-images <n>", "images whose features are kept, 27 MB each with tiny", count("--keep-images"), 32)
    .option("--max-body-mb <n>", "of a request", count("--max-body-mb"), LIMITS.bodyBytes / 2 ** 20)
    .option("--max-pixels <n>", "of an image", count("--max-pixels"), LIMITS.pixels)
    .option("--max-points <n>", "of a request", count("--max-points"), LIMITS.points)
    .option("--max-frames <n>", "of a video, in a request", count("--max-frames"), LIMITS.frames)
    .option(
      "--max-waiting <n>",
      "requests that wait, but clicks on known images",
      count("--max-waiting", 0),
      LIMITS.waiting,
    )
    .option("--grace <s>", "for requests to end after Ctrl-C or SIGTERM", count("--grace", 0), 10);
  addModelOptions(command);
  command.addHelpText("after", EXAMPLES).action((options: ServeOptions) => serve(options, io));
}

async function serve(options: ServeOptions, io: Io): Promise<void> {
  const { host, port, quiet, json, keepImages, allowUrl: allowUrls, allowOrigin: origins } = options;
  const { maxBodyMb, maxPixels, maxPoints, maxFrames, maxWaiting } = options;
  const { env, signal } = io;
  const token = options.token ?? env.SAM2_TOKEN;
  if (token === "")
    throw new UsageError("--token", "a secret", "an empty one", 'e.g. --token "$(openssl rand -hex 16)"');
  expectGuarded(host, token !== undefined);
  const url = options.labelStudioUrl ?? env.LABEL_STUDIO_URL;
  const status = new Status(io, quiet);
  const model = await chosenModel(options, io);
  const { config, threads, kernels, imageSize } = options;
  const load: LoadModel = (which) =>
    Sam2.fromPretrained(model, { config, threads, kernels, imageSize, signal, ...which });
  status.show(`loading ${model} …`);
  const server = await createServer(load, {
    token,
    origins,
    hosts: isLoopback(host) ? ["localhost", "127.0.0.1", "[::1]", host] : undefined,
    allowUrls,
    labelStudio: url ? { url, token: options.labelStudioToken ?? env.LABEL_STUDIO_API_KEY } : undefined,
    images: { count: keepImages },
    limits: {
      bodyBytes: maxBodyMb * 2 ** 20,
      bufferedBytes: Math.max(LIMITS.bufferedBytes, 2 * maxBodyMb * 2 ** 20),
      pixels: maxPixels,
      points: maxPoints,
      frames: maxFrames,
      waiting: maxWaiting,
    },
    fetch: await environmentFetch(env),
    onError: (error) => io.stderr.write(`sam2: ${options.debug ? (error as Error).stack : error}\n`),
  });
  status.clear();
  try {
    const listening = await listen(server, { host, port });
    io.stdout.write(json ? `${JSON.stringify({ url: listening.url })}\n` : `${listening.url}\n`);
    if (!signal.aborted) await once(signal, "abort");
    notify("ending: requests under way are answered first");
    await listening.close(1000 * options.grace);
  } finally {
    await server.close(0);
  }
  throw signal.reason;
}
