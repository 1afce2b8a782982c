import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, BlockList, isIP } from "node:net";
import { Sam2Error, UsageError } from "../errors.ts";
import type { Server } from "./server.ts";
import { getRequestListener } from "./vendor.node.ts";

/** Where a server listens. */
export interface ListenOptions {
  /** an address of this machine; 127.0.0.1 by default, which no other machine reaches. 0.0.0.0 is all of them */
  host?: string;
  /** 9090 by default; 0 is a free one */
  port?: number;
}

/** A server that listens. */
export interface Listening {
  /** e.g. "http://127.0.0.1:9090" */
  readonly url: string;
  /** Answer what is under way, but no longer than this, and everything else with 503; then end. 10 s by default. */
  close(graceMs?: number): Promise<void>;
}

/** For a request's head to arrive. */
const HEAD_MS = 10_000;
const MOST_CONNECTIONS = 1024;
/** For last answers to leave. */
const LAST_MS = 1000;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/**
 * Let Node's HTTP server answer.
 *
 * @throws UsageError for a host that other machines reach, without a token; Sam2Error if the address cannot be had
 */
export async function listen(
  server: Server,
  { host = "127.0.0.1", port = 9090 }: ListenOptions = {},
): Promise<Listening> {
  expectGuarded(host, server.hasToken);
  const answer = getRequestListener(server.fetch, { overrideGlobalObjects: false });
  const http = createServer({
    headersTimeout: HEAD_MS,
    requestTimeout: server.bodyMs + HEAD_MS,
    connectionsCheckingInterval: 1000,
  });
  http.maxConnections = MOST_CONNECTIONS;
  http.on("request", answer);
  http.listen(port, host);
  try {
    await once(http, "listening");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const got = code === "EADDRINUSE" ? "one that is taken" : message;
    throw new Sam2Error("listen", `a free port ${port} of ${host}`, got, "choose another with --port", { cause });
  }
  const { port: taken } = http.address() as AddressInfo;
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${taken}`,
    async close(graceMs) {
      await server.close(graceMs);
      const closed = once(http, "close");
      http.close();
      http.closeIdleConnections();
      const timer = setTimeout(() => http.closeAllConnections(), LAST_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** @throws UsageError for a host that other machines reach, without a token */
export function expectGuarded(host: string, hasToken: boolean): void {
  if (hasToken || isLoopback(host)) return;
  const todo = "add --token, or listen on 127.0.0.1 alone";
  throw new UsageError("--host", "a token where other machines can ask", `${host} without one`, todo);
}

/** Is it an address, or the name, of this machine for itself? */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return host === "localhost" || (family !== 0 && loopback.check(host, family === 6 ? "ipv6" : "ipv4"));
}
