import { kindOf } from "../io/kind_of.ts";
import type { Limits } from "./limits.ts";
import { Problem } from "./problem.ts";

/** Receives the bodies of requests, together no more than memory is set aside for. */
export class Bodies {
  readonly #limits: Limits;
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Bytes of all bodies that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The JSON of a request, held until `use` has ended.
   *
   * @throws Problem 400, 408, 413, 415 or 503; the signal's reason if the client goes away
   */
  async json<R>(request: Request, use: (body: Record<string, unknown>) => Promise<R>): Promise<R> {
    const type = request.headers.get("content-type") ?? "";
    if (!/^application\/(json|[\w.+-]+\+json)\s*(;|$)/i.test(type)) {
      const got = type === "" ? "none" : JSON.stringify(type.slice(0, 60));
      throw new Problem(415, ["content-type", "application/json", got, "send JSON and say so"]);
    }
    const encoding = request.headers.get("content-encoding") ?? "identity";
    if (encoding !== "identity") {
      throw new Problem(415, ["content-encoding", "none", JSON.stringify(encoding.slice(0, 60)), "send plain JSON"]);
    }
    const held = { bytes: 0 };
    try {
      return await use(parse(await this.#receive(request, held)));
    } finally {
      this.#bytes -= held.bytes;
    }
  }

  async #receive(request: Request, held: { bytes: number }): Promise<Uint8Array> {
    const { bodySeconds } = this.#limits;
    this.#expectRoom(Number(request.headers.get("content-length") ?? 0), held);
    if (!request.body) return new Uint8Array(0);
    const reader = request.body.getReader();
    let isLate = false;
    const stop = () => void reader.cancel().catch(() => {});
    const timer = setTimeout(() => {
      isLate = true;
      stop();
    }, 1000 * bodySeconds);
    request.signal.addEventListener("abort", stop);
    const chunks: Uint8Array[] = [];
    try {
      for (;;) {
        const { done, value } = await reader.read();
        request.signal.throwIfAborted();
        if (isLate) break;
        if (done) return joined(chunks, held.bytes);
        this.#expectRoom(held.bytes + value.length, held);
        held.bytes += value.length;
        this.#bytes += value.length;
        chunks.push(value);
      }
    } catch (error) {
      stop();
      throw error;
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", stop);
    }
    const got = `${held.bytes} bytes`;
    throw new Problem(408, ["body", `all of it within ${bodySeconds} s`, got, "send it faster, or less"], CLOSE);
  }

  #expectRoom(bytes: number, held: { bytes: number }): void {
    const { bodyBytes, bufferedBytes } = this.#limits;
    if (bytes > bodyBytes) {
      const todo = "send a smaller image, e.g. as JPEG";
      throw new Problem(413, ["body", `at most ${bodyBytes} bytes`, `${bytes} or more`, todo], CLOSE);
    }
    if (this.#bytes - held.bytes + bytes > bufferedBytes) {
      const got = `${this.#bytes} held already`;
      throw new Problem(503, ["server", `room for ${bytes} bytes more`, got, "try again in a second"], {
        ...CLOSE,
        "retry-after": "1",
      });
    }
  }
}

/** The rest of the body is not wanted. */
const CLOSE = { connection: "close" };

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const got = (cause as Error).message.replace(/".{80,}/s, "…");
    throw new Problem(400, ["body", "JSON in UTF-8", got, "send one JSON object"]);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Problem(422, ["body", "a JSON object", kindOf(value), "see /openapi.json"]);
}
