// What tests of the server share: one with nano, and requests to it.
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { Sam2 } from "../src/engine/sam2.ts";
import { createServer, type Server, type ServerOptions } from "../src/server/server.ts";
import type { LoadModel } from "../src/server/images.ts";
import type { PromptsResult } from "../src/jobs/image_result.ts";
import { goldenImage } from "../golden/hash_image.ts";

setPlatform(nodePlatform);

export const [WIDTH, HEIGHT] = [96, 64];

/** A server with nano on one thread; its errors are collected. */
export async function nanoServer(options: ServerOptions = {}) {
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const load: LoadModel = (which) => Sam2.fromPretrained("nano", { threads: 1, kernels: "portable", ...which });
  return { server: await createServer(load, { onError, ...options }), errors };
}

/** A drawn picture as a PNG file. */
export function photo(seed = 1, width = WIDTH, height = HEIGHT): Uint8Array {
  return encodePng({ width, height, channels: 3, data: goldenImage(seed, width, height) });
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** A request with a body of JSON. */
export function posted(path: string, body: unknown, init: RequestInit = {}): Request {
  return new Request(`http://localhost:9090${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
}

/** What the server answers. */
export async function answer(server: Server, request: Request) {
  const response = await server.fetch(request);
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answered };
}

/** An answer of whatever route. */
export type Answered = PromptsResult & { error: string; type: string } & Record<string, never>;

/** A click on a picture. */
export const CLICK = { image: base64(photo()), prompts: [{ points: [[40, 30]] }] };
