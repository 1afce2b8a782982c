// Over HTTP, where clients are slow, leave, ask too much, or are somebody else.
import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { until } from "../../tests/patience.ts";
import { CLICK, nanoServer, photo, base64 } from "../../tests/server_fixture.ts";
import { listen } from "./listen.node.ts";
import type { ServerOptions } from "./server.ts";

const EVERYTHING = { image: CLICK.image, everything: { pointsPerSide: 20, pointsPerBatch: 16 } };

interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** One request on a connection of its own. */
function ask(
  url: string,
  path: string,
  {
    method = "POST",
    body,
    headers = {},
    signal,
  }: { method?: string; body?: unknown; headers?: object; signal?: AbortSignal } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const type = { "content-type": "application/json", ...headers };
    const asked = request(url + path, { method, headers: type, agent: false, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : text);
  });
}

/** A server on a free port for as long as `use` takes. */
async function serving(options: ServerOptions, use: (url: string) => Promise<void>): Promise<void> {
  const { server, errors } = await nanoServer(options);
  const { url, close } = await listen(server, { port: 0 });
  try {
    await use(url);
    assert.equal(errors, []);
  } finally {
    await close(1000);
  }
}

async function metric(url: string, line: string): Promise<number> {
  const { text } = await ask(url, "/metrics", { method: "GET" });
  const found = text.split("\n").find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

const Guard = suite("who may ask");

Guard("beyond loopback a server without a token does not start", async () => {
  const { server } = await nanoServer();
  for (const host of ["0.0.0.0", "::", "192.168.1.7", "example.org"]) {
    await listen(server, { host, port: 0 }).then(
      () => assert.unreachable(host),
      ({ message }) => assert.match(message, /--host: expected a token .* got .* without one; add --token/),
    );
  }
  await server.close();
});

Guard("without a token it answers to its own names, and to no page of another origin", async () => {
  await serving({}, async (url) => {
    const { host, port } = new URL(url);
    const health = (headers: object) => ask(url, "/metrics", { method: "GET", headers });
    for (const name of [host, `localhost:${port}`]) assert.is((await health({ host: name })).status, 200);
    assert.is((await health({ host: "evil.example" })).status, 403);
    assert.is((await health({ origin: "https://evil.example" })).status, 403);
    assert.is((await health({ origin: "null" })).status, 403);
    assert.is((await health({ origin: url })).status, 200);
    const form = { "content-type": "text/plain" };
    assert.is((await ask(url, "/segment", { body: CLICK, headers: form })).status, 415);
    assert.is((await ask(url, "/segment", { method: "OPTIONS" })).headers["access-control-allow-origin"], undefined);
  });
});

Guard("an origin that is allowed may ask, after its browser has asked whether it may", async () => {
  const origin = "https://labels.example.org";
  await serving({ origins: [origin] }, async (url) => {
    const preflight = await ask(url, "/segment", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
    });
    assert.is(preflight.headers["access-control-allow-origin"], origin);
    const { status, headers } = await ask(url, "/segment", { body: CLICK, headers: { origin } });
    assert.is(status, 200);
    assert.is(headers["access-control-allow-origin"], origin);
    assert.is((await ask(url, "/segment", { body: CLICK, headers: { origin: "https://other.example" } })).status, 403);
  });
});

Guard("a token is shown as bearer, as Token, or as a password; only whether it is there needs none", async () => {
  await serving({ token: "s3cret ü" }, async (url) => {
    const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    const status = async (authorization?: string) => {
      const headers = { ...(authorization && { authorization }), host: "any.example" };
      return (await ask(url, "/setup", { body: {}, headers })).status;
    };
    assert.is(await status(basic("label studio:s3cret ü")), 200);
    for (const wrong of [
      undefined,
      "Bearer",
      "Bearer s3cret",
      basic("s3cret"),
      basic("a:b"),
      "Basic ???",
      "Digest x",
    ]) {
      assert.is(await status(wrong), 401, wrong);
    }
    assert.is((await ask(url, "/health", { method: "GET" })).status, 200);
    assert.is((await ask(url, "/metrics", { method: "GET" })).status, 401);
  });
  await serving({ token: "abc" }, async (url) => {
    for (const authorization of ["Bearer abc", "bearer abc", "Token abc"]) {
      assert.is((await ask(url, "/setup", { body: {}, headers: { authorization } })).status, 200);
    }
  });
});

const Load = suite("load");

Load("what is more than may wait is answered 503 with Retry-After, and the rest rightly", async () => {
  await serving({ limits: { waiting: 2 } }, async (url) => {
    const body = { ...EVERYTHING, everything: { pointsPerSide: 8 } };
    const all = await Promise.all(Array.from({ length: 8 }, () => ask(url, "/everything", { body })));
    const good = all.filter(({ status }) => status === 200);
    const refused = all.filter(({ status }) => status === 503);
    assert.is(good.length + refused.length, 8);
    assert.ok(good.length >= 3 && refused.length >= 1, `${good.length} good`);
    assert.is(new Set(good.map(({ text }) => text)).size, 1);
    for (const { headers, text } of refused) {
      assert.ok(Number(headers["retry-after"]) >= 1);
      assert.match(JSON.parse(text).error, /at most 2 requests of this kind that wait/);
    }
    assert.is((await ask(url, "/everything", { body })).text, good[0].text);
  });
});

