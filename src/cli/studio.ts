import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { CheckpointError, Sam2Error, UsageError } from "../errors.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import { isAddress } from "../io/image_input.ts";
import { systemReason } from "../platform/node_files.ts";
import { notify } from "../platform/notices.ts";
import type { Io } from "./io.ts";
import { locateModel } from "./models.ts";
import { count, offlineOption } from "./options.ts";
import { headersOf } from "./studio_headers.ts";

/** This machine alone. */
const HOST = "127.0.0.1";
/** SAM2 on a telephone. A fixed one: browsers keep models and pictures for each address. */
const PORT = 7262;
const MOST_PORTS = 65_535;
const PAGE = fileURLToPath(new URL("../../dist/studio/", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
};

const EXAMPLES = `
Examples:
  sam2 studio                    click on photos, in the browser, with nano
  sam2 studio --model tiny       with an official checkpoint, which is downloaded first if it is not in the cache
  sam2 studio --model mine.pt --port 8080 --no-open

The page is served to this machine alone, on port ${PORT} unless another one is named; browsers keep models and pictures
for each port. The address is the only line on stdout. Ctrl-C ends it.
`;

interface StudioOptions {
  port?: number;
  open: boolean;
  model?: string;
  offline?: boolean;
  quiet?: boolean;
}

/** sam2 studio */
export function addStudio(program: Command, io: Io): void {
  program
    .command("studio")
    .summary("click on photos and videos in the browser")
    .description("Serve the studio, a page that computes in the browser, and open it.")
    .option("--port <n>", `port to serve on (default: ${PORT}, or a free one if it is taken)`, port)
    .option("--no-open", "do not open the browser")
    .option("--model <name|file>", "the model to begin with: nano (default), tiny, .pt, .safetensors …")
    .addOption(offlineOption())
    .option("--quiet", "no progress, no summary")
    .option("--debug", "show the stack of an error")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", EXAMPLES)
    .action((options: StudioOptions) => studioCommand(options, io));
}

async function studioCommand(options: StudioOptions, io: Io): Promise<void> {
  const files = pageFiles();
  let query = "";
  if (options.model !== undefined && options.model !== DEMO_MODEL.name) {
    const path = await modelFile(options.model, options, io);
    const name = `model/${basename(path)}`;
    files.set(name, path);
    query = `?model=${encodeURIComponent(name)}`;
  }
  io.signal.throwIfAborted();
  const server = createServer((request, response) => answer(files, request, response));
  await listen(server, options.port);
  const { port } = server.address() as { port: number };
  const address = `http://${HOST}:${port}/${query}`;
  io.stdout.write(`${address}\n`);
  if (options.open) openBrowser(address);
  await new Promise((resolve) => io.signal.addEventListener("abort", resolve, { once: true }));
  server.close();
  server.closeAllConnections();
  throw io.signal.reason;
}

/** Path in the page's folder → file. nano is the package's own. @throws Sam2Error if the page was not built */
function pageFiles(): Map<string, string> {
  if (!existsSync(join(PAGE, "index.html"))) {
    throw new Sam2Error("studio", `the page in ${PAGE}`, "none", "run: npm run studio:build");
  }
  const names = readdirSync(PAGE, { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"));
  const files = new Map(names.map((name) => [name, join(PAGE, name)]));
  return files.set("", join(PAGE, "index.html")).set("nano.safetensors", fileURLToPath(DEMO_MODEL.url));
}

/** @throws UsageError for what a page cannot be given; CheckpointError if there is no such file */
async function modelFile(model: string, options: StudioOptions, io: Io): Promise<string> {
  const path = isAddress(model) ? model : await locateModel(model, options, io);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) return path;
  const got = isAddress(model) ? "an address" : found ? "a folder" : "none";
  if (found || isAddress(model))
    throw new UsageError("--model", "a name or a file", got, "name a .pt or .safetensors file");
  throw new CheckpointError(path, "a file that can be read", got, "check the path, or name a model: nano, tiny …");
}

async function listen(server: Server, wanted: number | undefined): Promise<void> {
  const on = async (port: number) => {
    server.listen(port, HOST);
    await once(server, "listening");
  };
  try {
    await on(wanted ?? PORT);
  } catch (cause) {
    const isTaken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (!isTaken || wanted !== undefined) {
      const todo = "name another one with --port";
      throw new Sam2Error(`--port ${wanted ?? PORT}`, "a port that is free", systemReason(cause), todo, { cause });
    }
    notify(
      `port ${PORT} is taken, so another one is used; models and pictures that a browser keeps for ${PORT} are not seen there`,
    );
    await on(0);
  }
}

function answer(files: ReadonlyMap<string, string>, request: IncomingMessage, response: ServerResponse): void {
  const { method = "GET", url = "/", headers } = request;
  const name = nameOf(url);
  const path = files.get(name);
  const found = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  // another site's name that leads to this address is no page of ours
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? "")) return end(response, 403, "not from here");
  if (method !== "GET" && method !== "HEAD") return end(response, 405, "nothing can be sent here");
  if (!path || !found?.isFile()) return end(response, 404, "there is no such file");
  const etag = `"${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}"`;
  const isHashed = name.startsWith("assets/");
  const sent = {
    ...headersOf(name),
    "Cache-Control": isHashed ? "public, max-age=31536000, immutable" : "no-cache",
    ETag: etag,
  };
  if (headers["if-none-match"] === etag) {
    response.writeHead(304, sent).end();
    return;
  }
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  response.writeHead(200, { ...sent, "Content-Type": type, "Content-Length": found.size });
  if (method === "HEAD") response.end();
  else
    createReadStream(path)
      .on("error", () => response.destroy())
      .pipe(response);
}

/** The path that an address names, from the page's folder. */
function nameOf(url: string): string {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/s, "").slice(1));
  } catch {
    return url;
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}

/** In the system's browser, whichever that is. */
function openBrowser(address: string): void {
  const [command, ...args] = { darwin: ["open"], win32: ["cmd", "/c", "start", ""] }[process.platform as string] ?? [
    "xdg-open",
  ];
  const child = spawn(command, [...args, address], { stdio: "ignore", detached: true });
  child.once("error", () => notify("no browser could be opened; open the address by hand"));
  child.unref();
}

function port(text: string): number {
  const value = count("--port", 0)(text);
  if (value <= MOST_PORTS) return value;
  throw new UsageError("--port", `a whole number, 0…${MOST_PORTS}`, `"${text}"`, "0 takes any that is free");
}
