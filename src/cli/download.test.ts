import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder, sam2 } from "../../tests/cli_fixture.ts";
import { cacheFolder } from "./models.ts";

const FILE = "sam2.1_hiera_tiny.pt";
const SIZE = 3_000_000;

/** What looks like a .pt file, of random bytes. */
function content(seed: number): Buffer {
  const bytes = Buffer.alloc(SIZE);
  for (let i = 0; i < SIZE; i++) bytes[i] = (Math.imul(i + seed, 0x9e3779b1) >>> 13) & 255;
  bytes.write("PK\x03\x04", "latin1");
  return bytes;
}

/** A server like the official one: ETag, ranges, If-Range. */
const server = {
  content: content(1),
  etag: '"one"' as string | undefined,
  /** hang up after so many bytes of a body, once */
  cutAfter: undefined as number | undefined,
  requests: [] as { range?: string; ifRange?: string }[],
  answer: undefined as ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
};

const http = createServer((request, response) => {
  if (server.answer) return server.answer(request, response);
  if (request.url !== `/${FILE}`) return response.writeHead(404).end("not here");
  const { range, "if-range": ifRange } = request.headers;
  server.requests.push({ range, ifRange: ifRange as string | undefined });
  const start = range && ifRange === server.etag ? Number(/\d+/.exec(range)![0]) : 0;
  if (start >= SIZE) return response.writeHead(416).end();
  const body = server.content.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": body.length,
    ...(server.etag && { etag: server.etag }),
    ...(start > 0 && { "content-range": `bytes ${start}-${SIZE - 1}/${SIZE}` }),
  });
  const cut = server.cutAfter;
  server.cutAfter = undefined;
  if (cut === undefined) response.end(body);
  else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
});
await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));

const { leave } = enterFolder();
const env = {
  SAM2_CACHE: join(process.cwd(), "cache"),
  SAM2_DOWNLOAD_URL: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
};
const target = join(env.SAM2_CACHE, FILE);
const get = (...args: string[]) => sam2(["download", "tiny", ...args], { env });
const cached = () => (existsSync("cache") ? readdirSync("cache").sort() : []);
const isWhole = () => readFileSync(target).equals(server.content);
const digest = () => createHash("sha256").update(server.content).digest("hex");

const Download = suite("download");
Download.before.each(() => {
  rmSync("cache", { recursive: true, force: true });
  Object.assign(server, { content: content(1), etag: '"one"', cutAfter: undefined, requests: [], answer: undefined });
});
Download.after(() => {
  leave();
  http.close();
});

Download("puts the file and its digest into the cache, and says that none was known", async () => {
  const { code, stdout, stderr } = await get();
  assert.equal([code, stderr], [0, ""]);
  assert.ok(isWhole());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
  assert.is(readFileSync(`${target}.sha256`, "utf8"), `${digest()}  ${FILE}\n`);
  assert.match(
    stdout,
    new RegExp(`${FILE} downloaded, 3\\.0 MB\nSHA-256 ${digest()}, recorded in .*, since none was known\n`),
  );
});

Download("the second time it compares the digest and asks the server for nothing", async () => {
  await get();
  const { code, stdout } = await get("--json");
  assert.is(code, 0);
  assert.equal(JSON.parse(stdout), { name: "tiny", path: target, bytes: SIZE, sha256: digest(), verified: true });
  assert.is(server.requests.length, 1);
});

Download("a file that is no longer what was downloaded is refused", async () => {
  await get();
  writeFileSync(target, content(2));
  const { code, stderr } = await get();
  assert.is(code, 1);
  assert.match(stderr, /expected SHA-256 \w{64}, as at the first download, got \w{64}; delete it/);
});

Download("a download that differs from the recorded digest never gets the file's name", async () => {
  await get();
  rmSync(target);
  server.content = content(3);
  const { code, stderr } = await get();
  assert.is(code, 1);
  assert.match(stderr, /as at the first download/);
  assert.ok(!existsSync(target));
});

