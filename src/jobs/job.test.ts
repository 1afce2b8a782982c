import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError, PromptError, Sam2Error, UsageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { isAccident } from "./accident.ts";
import { parseJob } from "./job.ts";
import { nodeSource } from "./node_source.ts";
import { canonical, prepare, type Source } from "./task.ts";

setPlatform(nodePlatform);

const MODEL = { name: "nano", version: "2.1", imageSize: 256, digest: "d" };
const PROMPTS = [{ points: [[1, 2]] }];

/** Files by name. */
function sourceOf(files: Record<string, string>): Source {
  return {
    locate: (name) => `/somewhere/${name}`,
    read: async (_, name) => new TextEncoder().encode(files[name]),
    digestVideo: async (_, name) => files[name],
  };
}

const Jobs = suite("jobs");

Jobs("of three kinds are taken, with what stands in them", () => {
  assert.equal(parseJob({ id: 17, image: "a.jpg", prompts: PROMPTS[0] }, "j"), {
    id: "17",
    image: "a.jpg",
    prompts: PROMPTS,
  });
  assert.equal(parseJob({ image: "a.jpg", everything: { pointsPerSide: 8 }, video: null }, "j"), {
    image: "a.jpg",
    everything: { pointsPerSide: 8 },
  });
  const prompts = [{ object: 2, frame: 3, box: [1, 2, 3, 4] }];
  assert.equal(parseJob({ video: "clip.mp4", prompts }, "j"), { video: "clip.mp4", prompts });
});

for (const [what, value, message] of [
  ["a misspelt field", { imag: "a.jpg", prompts: PROMPTS }, /^j:3: .*got "imag"; write "image"$/],
  ["a misspelt field of a prompt", { image: "a", prompts: [{ coords: [[1, 2]] }] }, /prompts\[0\].*write "points"/],
  ["a misspelt option", { image: "a", everything: { pointPerSide: 8 } }, /everything: .*write "pointsPerSide"/],
  ["another output of masks", { image: "a", everything: { outputMode: "binary_mask" } }, /got "outputMode"/],
  ["an option of another type", { image: "a", everything: { useM2m: "yes" } }, /useM2m: expected true or false/],
  ["an option out of its range", { image: "a", everything: { pointsPerSide: 0 } }, /pointsPerSide: .* 1…1024/],
  ["neither image nor video", { prompts: PROMPTS }, /"image" or "video", got neither/],
  ["both", { image: "a", video: "b", prompts: PROMPTS }, /"image" or "video", got both/],
  ["nothing to do", { image: "a" }, /"prompts" or "everything", got neither/],
  ["everything of a video", { video: "a", everything: {} }, /"prompts" for a video/],
  ["a list", [PROMPTS], /an object, got \[/],
  ["a path that is none", { image: 7, prompts: PROMPTS }, /j:3\.image: expected a path, got 7/],
] as const) {
  Jobs(`${what} is refused by name`, () => {
    assert.throws(
      () => parseJob(value, "j:3"),
      (error: Error) => (error instanceof PromptError || error instanceof UsageError) && message.test(error.message),
    );
  });
}

Jobs("ids that are no name of a file, or that of a file of the batch itself, are refused", () => {
  for (const id of [
    "../up",
    "a/b",
    "C:x",
    "",
    ".hidden",
    " a",
    "a ",
    "Batch",
    "failed",
    "a\nb",
    "x".repeat(201),
    1.5,
    {},
  ]) {
    assert.throws(
      () => parseJob({ id, image: "a", prompts: PROMPTS }, "j"),
      /j\.id: expected a name for a file/,
      `${id}`,
    );
  }
  for (const id of ["a b", "Köln-1", "a.b", "_"]) {
    assert.is(parseJob({ id, image: "a", prompts: PROMPTS }, "j").id, id);
  }
});

Jobs("have the same key for the same bytes and request, whatever the files are called", async () => {
  const source = sourceOf({ "a.jpg": "same", "b.jpg": "same", "c.jpg": "other", "m.png": "mask", "n.png": "mask" });
  const keyOf = async (value: object, model = MODEL) => (await prepare(parseJob(value, "j"), "j", model, source)).key;
  const mask = { box: [1, 2, 3, 4], maskImage: "m.png" };
  const key = await keyOf({ image: "a.jpg", prompts: [mask] });
  assert.is(await keyOf({ prompts: [{ maskImage: "n.png", box: [1, 2, 3, 4], labels: null }], image: "b.jpg" }), key);
  assert.is(await keyOf({ id: "named", image: "a.jpg", prompts: [mask] }), key);
  const others = [
    await keyOf({ image: "c.jpg", prompts: [mask] }),
    await keyOf({ image: "a.jpg", prompts: [{ ...mask, box: [1, 2, 3, 5] }] }),
    await keyOf({ image: "a.jpg", prompts: [{ ...mask, maskImage: "c.jpg" }] }),
    await keyOf({ image: "a.jpg", everything: {} }),
    await keyOf({ video: "a.jpg", prompts: [{ box: [1, 2, 3, 4] }] }),
    await keyOf({ image: "a.jpg", prompts: [mask] }, { ...MODEL, digest: "e" }),
  ];
  assert.is(new Set([key, ...others]).size, 7);
  assert.is(canonical({ b: [{ d: 1, c: 2 }], a: 0 }), '{"a":0,"b":[{"c":2,"d":1}]}');
});

Jobs("what cannot be read is no accident; a busy system, a server or a network is", () => {
  const caused = (code: string) => new Sam2Error("a", "b", "c", "d", { cause: Object.assign(new Error(), { code }) });
  for (const error of [caused("ENOENT"), caused("EACCES"), new ImageError("a", "b", "no picture", "d")]) {
    assert.is(isAccident(error), false, error.message);
  }
  const status = (code: number) =>
    new ImageError("http://a", "an image", `HTTP ${code}`, "check the address", { httpStatus: code });
  const fetchFailed = new ImageError("http://a", "an image", "no answer", "d", {
    cause: new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNREFUSED" }) }),
  });
  for (const error of [
    caused("EMFILE"),
    caused("EIO"),
    status(503),
    status(429),
    fetchFailed,
    new RangeError("memory"),
  ]) {
    assert.is(isAccident(error), true, error.message);
  }
  assert.is(isAccident(status(404)), false);
});

Jobs("an address is an accident by how its server answers", async () => {
  const { read } = nodeSource(".");
  const errorOf = (url: string) =>
    read(url, url, "an image").then(
      () => undefined,
      (error: unknown) => error,
    );
  const server = createServer(({ url }, response) => response.writeHead(Number(url!.slice(1))).end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}`;
  try {
    for (const [status, isTried] of [
      [404, false],
      [503, true],
    ] as const) {
      assert.is(isAccident(await errorOf(`${address}/${status}`)), isTried, `${status}`);
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
  const refused = await errorOf(`${address}/200`);
  assert.is(isAccident(refused), true, `${refused}`);
});

Jobs.run();
