import { sha256 } from "../io/sha256.ts";
import { Problem } from "./problem.ts";

/** Who may ask. */
export interface GuardOptions {
  /** what a request must show: as bearer, or as the password of basic authentication */
  token?: string;
  /** Names by which this server may be called, without a token; localhost and loopback addresses by default. */
  hosts?: readonly string[];
  /** pages of other origins that may ask, e.g. "https://labels.example.org"; none by default */
  origins?: readonly string[];
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Lets requests pass that show the token; without one, those that call this server by a name of its own, and do not come
 * from a page of another origin. A page may lead its own name to this machine (DNS rebinding), or send a form here: in
 * both cases the browser says whose page it is.
 */
export class Guard {
  readonly #token: Promise<Uint8Array> | undefined;
  readonly #hosts: readonly string[];
  readonly #origins: readonly string[];

  constructor({ token, hosts = LOOPBACK, origins = [] }: GuardOptions) {
    this.#token = token === undefined ? undefined : digestOf(token);
    this.#hosts = hosts.map((host) => host.toLowerCase());
    this.#origins = origins;
  }

  /** @throws Problem 401, 403 */
  async expect(request: Request): Promise<void> {
    const { host, hostname } = new URL(request.url);
    const origin = request.headers.get("origin");
    if (origin !== null && !this.#origins.includes(origin) && originHost(origin) !== host) {
      const todo = "ask from a program, or start the server with --allow-origin";
      throw new Problem(403, ["origin", "this server's own, or one that it allows", JSON.stringify(origin), todo]);
    }
    if (this.#token) {
      if (await this.#shows(request)) return;
      const got = request.headers.has("authorization") ? "another" : "none";
      const todo = "send Authorization: Bearer TOKEN, or the token as the password of basic authentication";
      throw new Problem(401, ["authorization", "the server's token", got, todo], {
        "www-authenticate": 'Bearer realm="sam2", Basic realm="sam2"',
      });
    }
    if (this.#hosts.includes(hostname.toLowerCase())) return;
    const todo = "call it by one of these, or start it with --token";
    throw new Problem(403, ["host", this.#hosts.join(" or "), JSON.stringify(hostname), todo]);
  }

  async #shows(request: Request): Promise<boolean> {
    const [scheme, given = ""] = (request.headers.get("authorization") ?? "").trim().split(/\s+/, 2);
    const token = /^basic$/i.test(scheme) ? passwordOf(given) : given;
    if (!/^(basic|bearer|token)$/i.test(scheme)) return false;
    return sameBytes(await digestOf(token), await this.#token!);
  }
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function passwordOf(basic: string): string {
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(basic), (char) => char.charCodeAt(0)));
    return text.slice(text.indexOf(":") + 1);
  } catch {
    return "";
  }
}

function digestOf(text: string): Promise<Uint8Array> {
  return sha256(new TextEncoder().encode(text));
}

/** In the same time wherever they differ; of digests, which tell nothing of the length. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
