// What the command line reads from https goes through the tunnel that HTTPS_PROXY names: a server of this machine under a
// name that the proxy alone knows.
import { execFile } from "node:child_process";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../golden/hash_image.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { encodePng } from "../src/io/png.ts";
import { selfSigned } from "./certificate.ts";

const HOST = "files.invalid";
const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sam2-proxy-"));
const authority = join(folder, "authority.pem");
const { key, cert } = selfSigned(HOST);
writeFileSync(authority, cert);

const files = new Map<string | undefined, Uint8Array>([
  ["/photo.png", encodePng({ width: 40, height: 30, channels: 3, data: goldenImage(1, 40, 30) })],
  ["/nano.safetensors", readFileSync(DEMO_MODEL.url)],
]);
const site = createTlsServer({ key, cert }, ({ url }, response) => {
  const file = files.get(url);
  if (file) response.end(file);
  else response.writeHead(404).end();
});
const tunnels: string[] = [];
const proxy = createServer((_, response) => response.writeHead(501).end());
proxy.on("connect", ({ url = "" }: IncomingMessage, client: Socket) => {
  tunnels.push(url);
  const server = connect((site.address() as AddressInfo).port, "127.0.0.1", () => {
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    server.pipe(client).pipe(server);
  });
  server.on("error", () => client.destroy());
  client.on("error", () => server.destroy());
});

/** A command in a process of its own: what a system trusts is read when it starts. */
async function sam2(args: readonly string[], env: Record<string, string>): Promise<{ stdout: string; stderr: string }> {
  const { HTTPS_PROXY: _, HTTP_PROXY: __, ALL_PROXY: ___, https_proxy: ____, ...inherited } = process.env;
  const options = { env: { ...inherited, NO_PROXY: "", no_proxy: "", ...env } };
  const command = ["--import", import.meta.resolve("tsx"), MAIN, ...args];
  return promisify(execFile)(process.execPath, command, options).catch((error) => error);
}

const Proxy = suite("https through a proxy");
Proxy.before(async () => {
  for (const server of [site, proxy]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }
});
Proxy.before.each(() => {
  tunnels.length = 0;
});
Proxy.after(() => {
  for (const server of [site, proxy]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

const through = () => ({
  HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  NODE_EXTRA_CA_CERTS: authority,
});
const SEGMENT = ["segment", `https://${HOST}/photo.png`, "--model", "nano", "--point", "20,15", "--json"];

Proxy("a checkpoint comes through the tunnel", async () => {
  const { stdout, stderr } = await sam2(["info", `https://${HOST}/nano.safetensors`, "--json"], through());
  assert.is(JSON.parse(stdout || "{}").variant, "nano", stderr);
  assert.equal([...new Set(tunnels)], [`${HOST}:443`]);
});

Proxy("a picture comes through the tunnel", async () => {
  const { stdout, stderr } = await sam2(SEGMENT, through());
  assert.is(JSON.parse(stdout || "{}").image?.width, 40, stderr);
  assert.equal([...new Set(tunnels)], [`${HOST}:443`]);
});

Proxy("a certificate that nobody vouches for is refused in one line", async () => {
  const { stdout, stderr } = await sam2(SEGMENT, { ...through(), NODE_EXTRA_CA_CERTS: "" });
  assert.is(stdout, "");
  assert.match(
    stderr,
    /^sam2: https:\/\/files\.invalid\/photo\.png: expected an answer, got none \(.*SELF_SIGNED.*\n$/,
  );
});

Proxy("a host of NO_PROXY is looked for without the proxy", async () => {
  const { stderr } = await sam2(SEGMENT, { ...through(), NO_PROXY: HOST });
  assert.match(stderr, /^sam2: https:\/\/files\.invalid\/photo\.png: expected an answer, got none \(.*\n$/);
  assert.equal(tunnels, []);
});

Proxy.run();