Download("an interrupted transfer is kept, said so, and continued where it stopped", async () => {
  server.cutAfter = 1_000_000;
  const first = await get();
  assert.is(first.code, 1);
  assert.match(
    first.stderr,
    /expected 3000000 bytes, got \d+, then .*; run the same command again: it goes on from there\n/,
  );
  assert.ok(!existsSync(target));
  const [part] = cached();
  const received = readFileSync(join("cache", part)).length;
  assert.ok(received > 0 && received <= 1_000_000, `${received} bytes`);

  const second = await get();
  assert.is(second.code, 0, second.stderr);
  assert.equal(server.requests[1], { range: `bytes=${received}-`, ifRange: '"one"' });
  assert.ok(isWhole());
  assert.is(readFileSync(`${target}.sha256`, "utf8").split(" ")[0], digest());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download("if the server's file has changed in between, all of the new one is taken", async () => {
  server.cutAfter = 1_000_000;
  await get();
  Object.assign(server, { content: content(4), etag: '"two"' });
  assert.is((await get()).code, 0);
  assert.ok(isWhole());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download("a range of another version, from a server that ignores If-Range, is not appended", async () => {
  server.cutAfter = 1_000_000;
  await get();
  server.content = content(5);
  server.answer = (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
    const body = server.content.subarray(start);
    const range = { "content-range": `bytes ${start}-${SIZE - 1}/${SIZE}` };
    response.writeHead(start > 0 ? 206 : 200, {
      etag: '"two"',
      "content-length": body.length,
      ...(start > 0 && range),
    });
    response.end(body);
  };
  assert.is((await get()).code, 0);
  assert.ok(isWhole());
});

Download("a part that is complete already, or longer, is dropped and the file taken anew", async () => {
  for (const length of [SIZE, SIZE + 10]) {
    rmSync("cache", { recursive: true, force: true });
    mkdirSync("cache");
    const validator = Buffer.from('"one"').toString("base64url");
    writeFileSync(`cache/${FILE}.${validator}.idle.part`, Buffer.alloc(length));
    assert.is((await get()).code, 0);
    assert.ok(isWhole());
    assert.equal(cached(), [FILE, `${FILE}.sha256`]);
  }
});

Download("without a validator nothing is resumed, and nothing kept", async () => {
  server.etag = undefined;
  server.cutAfter = 1_000_000;
  assert.is((await get()).code, 1);
  assert.equal(cached(), []);
});

Download("a body that is shorter than announced, or a 404, or no size, fails and leaves nothing", async () => {
  const answers: [RegExp, (request: IncomingMessage, response: ServerResponse) => void][] = [
    [/expected the file, got HTTP status 404; check the address/, (_, response) => response.writeHead(404).end()],
    [/got an answer that does not tell its size/, (_, response) => response.write("PK", () => response.end())],
    [
      /expected a \.pt file, got one that begins with "<html>/,
      (_, response) => response.writeHead(200, { "content-length": 12, etag: '"x"' }).end("<html></html>".slice(0, 12)),
    ],
    [
      /expected 10 bytes, got 2, then /,
      (_, response) =>
        response.writeHead(200, { "content-length": 10 }).write("PK", () => setTimeout(() => response.destroy(), 50)),
    ],
  ];
  for (const [message, answer] of answers) {
    server.answer = answer;
    const { code, stderr, stdout } = await get();
    assert.equal([code, stdout], [1, ""], `${message}`);
    assert.match(stderr, message);
    assert.equal(cached(), [], `${message}`);
  }
});

Download("several downloads of one file at once all succeed", async () => {
  const outcomes = await Promise.all([get(), get(), get()]);
  for (const { code, stderr } of outcomes) assert.equal([code, stderr], [0, ""]);
  assert.ok(isWhole());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download("Ctrl-C exits with 130 and keeps what has come", async () => {
  const interrupt = new AbortController();
  server.answer = (_, response) => {
    response.writeHead(200, { "content-length": SIZE, etag: '"one"' });
    response.write(server.content.subarray(0, 500_000), () => setTimeout(() => interrupt.abort(), 100));
  };
  const { code, stderr } = await sam2(["download", "tiny"], { env, signal: interrupt.signal });
  assert.equal([code, stderr], [130, "sam2: interrupted\n"]);
  assert.match(cached().join(), /^\S+\.idle\.part$/);
  server.answer = undefined;
  assert.is((await get()).code, 0);
  assert.is(server.requests.at(-1)?.range, "bytes=500000-");
  assert.ok(isWhole());
});

const main = [...["--import", import.meta.resolve("tsx")], fileURLToPath(new URL("main.ts", import.meta.url))];

Download("what a killed process has received is continued by the next", async () => {
  server.answer = (_, response) => {
    response.writeHead(200, { "content-length": SIZE, etag: '"one"' });
    response.write(server.content.subarray(0, 500_000));
  };
  const child = spawn(process.execPath, [...main, "download", "tiny"], { env: { ...process.env, ...env } });
  const exit = new Promise((resolve) => child.on("exit", resolve));
  for (let size = 0; size < 500_000; size = cached()[0] ? readFileSync(join("cache", cached()[0])).length : 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGKILL");
  await exit;
  server.answer = undefined;
  assert.is((await get()).code, 0);
  assert.is(server.requests.at(-1)?.range, "bytes=500000-");
  assert.ok(isWhole());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download("when writing fails, the error names the file and the way out, and a later attempt goes on", async () => {
  if (process.platform === "win32") return;
  const limited = spawn(
    "sh",
    ["-c", `ulimit -f 2000; exec "$@"`, "sh", process.execPath, ...main, "download", "tiny"],
    {
      env: { ...process.env, ...env },
    },
  );
  let stderr = "";
  limited.stderr.on("data", (chunk) => (stderr += chunk));
  assert.is(await new Promise((resolve) => limited.on("exit", resolve)), 1);
  assert.match(stderr, /^sam2: \S+hiera_tiny\.pt: expected a file that can be written, got EFBIG.*; free some space/);
  assert.is((await get()).code, 0);
  assert.match(server.requests.at(-1)?.range ?? "", /^bytes=[1-9]/);
  assert.ok(isWhole());
});

Download("a cache folder that cannot be made is an error that names it", async () => {
  writeFileSync("file", "");
  const { code, stderr } = await sam2(["download", "tiny"], { env: { ...env, SAM2_CACHE: "file/cache" } });
  assert.is(code, 1);
  assert.match(stderr, /^sam2: file.cache.sam2\.1_hiera_tiny\.pt: expected a file that can be written, got E/);
});

Download("offline, it says so and names the way out", async () => {
  const nobody = { ...env, SAM2_DOWNLOAD_URL: "http://127.0.0.1:1" };
  const { code, stderr } = await sam2(["download", "tiny"], { env: nobody });
  assert.is(code, 1);
  assert.match(
    stderr,
    /^sam2: http:\/\/127\.0\.0\.1:1\/sam2\.1_hiera_tiny\.pt: expected an answer, got none \(.+\); check the network/,
  );
  assert.equal(cached(), []);
});

Download("2.0 has files of its own; an unknown name is wrong usage that lists the known ones", async () => {
  const old = await sam2(["download", "2.0:tiny"], { env });
  assert.match(old.stderr, /\/sam2_hiera_tiny\.pt: expected the file, got HTTP status 404/);
  const { code, stderr } = await sam2(["download", "huge"], { env });
  assert.is(code, 2);
  assert.match(stderr, /expected tiny, small, base_plus, large, 2\.0:tiny, .*, got "huge"/);
});

Download("a terminal sees a bar, size, rate and time left; --quiet sees nothing", async () => {
  const { stderr } = await sam2(["download", "tiny"], { env, columns: 120 });
  assert.match(stderr, /█+ 100 % {2}3\.0 MB of 3\.0 MB {2}\S+ MB\/s/);
  rmSync("cache", { recursive: true });
  const quiet = await sam2(["download", "tiny", "--quiet"], { env, columns: 120 });
  assert.equal(quiet, { code: 0, stdout: "", stderr: "" });
});

Download("--model tiny opens the file in the cache", async () => {
  await get();
  const { stderr } = await sam2(["info", "tiny"], { env });
  assert.match(stderr, /^sam2: \S+sam2\.1_hiera_tiny\.pt: expected /, "which is no checkpoint here");
});

Download("the cache is $SAM2_CACHE, or the system's folder for such things", () => {
  assert.is(cacheFolder({ SAM2_CACHE: "/x" }, "win32"), "/x");
  assert.is(cacheFolder({ XDG_CACHE_HOME: "/xdg" }, "linux"), join("/xdg", "sam2-ts"));
  assert.match(cacheFolder({}, "linux"), /[\\/]\.cache[\\/]sam2-ts$/);
  assert.match(cacheFolder({}, "darwin"), /[\\/]Library[\\/]Caches[\\/]sam2-ts$/);
  assert.is(cacheFolder({ LOCALAPPDATA: "/local" }, "win32"), join("/local", "sam2-ts"));
});

Download.run();
