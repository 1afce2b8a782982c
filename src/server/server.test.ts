import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Sam2 } from "../engine/sam2.ts";
import { runImageJob, ImageModel } from "../jobs/image_job.ts";
import { decodeImage } from "../io/image.ts";
import { encodeMaskPng } from "../io/masks.ts";
import { encodeRle } from "../io/rle.ts";
import { answer, base64, CLICK, HEIGHT, nanoServer, photo, posted, WIDTH } from "../../tests/server_fixture.ts";

const { server, errors } = await nanoServer({
  limits: { bodyBytes: 200_000, pixels: 40_000, prompts: 3, points: 10, gridPoints: 100, bodySeconds: 1 },
  images: { count: 2 },
});
const sam2 = await Sam2.fromPretrained("nano", { threads: 1, kernels: "portable" });
const model = new ImageModel(sam2);

/** What a job gives, on an engine of its own. */
async function jobOf(request: Parameters<typeof runImageJob>[1], bytes = photo()) {
  const read = () => Promise.reject(new Error("no file"));
  const path = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return runImageJob(model, request, await decodeImage(bytes), { path, where: "job", read });
}

const Segment = suite("POST /segment");

Segment("answers as a job does, for a new image and for a known one, as base64 and as data: address", async () => {
  const want = await jobOf({ prompts: [{ points: [[40, 30]] }] });
  for (const image of [CLICK.image, CLICK.image, `data:image/png;base64,${CLICK.image}`]) {
    const { status, body } = await answer(server, posted("/segment", { ...CLICK, image }));
    assert.is(status, 200, body.error);
    assert.equal(body, want);
  }
  assert.match(await metric("sam2_image_hits_total"), /^2$/);
  assert.match(await metric("sam2_image_misses_total"), /^1$/);
});

Segment("keeps the images that were used last, and encodes anew what it has forgotten", async () => {
  const click = (seed: number) => posted("/segment", { ...CLICK, image: base64(photo(seed)) });
  for (const seed of [1, 2, 1, 3]) assert.is((await answer(server, click(seed))).status, 200);
  assert.is(await metric("sam2_images_known"), "2");
  const before = Number(await metric("sam2_image_misses_total"));
  const { body } = await answer(server, click(1)); // 2 was used before 1
  assert.is(Number(await metric("sam2_image_misses_total")), before);
  assert.equal(body, await jobOf({ prompts: [{ points: [[40, 30]] }] }));
  await answer(server, click(2));
  assert.is(Number(await metric("sam2_image_misses_total")), before + 1);
});

Segment("knows an image by what it called it, and says so when it has forgotten it", async () => {
  const { body } = await answer(server, posted("/segment", CLICK));
  const again = await answer(server, posted("/segment", { ...CLICK, image: body.image.path }));
  assert.equal(again.body, body);
  const unknown = await answer(server, posted("/segment", { ...CLICK, image: `sha256:${"0".repeat(64)}` }));
  assert.is(unknown.status, 404);
  assert.match(unknown.body.error, /send its bytes/);
});

Segment("takes several prompts, boxes, names, masks as pictures and as run lengths", async () => {
  const mask = new Uint8Array(WIDTH * HEIGHT).fill(1, 1000, 3000);
  const rle = encodeRle(mask, WIDTH, HEIGHT);
  const maskImage = `data:image/png;base64,${base64(encodeMaskPng(mask, WIDTH, HEIGHT))}`;
  const box = [10, 10, 60, 50];
  const prompts = [
    { box, name: "cup" },
    { maskImage, box },
    { maskImage: rle, box },
  ];
  const { status, body } = await answer(server, posted("/segment", { id: 7, image: CLICK.image, prompts }));
  assert.is(status, 200, body.error);
  const want = (await jobOf({ prompts: [prompts[0], { maskImage: rle, box }, { maskImage: rle, box }] })) as object;
  assert.equal(body, { id: 7, ...want } as never);
});

