import type { Sam2 } from "../engine/sam2.ts";
import { modelTitle } from "../model/config.ts";
import { Allowed } from "./allowed.ts";
import { Bodies } from "./body.ts";
import { Desk } from "./desk.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { Images, type LoadModel } from "./images.ts";
import type { KnownImagesOptions } from "./known_images.ts";
import { type LabelStudioOptions, labelStudioPrefixes } from "./label_studio/files.ts";
import { LabelStudio } from "./label_studio/predict.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { openApi } from "./openapi.ts";
import { CLIENT_GONE, Problem, problemResponse } from "./problem.ts";
import { cors, Hono } from "./vendor.ts";

/** Options of `createServer`. */
export interface ServerOptions extends GuardOptions {
  /** what a request may ask for; `LIMITS` for what is left out */
  limits?: Partial<Limits>;
  /** images whose features are kept */
  images?: KnownImagesOptions;
  /** beginnings of addresses from which images may be fetched; none by default */
  allowUrls?: readonly string[];
  /** where the files of Label Studio's tasks are */
  labelStudio?: LabelStudioOptions;
  /** in the place of the platform's own, e.g. through a proxy */
  fetch?: typeof fetch;
  /** told of errors that are none of the client's, with their stacks; the console's stderr by default */
  onError?: (error: unknown) => void;
}

