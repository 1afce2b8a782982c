import { ImageError, UsageError } from "../errors.ts";
import type { Limits } from "./limits.ts";
import { Problem } from "./problem.ts";

/** A place from which a server may fetch, and what it shows there. */
export interface AllowedPrefix {
  prefix: string;
  /** headers for requests to this very origin, e.g. a token; never sent to where it redirects */
  headers?: () => Promise<Record<string, string>>;
}

const MOST_REDIRECTS = 5;

/**
 * Fetches what requests name, from listed places alone, at every step of a redirect. A listed place is trusted, wherever
 * its name leads: a name of the inside network may be listed, and nothing reaches that network by a name that is not.
 */
export class Allowed {
  readonly #places: readonly { url: URL; headers?: AllowedPrefix["headers"] }[];
  readonly #fetch: typeof fetch;
  readonly #limits: Limits;

  /** @throws UsageError unless every prefix is an http(s) address with a host */
  constructor(prefixes: readonly AllowedPrefix[], limits: Limits, fetcher: typeof fetch) {
    this.#places = prefixes.map(({ prefix, headers }) => ({ url: expectPrefix(prefix), headers }));
    this.#limits = limits;
    this.#fetch = fetcher;
  }

  /** @throws Problem 422 if it is not allowed, ImageError if it cannot be had; the signal's reason if aborted */
  async fetch(address: string, where: string, signal: AbortSignal): Promise<Uint8Array> {
    const { fetchSeconds } = this.#limits;
    const end = AbortSignal.any([signal, AbortSignal.timeout(1000 * fetchSeconds)]);
    let url = this.#expectAllowed(address, where);
    try {
      for (let steps = 0; steps <= MOST_REDIRECTS; steps++) {
        const headers = (await this.#placeOf(url)?.headers?.()) ?? {};
        const response = await this.#fetch(url.href, { redirect: "manual", headers, signal: end });
        const location = response.headers.get("location");
        if (response.status >= 300 && response.status < 400 && location !== null) {
          await response.body?.cancel();
          url = this.#expectAllowed(new URL(location, url).href, where);
          continue;
        }
        if (!response.ok) {
          await response.body?.cancel();
          throw new ImageError(where, "an image or video", `HTTP ${response.status} of ${shown(url)}`, CHECK);
        }
        return await this.#receive(response, where);
      }
      throw new ImageError(where, `at most ${MOST_REDIRECTS} redirects`, "more", CHECK);
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof ImageError || cause instanceof Problem) throw cause;
      const { message } = ((cause as Error).cause as Error | undefined) ?? (cause as Error);
      const got = end.aborted ? `nothing whole within ${fetchSeconds} s` : message || "no answer";
      throw new ImageError(where, `an answer of ${url.host}`, got, CHECK, { cause });
    }
  }

  async #receive(response: Response, where: string): Promise<Uint8Array> {
    const { fetchedBytes } = this.#limits;
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > fetchedBytes) {
        throw new Problem(413, [where, `at most ${fetchedBytes} bytes`, "more", "name a smaller file"]);
      }
      chunks.push(chunk);
    }
    return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  }

  #expectAllowed(address: string, where: string): URL {
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (url && this.#placeOf(url)) return url;
    const got = url ? shown(url) : JSON.stringify(address.slice(0, 60));
    const listed = this.#places.map(({ url }) => url.href).join(", ");
    const expected = listed ? `an address below ${listed}` : "no address: none is allowed here";
    throw new Problem(422, [where, expected, got, "send the bytes, or start the server with --allow-url PREFIX"]);
  }

  /** Whose prefix it has: the same origin, and the same path as far as the prefix goes, whole names of it. */
  #placeOf(url: URL) {
    if (url.username !== "" || url.password !== "") return undefined;
    return this.#places.find(({ url: { origin, pathname, search } }) => {
      if (url.origin !== origin) return false;
      if (search !== "") return `${url.pathname}${url.search}`.startsWith(`${pathname}${search}`);
      return url.pathname === pathname || url.pathname.startsWith(pathname.endsWith("/") ? pathname : `${pathname}/`);
    });
  }
}

const CHECK = "check the address";

/** Without its query, which may hold a secret. */
function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`.slice(0, 200);
}

function expectPrefix(prefix: string): URL {
  const url = URL.canParse(prefix) ? new URL(prefix) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.host !== "" && url.username === "" && url.hash === "") return url;
  const todo = "e.g. --allow-url https://images.example.org/photos/";
  throw new UsageError("--allow-url", "an http(s) address with a host", `"${prefix}"`, todo);
}