for (const [what, status, message, body] of [
  ["no prompt", 422, /segment\.prompts: expected/, { image: CLICK.image }],
  ["an empty list of prompts", 422, /segment\.prompts: expected/, { ...CLICK, prompts: [] }],
  [
    "too many prompts",
    422,
    /prompts: expected at most 3, got 4/,
    { ...CLICK, prompts: Array(4).fill({ box: [1, 1, 9, 9] }) },
  ],
  ["too many points", 422, /at most 10 points, got 11/, { ...CLICK, prompts: [{ points: Array(11).fill([4, 4]) }] }],
  ["a misspelt field of a prompt", 422, /write "box"/, { ...CLICK, prompts: [{ bbox: [1, 1, 9, 9] }] }],
  ["a misspelt field", 422, /"promts"/, { ...CLICK, promts: [] }],
  ["a field of another type", 422, /segment\.image: expected/, { ...CLICK, image: 5 }],
  [
    "a point outside of the image",
    422,
    /segment\.prompts\[0\]\.points\[0\]: expected x in 0…96/,
    { ...CLICK, prompts: [{ points: [[97, 5]] }] },
  ],
  ["no base64", 422, /segment\.image: expected base64/, { ...CLICK, image: "photo.jpg" }],
  ["a cut-off image", 422, /ImageError|image/, { ...CLICK, image: base64(photo().subarray(0, 400)) }],
  ["no image", 422, /an unknown format/, { ...CLICK, image: base64(Uint8Array.of(1, 2, 3)) }],
  ["an empty image", 422, /segment\.image: expected/, { ...CLICK, image: "" }],
  [
    "an image of too many pixels",
    422,
    /at most 40000 pixels, got 300×200/,
    { ...CLICK, image: base64(photo(1, 300, 200)) },
  ],
  [
    "an address, where none is allowed",
    422,
    /none is allowed here, got http:\/\/127\.0\.0\.1\/a/,
    { ...CLICK, image: "http://127.0.0.1/a" },
  ],
  ["a file: address", 422, /none is allowed/, { ...CLICK, image: "file:///etc/passwd" }],
  [
    "the name of a file as mask",
    422,
    /as data:;base64,…, got "\/etc\/passwd"/,
    { ...CLICK, prompts: [{ maskImage: "/etc/passwd" }] },
  ],
  [
    "run lengths of a size that memory does not hold",
    422,
    /96×64 pixels as the image/,
    { ...CLICK, prompts: [{ maskImage: { size: [1e5, 1e5], counts: [1e10] } }] },
  ],
  ["a list", 422, /body: expected a JSON object, got an array of 1/, [CLICK]],
  ["no JSON", 400, /body: expected JSON/, '{"image": '],
  ["nothing", 400, /body: expected JSON/, ""],
  ["JSON nested beyond reason", 422, /body: expected a JSON object/, "[".repeat(5000) + "]".repeat(5000)],
  ["a body that is too large", 413, /body: expected at most 200000 bytes/, { ...CLICK, image: "A".repeat(200_000) }],
] as const) {
  Segment(`${what} is answered with ${status} and what to do`, async () => {
    const found = await answer(server, posted("/segment", body));
    assert.is(found.status, status, found.body.error);
    assert.match(found.body.error, message);
    assert.match(found.body.error, /: expected .+, got .+; /s);
    assert.ok(found.body.type);
  });
}

Segment("a body of another type, or compressed, is refused", async () => {
  const json = { "content-type": "application/json" };
  for (const headers of [
    { "content-type": "text/plain" },
    {},
    { ...json, "content-encoding": "gzip" },
  ] as HeadersInit[]) {
    const { status, body } = await answer(server, posted("/segment", JSON.stringify(CLICK), { headers }));
    assert.is(status, 415, body.error);
  }
});

Segment("a body that is said to be small and is not ends where the limit is", async () => {
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(32));
    },
  });
  const { status } = await answer(server, posted("/segment", "", { body, duplex: "half" } as RequestInit));
  assert.is(status, 413);
  assert.ok(sent < 600_000, `${sent} bytes were taken`);
});

