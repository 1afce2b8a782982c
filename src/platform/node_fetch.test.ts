import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../errors.ts";
import { environmentFetch } from "./node_fetch.ts";
import { transfer } from "./transfer.ts";

const site = createServer((_, response) => response.end("the file"));
const tunnels: string[] = [];
const logins: (string | undefined)[] = [];

/** A proxy that opens tunnels to this machine alone. */
const proxy = createServer((_, response) => response.writeHead(501).end());
proxy.on("connect", ({ url = "", headers }: IncomingMessage, client: Socket) => {
  tunnels.push(url);
  logins.push(headers["proxy-authorization"]);
  const [host, port] = url.split(":");
  if (host !== "127.0.0.1") return client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  const server = connect(Number(port), host, () => {
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    server.pipe(client).pipe(server);
  });
  server.on("error", () => client.destroy());
  client.on("error", () => server.destroy());
});
for (const server of [site, proxy]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const [sitePort, proxyPort] = [site, proxy].map((server) => (server.address() as AddressInfo).port);
const SITE = `http://127.0.0.1:${sitePort}/file.pt`;
const PROXY = `http://127.0.0.1:${proxyPort}`;

const text = async (env: Record<string, string>, url = SITE) => (await (await environmentFetch(env))(url)).text();

const Proxies = suite("environmentFetch");
Proxies.before.each(() => {
  tunnels.length = logins.length = 0;
});
Proxies.after(() => {
  for (const server of [site, proxy]) {
    server.closeAllConnections();
    server.close();
  }
});

Proxies("without a proxy in the environment it is Node's own", async () => {
  assert.is(await environmentFetch({}), fetch);
  assert.is(await text({}), "the file");
  assert.equal(tunnels, []);
});

for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]) {
  Proxies(`${name} is the way to an address of http`, async () => {
    assert.is(await text({ [name]: PROXY }), "the file");
    assert.equal(tunnels, [`127.0.0.1:${sitePort}`]);
  });
}

for (const name of ["HTTPS_PROXY", "https_proxy"]) {
  Proxies(`${name} is the way to an address of https, and a proxy that cannot reach it is an error`, async () => {
    const throughProxy = await environmentFetch({ [name]: PROXY });
    await transfer("https://example.invalid/file.pt", { fetch: throughProxy }).then(
      () => assert.unreachable(),
      (error) =>
        assert.match(error.message, /file\.pt: expected an answer, got none \(.*\); check the network, and the/),
    );
    assert.equal([...new Set(tunnels)], ["example.invalid:443"]);
  });
}

Proxies("name and password in its address are used", async () => {
  await text({ HTTP_PROXY: PROXY.replace("//", "//me:secret@") });
  assert.is(logins[0], `Basic ${Buffer.from("me:secret").toString("base64")}`);
});

Proxies("hosts of NO_PROXY are reached without it", async () => {
  assert.is(await text({ HTTP_PROXY: PROXY, NO_PROXY: "localhost,127.0.0.1" }), "the file");
  assert.equal(tunnels, []);
});

Proxies("a proxy of another kind is refused by name", async () => {
  await environmentFetch({ HTTPS_PROXY: "socks5://127.0.0.1:1" }).then(
    () => assert.unreachable(),
    (error) => {
      assert.instance(error, UsageError);
      assert.match(error.message, /^HTTPS_PROXY: expected an address of http:\/\/ or https:\/\/, got "socks5/);
    },
  );
});

Proxies.run();
