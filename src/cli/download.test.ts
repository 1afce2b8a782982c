import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unzipSync, zipSync } from "fflate";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder, sam2 } from "../../tests/cli_fixture.ts";
import { until } from "../../tests/patience.ts";
import { CheckpointError } from "../errors.ts";
import { checkWhole } from "../io/checkpoint.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import { OFFICIAL_CHECKPOINTS } from "../io/official.ts";
import { type Progress, Sam2 } from "../index.node.ts";
import { cachedFile, cacheFolder } from "../platform/node_download.ts";

const FILE = "sam2.1_hiera_tiny.pt";

/** A .pt file that holds three megabytes of random bytes beside a small state_dict. */
function content(seed: number): Buffer {
  const bytes = new Uint8Array(3_000_000);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (Math.imul(i + seed, 0x9e3779b1) >>> 13) & 255;
  const small = readFileSync(new URL("../../golden/cases/checkpoints/state_dict.pt", import.meta.url));
  return Buffer.from(zipSync({ ...unzipSync(small), "state_dict/data/99": bytes }, { level: 0 }));
}
const SIZE = content(1).length;

/** A server like the official one: ETag, ranges, If-Range. */
const server = {
  content: content(1),
  etag: '"one"' as string | undefined,
  /** hang up after so many bytes of a body, once */
  cutAfter: undefined as number | undefined,
  /** after that hang up at once, always */
  dead: false,
  /** after that say nothing, once */
  silent: false,
  requests: [] as (string | undefined)[],
  answer: undefined as ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
};

