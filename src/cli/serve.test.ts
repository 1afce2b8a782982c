import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CLICK } from "../../tests/server_fixture.ts";
import { enterFolder, sam2 } from "../../tests/cli_fixture.ts";
import { main } from "./cli.ts";
import { Interruption } from "./io.ts";

/** `sam2 serve …` for as long as `use` takes, then SIGTERM; what it printed, and its exit code. */
async function serving(args: readonly string[], env: Record<string, string>, use: (url: string) => Promise<void>) {
  const end = new AbortController();
  const printed = { stdout: "", stderr: "" };
  const hasAddress = withResolvers<void>();
  const stdout = {
    write: (text: string) => {
      printed.stdout += text;
      hasAddress.resolve();
    },
  };
  const stderr = { write: (text: string) => (printed.stderr += text) };
  const command = main(["serve", "--port", "0", "--threads", "1", ...args], {
    stdout,
    stderr,
    env,
    signal: end.signal,
  });
  await Promise.race([hasAddress.promise, command]);
  await use(printed.stdout.trim());
  end.abort(new Interruption("SIGTERM"));
  return { code: await command, ...printed };
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

const Serve = suite("sam2 serve");
const { leave } = enterFolder();

Serve("prints its address as the only line of stdout, answers, and ends in good order", async () => {
  const { code, stdout, stderr } = await serving([], {}, async (url) => {
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/segment`, { method: "POST", headers, body: JSON.stringify(CLICK) });
    assert.is(((await response.json()) as { prompts: unknown[] }).prompts.length, 1);
  });
  assert.is(code, 143);
  assert.is(stdout.split("\n").length, 2);
  assert.match(stderr, /this is nano/);
  assert.match(stderr, /ending: requests under way are answered first\nsam2: ended by SIGTERM\n$/);
});

Serve("takes its token from the environment, its limits from options, and prints JSON if asked to", async () => {
  const { stdout } = await serving(["--json", "--max-pixels", "100"], { SAM2_TOKEN: "abc" }, async (line) => {
    const { url } = JSON.parse(line) as { url: string };
    assert.is((await fetch(`${url}/metrics`)).status, 401);
    const headers = { "content-type": "application/json", authorization: "Bearer abc" };
    const response = await fetch(`${url}/segment`, { method: "POST", headers, body: JSON.stringify(CLICK) });
    assert.match(((await response.json()) as { error: string }).error, /at most 100 pixels/);
  });
  assert.ok(stdout.startsWith("{"));
});

for (const [what, args, code, message] of [
  [
    "another machine's reach without a token",
    ["--host", "0.0.0.0"],
    2,
    /--host: expected a token .*, got 0\.0\.0\.0 without one/,
  ],
  ["an empty token", ["--token", ""], 2, /--token: expected a secret, got an empty one/],
  [
    "an address without a host to fetch from",
    ["--allow-url", "https://"],
    2,
    /--allow-url: expected an http\(s\) address/,
  ],
  ["a Label Studio that is no address", ["--label-studio-url", "localhost:8080"], 2, /--label-studio-url/],
  ["a port that is none", ["--port", "-1"], 2, /--port: expected a whole number/],
  ["a model that does not exist", ["--model", "none.pt"], 1, /none\.pt/],
] as const) {
  Serve(`${what} is refused with exit code ${code}`, async () => {
    const found = await sam2(["serve", ...args]);
    assert.is(found.code, code, found.stderr);
    assert.match(found.stderr.split("\n").at(-2)!, message);
    assert.is(found.stdout, "");
  });
}

Serve("a port that is taken is said", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await sam2(["serve", "--threads", "1", "--port", `${port}`]);
  other.close();
  assert.is(code, 1);
  assert.match(stderr, new RegExp(`listen: expected a free port ${port} of 127\\.0\\.0\\.1, got one that is taken`));
});

Serve.after(leave);
Serve.run();