Segment("a body that does not end is given up after its time", async () => {
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"image":')) });
  const { status, body: found } = await answer(server, posted("/segment", "", { body, duplex: "half" } as RequestInit));
  assert.is(status, 408, found.error);
  assert.is(await metric("sam2_body_bytes"), "0");
});

const Everything = suite("POST /everything");

Everything("answers as a job does", async () => {
  const everything = { pointsPerSide: 4, predIouThresh: 0 };
  const { status, body } = await answer(server, posted("/everything", { image: CLICK.image, everything }));
  assert.is(status, 200, body.error);
  assert.equal(body, (await jobOf({ everything })) as never);
});

for (const [what, everything, message] of [
  ["too many points", { pointsPerSide: 11 }, /at most 100, got 121/],
  ["too many crops", { pointsPerSide: 2, cropNLayers: 3 }, /cropNLayers: expected at most 2/],
  ["too many points at once", { pointsPerSide: 2, pointsPerBatch: 1e6 }, /pointsPerBatch: expected at most 256/],
  ["a misspelt option", { pointsPerSid: 2 }, /write "pointsPerSide"/],
  ["an option out of its range", { pointsPerSide: 0 }, /pointsPerSide/],
  ["an output mode", { outputMode: "binary_mask" }, /outputMode/],
] as const) {
  Everything(`${what} is answered with 422`, async () => {
    const { status, body } = await answer(server, posted("/everything", { image: CLICK.image, everything }));
    assert.is(status, 422);
    assert.match(body.error, message);
  });
}

const Others = suite("other routes");

Others("GET / and /health say that it is there, and what it is", async () => {
  for (const path of ["/", "/health"]) {
    const { body } = await answer(server, new Request(`http://localhost${path}`));
    assert.equal(body as object, { status: "UP", model_class: "SAM 2.1 nano" });
  }
});

Others("an unknown path is 404, another method 405 with what is allowed", async () => {
  const unknown = await answer(server, new Request("http://localhost/segments"));
  assert.is(unknown.status, 404);
  assert.match(unknown.body.error, /\/segment, \/everything/);
  const { status, headers } = await answer(server, new Request("http://localhost/segment", { method: "DELETE" }));
  assert.is(status, 405);
  assert.is(headers.get("allow"), "POST");
  assert.is((await answer(server, posted("/health", {}))).headers.get("allow"), "GET, HEAD");
});

Others("/openapi.json describes every route, and its limits", async () => {
  const { body } = await answer(server, new Request("http://localhost/openapi.json"));
  const { paths } = body as unknown as { paths: Record<string, object> };
  const routes = [
    "/",
    "/everything",
    "/health",
    "/metrics",
    "/openapi.json",
    "/predict",
    "/segment",
    "/setup",
    "/webhook",
  ];
  assert.equal(Object.keys(paths).sort(), routes);
  assert.match(JSON.stringify(paths["/segment"]), /"maxItems":3/);
});

Others("/metrics counts requests by route and status, and times of those answered", async () => {
  const text = await metrics();
  assert.match(text, /^sam2_requests_total\{route="\/segment",status="200"\} \d+$/m);
  assert.match(text, /^sam2_requests_total\{route="\/segment",status="413"\} 2$/m);
  assert.match(text, /^sam2_requests_total\{route="other",status="404"\} 1$/m);
  assert.match(text, /^sam2_request_seconds_bucket\{route="\/segment",le="\+Inf"\} \d+$/m);
  for (const line of text.trimEnd().split("\n"))
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^{}]+\})? [\d.e+-]+)$/);
});

Others("nothing of all this was an error of the server", () => {
  assert.equal(errors, []);
});

Others("once it closes, it answers 503; models are given back", async () => {
  await Promise.all([server.close(), sam2.dispose()]);
  const { status, headers } = await answer(server, posted("/segment", CLICK));
  assert.is(status, 503);
  assert.ok(headers.get("retry-after"));
});

async function metrics(): Promise<string> {
  return (await server.fetch(new Request("http://localhost/metrics"))).text();
}

async function metric(name: string): Promise<string> {
  return new RegExp(`^${name} (.+)$`, "m").exec(await metrics())![1];
}

Segment.run();
Everything.run();
Others.run();