const http = createServer((request, response) => {
  if (server.answer) return server.answer(request, response);
  if (request.url !== `/${FILE}`) return response.writeHead(404).end("not here");
  const { range } = request.headers;
  server.requests.push(range);
  if (server.dead && server.cutAfter === undefined) return request.socket.destroy();
  if (server.silent && server.cutAfter === undefined) {
    server.silent = false;
    return;
  }
  const start = Number(/\d+/.exec(range ?? "0")![0]);
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
const cachedBytes = () => cached().reduce((sum, name) => sum + statSync(join("cache", name)).size, 0);
const isWhole = () => readFileSync(target).equals(server.content);
const digest = () => createHash("sha256").update(server.content).digest("hex");

const Download = suite("download");
Download.before.each(() => {
  rmSync("cache", { recursive: true, force: true });
  Object.assign(server, { content: content(1), etag: '"one"', cutAfter: undefined, dead: false, silent: false });
  Object.assign(server, { requests: [], answer: undefined });
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

Download("a server that hangs up is asked for the rest at once", async () => {
  server.cutAfter = 1_000_000;
  const { code, stderr } = await get();
  assert.equal([code, stderr], [0, ""]);
  assert.is(server.requests.length, 2);
  assert.match(server.requests[1]!, /^bytes=[1-9]\d*-$/);
  assert.ok(isWhole());
});

Download("an interrupted transfer is kept, said so, and continued where it stopped", async () => {
  Object.assign(server, { cutAfter: 1_000_000, dead: true });
  const first = await get();
  assert.is(first.code, 1);
  assert.match(first.stderr, /expected an answer, got none \(.+\); check the network, and the proxy/);
  server.dead = false;
  assert.ok(!existsSync(target));
  const [part] = cached();
  const received = readFileSync(join("cache", part)).length;
  assert.ok(received > 0 && received <= 1_000_000, `${received} bytes`);

  const second = await get();
  assert.is(second.code, 0, second.stderr);
  assert.is(server.requests.at(-1), `bytes=${received}-`);
  assert.ok(isWhole());
  assert.is(readFileSync(`${target}.sha256`, "utf8").split(" ")[0], digest());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download("if the server's file has changed in between, all of the new one is taken", async () => {
  Object.assign(server, { cutAfter: 1_000_000, dead: true });
  await get();
  Object.assign(server, { content: content(4), etag: '"two"', dead: false });
  assert.is((await get()).code, 0);
  assert.ok(isWhole());
  assert.equal(cached(), [FILE, `${FILE}.sha256`]);
});

Download(
  "if it changes while it is being received, nothing is joined, and the next attempt takes the new one",
  async () => {
    server.cutAfter = 1_000_000;
    server.answer = (request, response) => {
      server.answer = undefined;
      http.emit("request", request, response);
      Object.assign(server, { content: content(5), etag: '"two"' });
    };
    const { code, stderr } = await get();
    assert.is(code, 1);
    assert.match(stderr, /expected the same file until its end, got another version of it/);
    assert.is((await get()).code, 0);
    assert.ok(isWhole());
  },
);

Download("an answer without Content-Length is taken, and known to be whole by what is in it", async () => {
  server.answer = (_, response) => response.writeHead(200).write(server.content, () => response.end());
  const { code, stderr } = await get();
  assert.equal([code, stderr], [0, ""]);
  assert.ok(isWhole());

  rmSync("cache", { recursive: true });
  server.answer = (_, response) =>
    response.writeHead(200, { connection: "close" }).write(server.content.subarray(0, -9), () => response.end());
  const cut = await get();
  assert.is(cut.code, 1);
  assert.match(cut.stderr, /expected the end record of a zip archive, got none: the file is cut off/);
  assert.equal(cached(), []);
});

Download("a byte that changed on the way is found, and nothing of the file is kept", async () => {
  server.content[SIZE - 2_000_000] ^= 1;
  const { code, stderr } = await get();
  assert.is(code, 1);
  assert.match(stderr, /record state_dict\/data\/99: expected CRC \w+, got \w+; copy or download the file again/);
  assert.equal(cached(), []);
});

const [tiny] = OFFICIAL_CHECKPOINTS;
const quickly = (patience: number) => cachedFile(tiny, { env, patience, check: checkWhole });

Download("a server that never answers is asked three times, then given up by name", async () => {
  let asked = 0;
  server.answer = () => void asked++;
  await quickly(50).then(
    () => assert.unreachable(),
    (error) => {
      assert.instance(error, CheckpointError);
      assert.match(error.message, /tiny\.pt: expected an answer, got none \(silence for 0\.05 s\); check the network/);
    },
  );
  assert.is(asked, 3);
});

Download("one that falls silent midway is asked for the rest", async () => {
  Object.assign(server, { cutAfter: undefined, silent: true });
  server.answer = (request, response) => {
    if (request.headers.range) return void ((server.answer = undefined), http.emit("request", request, response));
    server.requests.push(undefined);
    response.writeHead(200, { "content-length": SIZE, etag: server.etag });
    response.write(server.content.subarray(0, 1_000_000));
  };
  assert.is(await quickly(400), target);
  assert.equal([server.requests.length, server.requests.at(-1)], [3, "bytes=1000000-"]);
  assert.ok(isWhole());
});

Download("503 is asked again, and is named when it stays", async () => {
  let times = 2;
  server.answer = (request, response) => {
    if (times-- > 0) return response.writeHead(503).end();
    server.answer = undefined;
    http.emit("request", request, response);
  };
  assert.is((await get()).code, 0);
  rmSync("cache", { recursive: true });
  server.answer = (_, response) => response.writeHead(503).end();
  assert.match((await get()).stderr, /expected the file, got HTTP status 503; try again later/);
});

Download("redirects are followed", async () => {
  server.answer = (_, response) => {
    server.answer = undefined;
    response.writeHead(302, { location: `/${FILE}` }).end();
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
  const { code, stderr } = await get();
  assert.is(code, 1);
  assert.match(stderr, /expected \d+ bytes, got \d+, then .*; run it again/);
  assert.equal(cached(), []);
});

Download("a body that is shorter than announced, or a 404, or a web page, fails and leaves nothing", async () => {
  const answers: [RegExp, (request: IncomingMessage, response: ServerResponse) => void][] = [
    [/expected the file, got HTTP status 404; check the address/, (_, response) => response.writeHead(404).end()],
    [
      /expected a \.pt or \.safetensors file, got a web page/,
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
    response.write(server.content.subarray(0, 500_000));
    void until(() => cachedBytes() === 500_000).then(() => interrupt.abort());
  };
  const { code, stderr } = await sam2(["download", "tiny"], { env, signal: interrupt.signal });
  assert.equal([code, stderr], [130, "sam2: interrupted\n"]);
  assert.match(cached().join(), /^\S+\.idle\.part$/);
  server.answer = undefined;
  assert.is((await get()).code, 0);
  assert.is(server.requests.at(-1), "bytes=500000-");
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
  await until(() => cachedBytes() === 500_000);
  child.kill("SIGKILL");
  await exit;
  server.answer = undefined;
  assert.is((await get()).code, 0);
  assert.is(server.requests.at(-1), "bytes=500000-");
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
  assert.match(server.requests.at(-1) ?? "", /^bytes=[1-9]/);
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
  assert.match(stderr, /expected tiny, small, base_plus, large, 2\.0:tiny, .*, edgetam, got "huge"/);
});

Download("a terminal sees a bar, size, rate and time left; --quiet sees nothing", async () => {
  const { stderr } = await sam2(["download", "tiny"], { env, columns: 120 });
  assert.match(stderr, /█+ 100 % {2}3\.0 MB of 3\.0 MB {2}\S+ MB\/s/);
  rmSync("cache", { recursive: true });
  const quiet = await sam2(["download", "tiny", "--quiet"], { env, columns: 120 });
  assert.equal(quiet, { code: 0, stdout: "", stderr: "" });
});

Download("any name of the model opens its file in the cache, and the first of them downloads it", async () => {
  for (const name of ["tiny", "2.1:tiny", "sam2.1_hiera_tiny", "facebook/sam2.1-hiera-tiny"]) {
    const { stderr } = await sam2(["info", name], { env });
    assert.match(stderr, /^sam2: \S+sam2\.1_hiera_tiny\.pt: expected the tensors of SAM 2, /, "which are not in it");
  }
  assert.is(server.requests.length, 1);
});

Download("offline, nothing is downloaded, and the command that would is named", async () => {
  for (const [args, offline] of [
    [["--offline"], env],
    [[], { ...env, SAM2_OFFLINE: "1" }],
  ] as const) {
    const { code, stderr } = await sam2(["info", "tiny", ...args], { env: offline });
    assert.is(code, 1);
    assert.match(stderr, /^sam2: tiny: expected its file at \S+, got none; offline, .*: run sam2 download tiny where/);
  }
  assert.is(server.requests.length, 0);
});

Download(
  "fromPretrained takes the same names: it downloads with progress, and the second time opens the cache",
  async () => {
    const before = { ...process.env };
    Object.assign(process.env, env);
    server.answer = (request, response) => {
      server.requests.push(request.url);
      const nano = readFileSync(DEMO_MODEL.url);
      response.writeHead(200, { "content-length": nano.length, etag: '"nano"' }).end(nano);
    };
    try {
      const stages: (number | undefined)[] = [];
      const onProgress = ({ stage, fraction }: Progress) => void (stage === "download" && stages.push(fraction));
      for (const name of ["2.0:small", "facebook/sam2-hiera-small"]) {
        const sam2 = await Sam2.fromPretrained(name, { threads: 1, onProgress });
        assert.is(sam2.config.name, "nano");
        await sam2.dispose();
      }
      assert.equal(server.requests, ["/sam2_hiera_small.pt"]);
      assert.is(stages.at(-1), 1);
      process.env.SAM2_OFFLINE = "1";
      await Sam2.fromPretrained("large").then(
        () => assert.unreachable(),
        (error) => assert.match(error.message, /^large: expected its file at .*: run sam2 download large where/),
      );
      await Sam2.fromPretrained("tinny").then(
        () => assert.unreachable(),
        (error) => assert.match(error.message, /check the path, or name a model: nano, tiny, small, /),
      );
      const nano = await Sam2.fromPretrained("nano", { threads: 1 });
      assert.is(nano.config.name, "nano");
      await nano.dispose();
    } finally {
      for (const name of ["SAM2_CACHE", "SAM2_DOWNLOAD_URL", "SAM2_OFFLINE"]) delete process.env[name];
      Object.assign(process.env, before);
    }
  },
);

Download("a file of that name counts more", async () => {
  writeFileSync("tiny", "<html>");
  const { stderr } = await sam2(["info", "tiny"], { env });
  rmSync("tiny");
  assert.match(stderr, /^sam2: tiny: expected a \.pt or \.safetensors file, got a web page/);
  assert.is(server.requests.length, 0);
});

Download("the cache is $SAM2_CACHE, or the system's folder for such things", () => {
  assert.is(cacheFolder({ SAM2_CACHE: "/x" }, "win32"), "/x");
  assert.is(cacheFolder({ XDG_CACHE_HOME: "/xdg" }, "linux"), join("/xdg", "sam2-ts"));
  assert.match(cacheFolder({}, "linux"), /[\\/]\.cache[\\/]sam2-ts$/);
  assert.match(cacheFolder({}, "darwin"), /[\\/]Library[\\/]Caches[\\/]sam2-ts$/);
  assert.is(cacheFolder({ LOCALAPPDATA: "/local" }, "win32"), join("/local", "sam2-ts"));
});

Download.run();