type Answer = (body: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>;

/** What may be asked for without a token: whether it is there. */
const OPEN = ["/", "/health"];

/**
 * SAM 2 behind HTTP, for any server that answers a `Request` with a `Response`: Node's by `listen`, Hono, Bun, Deno.
 *
 * @example
 * const server = await createServer((options) => Sam2.fromPretrained("tiny", options));
 * const response = await server.fetch(new Request("http://localhost/health"));
 */
export class Server {
  readonly #app: Hono;
  readonly #guard: Guard;
  readonly #bodies: Bodies;
  readonly #metrics: Metrics;
  readonly #images: Images;
  readonly #background: Desk<{ sam2: Sam2; dispose(): Promise<void> }>;
  readonly #onError: (error: unknown) => void;
  /** Does it want a token? */
  readonly hasToken: boolean;
  /** for a body to arrive */
  readonly bodyMs: number;
  /** requests under way, to end them */
  readonly #open = new Map<AbortController, Promise<Response>>();
  #closing = false;

  /** @internal Use `createServer`. */
  constructor(load: LoadModel, options: ServerOptions) {
    const limits = { ...LIMITS, ...options.limits };
    const { labelStudio, allowUrls = [], fetch: fetcher = fetch, onError = console.error } = options;
    const own = labelStudio ? labelStudioPrefixes(labelStudio, fetcher) : [];
    const sources = new Allowed([...allowUrls.map((prefix) => ({ prefix })), ...own], limits, fetcher);
    this.hasToken = options.token !== undefined;
    this.bodyMs = 1000 * limits.bodySeconds;
    this.#guard = new Guard(options);
    this.#bodies = new Bodies(limits);
    this.#background = new Desk(async () => {
      const sam2 = await load({ video: true, background: true });
      return { sam2, dispose: () => sam2.dispose() };
    });
    this.#images = new Images(load, this.#background, sources, limits, options.images);
    this.#onError = onError;
    this.#metrics = new Metrics(this.#figures());
    this.#app = this.#routes(new LabelStudio(this.#images, this.#background, limits, labelStudio), limits, options);
  }

  /** Load the model, so that the first request does not wait for it. */
  async load(): Promise<Sam2> {
    return (await this.#images.desk.tool()).sam2;
  }

  /** Answer a request. Never rejects: what goes wrong is an answer too, `{"error", "type"}`. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const begun = performance.now();
    const { pathname } = new URL(request.url);
    const open = new AbortController();
    const onAbort = () => open.abort(request.signal.reason);
    request.signal.addEventListener("abort", onAbort);
    const answer = this.#answer(request, pathname, open);
    this.#open.set(open, answer);
    const response = await answer;
    this.#open.delete(open);
    request.signal.removeEventListener("abort", onAbort);
    const route = this.#app.routes.some(({ path }) => path === pathname) ? pathname : "other";
    this.#metrics.add(route, response.status, performance.now() - begun);
    return response;
  };

  /**
   * Take no new requests; wait for those under way, but no longer than this, then end them; give the models' memory back.
   *
   * @param graceMs 10 s by default
   */
  async close(graceMs = 10_000): Promise<void> {
    this.#closing = true;
    const ended = Promise.all(this.#open.values());
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, graceMs)))]);
    clearTimeout(timer);
    for (const open of this.#open.keys()) open.abort(new Problem(503, CLOSING, { connection: "close" }));
    await Promise.all(this.#open.values());
    await Promise.all([this.#images.desk.dispose(), this.#background.dispose()]);
  }

  async #answer(request: Request, pathname: string, open: AbortController): Promise<Response> {
    try {
      if (this.#closing) throw new Problem(503, CLOSING, { connection: "close", "retry-after": "10" });
      if (!OPEN.includes(pathname) && request.method !== "OPTIONS") await this.#guard.expect(request);
      return await this.#app.fetch(request, { signal: open.signal });
    } catch (error) {
      return this.#problem(error, request, open.signal);
    }
  }

  #problem(error: unknown, request: Request, signal: AbortSignal): Response {
    if (request.signal.aborted) return new Response(null, { status: CLIENT_GONE });
    const answer = problemResponse(signal.aborted ? signal.reason : error);
    if (answer.status === 500) this.#onError(error);
    return answer;
  }

  #routes(labelStudio: LabelStudio, limits: Limits, { origins = [] }: ServerOptions): Hono {
    const app = new Hono<{ Bindings: { signal: AbortSignal } }>();
    if (origins.length > 0) app.use(cors({ origin: [...origins], allowHeaders: ["authorization", "content-type"] }));
    const health = async () => {
      return Response.json({ status: "UP", model_class: modelTitle((await this.load()).config) });
    };
    app.get("/", health);
    app.get("/health", health);
    app.get("/metrics", () => {
      const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
      return new Response(this.#metrics.text(), { headers });
    });
    app.get("/openapi.json", (c) => c.json(openApi(limits)));
    const posts: Record<string, Answer> = {
      "/segment": (body, signal) => this.#images.segment(body, signal),
      "/everything": (body, signal) => this.#images.everything(body, signal),
      "/setup": () => labelStudio.setup(),
      "/predict": (body, signal) => labelStudio.predict(body, signal),
      "/webhook": async () => ({ status: "ok" }), // there is nothing to learn from what people draw
    };
    for (const [path, answer] of Object.entries(posts)) {
      app.post(path, (c) =>
        this.#bodies.json(c.req.raw, async (body) => Response.json(await answer(body, c.env.signal))),
      );
      app.all(path, (c) => notAllowed(c.req.method, path, "POST"));
    }
    for (const path of ["/", "/health", "/metrics", "/openapi.json"]) {
      app.all(path, (c) => notAllowed(c.req.method, path, "GET, HEAD"));
    }
    app.notFound((c) => {
      const known = ["/health", "/metrics", "/openapi.json", ...Object.keys(posts)].join(", ");
      throw new Problem(404, ["path", `one of ${known}`, JSON.stringify(c.req.path.slice(0, 60)), "see /openapi.json"]);
    });
    app.onError((error, c) => this.#problem(error, c.req.raw, c.env.signal));
    return app as unknown as Hono;
  }

  #figures(): ConstructorParameters<typeof Metrics>[0] {
    const { desk, clicks, found } = this.#images;
    const known = () => this.#images.known ?? { size: 0, bytesOfImage: 0 };
    return [
      { name: "sam2_requests_open", help: "Requests under way.", type: "gauge", value: () => this.#open.size },
      {
        name: "sam2_queue_prompts",
        help: "Requests with prompts that wait or run.",
        type: "gauge",
        value: () => desk.lane.size + clicks.size,
      },
      {
        name: "sam2_queue_background",
        help: "Requests for everything and for videos that wait or run.",
        type: "gauge",
        value: () => this.#background.lane.size,
      },
      {
        name: "sam2_images_known",
        help: "Images whose features are kept.",
        type: "gauge",
        value: () => known().size,
      },
      {
        name: "sam2_images_bytes",
        help: "Bytes of these features.",
        type: "gauge",
        value: () => known().size * known().bytesOfImage,
      },
      {
        name: "sam2_image_hits_total",
        help: "Prompts on an image that was known.",
        type: "counter",
        value: () => found.hits,
      },
      { name: "sam2_image_misses_total", help: "Prompts on a new image.", type: "counter", value: () => found.misses },
      {
        name: "sam2_body_bytes",
        help: "Bytes of bodies that are held.",
        type: "gauge",
        value: () => this.#bodies.bytes,
      },
    ];
  }
}

const CLOSING = ["server", "a server that goes on", "one that ends", "try again when it is back"] as const;

function notAllowed(method: string, path: string, allow: string): never {
  throw new Problem(405, [path, allow, method, "see /openapi.json"], { allow });
}

/**
 * A server with its model loaded.
 *
 * @param load makes a model: once for prompts, and once more when everything or a video is asked for
 * @throws as `load` does; UsageError for options that cannot be
 */
export async function createServer(load: LoadModel, options: ServerOptions = {}): Promise<Server> {
  const server = new Server(load, options);
  await server.load();
  return server;
}