Load("a click is answered while everything is computed", async () => {
  await serving({}, async (url) => {
    await ask(url, "/segment", { body: CLICK });
    let done = false;
    const long = ask(url, "/everything", { body: EVERYTHING }).then(() => (done = true));
    await until(async () => (await metric(url, "sam2_queue_background")) === 1);
    assert.is((await ask(url, "/segment", { body: CLICK })).status, 200);
    assert.is(done, false);
    await long;
  });
});

Load("who leaves is forgotten: what was computed for them ends, and the next one is answered", async () => {
  await serving({ limits: { waiting: 0 } }, async (url) => {
    const leave = new AbortController();
    const left = ask(url, "/everything", { body: EVERYTHING, signal: leave.signal }).catch((error) => error.name);
    await until(async () => (await metric(url, "sam2_queue_background")) === 1);
    leave.abort();
    assert.is(await left, "AbortError");
    await until(async () => (await metric(url, "sam2_queue_background")) === 0);
    const body = { ...EVERYTHING, everything: { pointsPerSide: 2 } };
    assert.is((await ask(url, "/everything", { body })).status, 200);
    await until(async () => (await metric(url, 'sam2_requests_total{route="/everything",status="499"}')) === 1);
  });
});

const Bodies = suite("bodies");

Bodies("one that comes too slowly is given up, and its connection closed; others are answered meanwhile", async () => {
  await serving({ limits: { bodySeconds: 1 } }, async (url) => {
    const { hostname, port } = new URL(url);
    const sockets = Array.from({ length: 30 }, () => connect(Number(port), hostname));
    const texts = sockets.map(async (socket) => {
      let text = "";
      socket.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      socket.on("error", () => {});
      socket.write("POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
      socket.write('Content-Length: 1000\r\n\r\n{"image": "');
      await once(socket, "close");
      return text;
    });
    assert.is((await ask(url, "/segment", { body: CLICK })).status, 200);
    for (const text of await Promise.all(texts)) assert.match(text, /^HTTP\/1.1 408 [^]*expected all of it within 1 s/);
    assert.is(await metric(url, "sam2_body_bytes"), 0);
  });
});

Bodies("one that is too large is refused by its head, or where it exceeds", async () => {
  await serving({ limits: { bodyBytes: 100_000 } }, async (url) => {
    const body = "x".repeat(1_000_000);
    const length = await ask(url, "/segment", { body, headers: { "content-length": body.length } }).catch(
      () => undefined,
    );
    const chunked = await ask(url, "/segment", { body, headers: { "transfer-encoding": "chunked" } }).catch(
      () => undefined,
    );
    // a client that is still writing may find the connection closed before it reads the answer
    for (const answered of [length, chunked]) if (answered) assert.is(answered.status, 413);
    assert.is(await metric(url, 'sam2_requests_total{route="/segment",status="413"}'), 2);
    assert.is(await metric(url, "sam2_body_bytes"), 0);
  });
});

Bodies("what is no HTTP is answered by Node, and nothing else happens", async () => {
  await serving({}, async (url) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.end("GARBAGE\r\n\r\n");
    socket.resume();
    await once(socket, "close");
    assert.is((await ask(url, "/health", { method: "GET" })).status, 200);
  });
});

const End = suite("end");

End("answers what is under way and 503 to new ones, then nothing listens", async () => {
  const { server } = await nanoServer();
  const { url, close } = await listen(server, { port: 0 });
  const underWay = ask(url, "/segment", { body: { ...CLICK, image: base64(photo(7)) } });
  await until(async () => (await metric(url, "sam2_requests_open")) >= 2); // itself, and the one above
  const closing = close(20_000);
  const late = await ask(url, "/segment", { body: CLICK }).catch(() => ({ status: 503 })); // or it has ended already
  assert.is(late.status, 503);
  assert.is((await underWay).status, 200);
  await closing;
  await ask(url, "/health", { method: "GET" }).then(
    () => assert.unreachable(),
    ({ code }) => assert.is(code, "ECONNREFUSED"),
  );
});

End("what takes longer than the grace is ended with 503", async () => {
  const { server } = await nanoServer();
  const { url, close } = await listen(server, { port: 0 });
  const long = ask(url, "/everything", { body: EVERYTHING });
  await until(async () => (await metric(url, "sam2_queue_background")) === 1);
  await close(0);
  assert.is((await long).status, 503);
});

Guard.run();
Load.run();
Bodies.run();
End.run();
