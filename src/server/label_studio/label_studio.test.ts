// The protocol, by requests that Label Studio itself has sent: golden/label_studio/requests.json.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodePng } from "../../io/png.ts";
import { decodeBrushRle, encodeBrushRle } from "../../io/formats/brush_rle.ts";
import { decodeRle } from "../../io/rle.ts";
import { testWithFfmpeg } from "../../../tests/ffmpeg.ts";
import { answer, base64, nanoServer, posted } from "../../../tests/server_fixture.ts";
import { type Keyframe, sequenceOf } from "./boxes.ts";
import { parseLabelling } from "./labelling.ts";
import type { TaskPrediction } from "./predict.ts";

const golden = (name: string) => {
  return JSON.parse(readFileSync(new URL(`../../../golden/label_studio/${name}`, import.meta.url), "utf8"));
};
const requests = golden("requests.json");
const [WIDTH, HEIGHT] = [160, 120];
const photo = drawn(WIDTH, HEIGHT, [[60, 30, 50, 50, [250, 30, 30]]]);

/** What Label Studio was asked for, and with what. */
const asked: { url: string; authorization?: string }[] = [];
const files = new Map<string, Uint8Array>([["http://ls.example:8080/data/upload/2/40141df9-a.png", photo]]);
const labelStudio = async (url: string, init: { headers?: Record<string, string>; body?: string } = {}) => {
  asked.push({ url, authorization: init.headers?.authorization });
  if (url.endsWith("/api/token/refresh")) {
    const { refresh } = JSON.parse(init.body!);
    const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 300 })).toString("base64url");
    return Response.json({ access: `short.${claims}.of-${refresh}` });
  }
  const file = files.get(url);
  return file ? new Response(file as Uint8Array<ArrayBuffer>) : new Response("no", { status: 404 });
};
const { server, errors } = await nanoServer({
  labelStudio: { url: "http://ls.example:8080/", token: "key" },
  fetch: labelStudio as typeof fetch,
  limits: { frames: 16 },
});

async function predict(body: unknown): Promise<{ status: number; error: string; results: TaskPrediction[] }> {
  const { status, body: found } = await answer(server, posted("/predict", body));
  return { status, ...(found as unknown as { error: string; results: TaskPrediction[] }) };
}

/** The recorded request with other regions, and the image in the task. */
function drawnOn(result: readonly unknown[], image: unknown = `data:image/png;base64,${base64(photo)}`) {
  const task = { ...requests.image.tasks[0], data: { image } };
  return { ...requests.image, tasks: [task], params: { context: { result } } };
}

const click = (x: number, y: number, label: string, positive = true, id = `${x}-${y}`) => ({
  id,
  type: "keypointlabels",
  to_name: "image",
  is_positive: positive,
  value: { x: (100 * x) / WIDTH, y: (100 * y) / HEIGHT, width: 0.5, keypointlabels: [label] },
});
const rectangle = (x: number, y: number, width: number, height: number, label: string, rotation = 0) => ({
  id: `r${x}-${y}`,
  type: "rectanglelabels",
  to_name: "image",
  value: {
    x: (100 * x) / WIDTH,
    y: (100 * y) / HEIGHT,
    width: (100 * width) / WIDTH,
    height: (100 * height) / HEIGHT,
    rotation,
    rectanglelabels: [label],
  },
});

/** The best masks for prompts by /segment. */
async function segmented(prompts: object[]): Promise<Uint8Array[]> {
  const { body } = await answer(server, posted("/segment", { image: base64(photo), prompts }));
  return body.prompts.map(({ masks }) => decodeRle(masks.reduce((a, b) => (b.iou > a.iou ? b : a)).rle));
}

function masksOf(results: readonly TaskPrediction[]): Uint8Array[] {
  return results[0].result.map(({ value }) => decodeBrushRle((value as { rle: number[] }).rle, WIDTH, HEIGHT));
}

const Masks = suite("POST /predict on an image");

Masks("a recorded request: the image is fetched with the token, and each object's best mask comes back", async () => {
  const { status, error, results } = await predict(requests.image);
  assert.is(status, 200, error);
  assert.equal(asked, [{ url: [...files.keys()][0], authorization: "Token key" }]);
  assert.is(results.length, 1);
  assert.is(results[0].model_version, "SAM 2.1 nano");
  const [cup, plate] = results[0].result;
  assert.equal((cup.value as { brushlabels: string[] }).brushlabels, ["Cup & saucer"]);
  assert.equal((plate.value as { brushlabels: string[] }).brushlabels, ["Plate"]);
  for (const region of [cup, plate]) {
    const { from_name, to_name, type, original_width, original_height, image_rotation, value } = region;
    assert.equal([from_name, to_name, type, image_rotation], ["tag", "image", "brushlabels", 0]);
    assert.equal([original_width, original_height, (value as { format: string }).format], [WIDTH, HEIGHT, "rle"]);
  }
  assert.ok(Math.abs(results[0].score - ((cup.score as number) + (plate.score as number)) / 2) < 1e-9);
  const want = await segmented([{ points: [[80, 54]] }, { box: [56, 26.4, 113.6, 82.8] }]);
  assert.equal(masksOf(results).map(hex), want.map(hex));
});

Masks("tasks that nobody has drawn on get an empty answer each", async () => {
  const { results } = await predict({ ...requests.tasks, tasks: [...requests.tasks.tasks, { id: 9, data: {} }] });
  assert.equal(results, Array(2).fill({ result: [], score: 0, model_version: "SAM 2.1 nano" }));
});

Masks("what is said of regions and between them is passed over; without a drawing no interface is needed", async () => {
  const said = [
    { type: "relation", from_id: "a", to_id: "b", direction: "right" },
    { type: "rating", to_name: "image", value: { rating: 3 } },
  ];
  const { results, error } = await predict(drawnOn([click(80, 54, "Plate"), ...said]));
  assert.ok(results, error);
  assert.equal(masksOf(results).map(hex), (await segmented([{ points: [[80, 54]] }])).map(hex));
  for (const body of [{ tasks: [{ data: {} }] }, { ...drawnOn([]), label_config: null }]) {
    assert.equal((await predict(body)).results, [{ result: [], score: 0, model_version: "SAM 2.1 nano" }]);
  }
});

Masks("clicks refine the box of their label that they lie in; others of a label are one object", async () => {
  const { results, error } = await predict(
    drawnOn([
      rectangle(50, 20, 70, 70, "Plate"),
      click(80, 54, "Plate"),
      click(65, 35, "Plate", false),
      click(80, 54, "Cup & saucer"),
      click(20, 100, "Cup & saucer", false),
    ]),
  );
  assert.ok(results, error);
  const want = await segmented([
    {
      box: [50, 20, 120, 90],
      points: [
        [80, 54],
        [65, 35],
      ],
      labels: [1, 0],
    },
    {
      points: [
        [80, 54],
        [20, 100],
      ],
      labels: [1, 0],
    },
  ]);
  assert.equal(masksOf(results).map(hex), want.map(hex));
});

Masks("a brush is a mask, a turned rectangle the box around it, two rectangles are two objects", async () => {
  const mask = new Uint8Array(WIDTH * HEIGHT).map((_, i) => Number(Math.hypot((i % WIDTH) - 85, i / WIDTH - 55) < 20));
  const brush = {
    id: "b",
    type: "brushlabels",
    to_name: "image",
    value: { format: "rle", rle: encodeBrushRle(mask, WIDTH, HEIGHT), brushlabels: ["Plate"] },
  };
  const { results, error } = await predict(drawnOn([brush]));
  assert.ok(results, error);
  const png = encodePng({ width: WIDTH, height: HEIGHT, channels: 1, data: mask.map((v) => 255 * v) });
  const maskImage = `data:image/png;base64,${base64(png)}`;
  assert.equal(masksOf(results).map(hex), (await segmented([{ maskImage }])).map(hex));

  const two = await predict(drawnOn([rectangle(110, 30, 50, 50, "Plate", 90), rectangle(10, 10, 40, 40, "Plate")]));
  const boxes = [{ box: [60, 30, 110, 80] }, { box: [10, 10, 50, 50] }];
  assert.equal(masksOf(two.results).map(hex), (await segmented(boxes)).map(hex));
});

Masks("a label that the brush does not have becomes its first", async () => {
  const { results } = await predict(drawnOn([click(80, 54, "Spoon")]));
  assert.equal((results[0].result[0].value as { brushlabels: string[] }).brushlabels, ["Cup & saucer"]);
});

for (const [what, body, message] of [
  [
    "clicks beside the object alone",
    drawnOn([click(5, 5, "Plate", false)]),
    /a click on the object, got clicks beside it/,
  ],
  [
    "a region of another kind",
    drawnOn([{ type: "ellipselabels", to_name: "image", value: {} }]),
    /keypointlabels, rectanglelabels or brushlabels, got "ellipselabels"/,
  ],
  [
    "a turned image",
    drawnOn([{ ...click(9, 9, "Plate"), image_rotation: 90 }]),
    /an image that is not turned, got 90°/,
  ],
  [
    "a click without a place",
    drawnOn([{ type: "keypointlabels", to_name: "image", value: { x: 5 } }]),
    /result\[0\]\.value\.y: expected a percentage/,
  ],
  [
    "a brush of another image",
    drawnOn([{ type: "brushlabels", to_name: "image", value: { rle: encodeBrushRle(new Uint8Array(6), 2, 3) } }]),
    /160×120 pixels of 4 bytes/,
  ],
  ["a task without the image", drawnOn([click(9, 9, "Plate")], null), /tasks\[0\]\.data\.image: expected an address/],
  [
    "an address that is not allowed",
    drawnOn([click(9, 9, "Plate")], "http://127.0.0.1:6379/"),
    /expected an address below/,
  ],
  ["a file of this machine", drawnOn([click(9, 9, "Plate")], "file:///etc/passwd"), /expected an address below/],
  [
    "Label Studio's API in the place of an image",
    drawnOn([click(9, 9, "Plate")], "http://ls.example:8080/api/users"),
    /expected an address below/,
  ],
  [
    "an unknown object",
    drawnOn([{ ...click(9, 9, "Plate"), to_name: "photo" }]),
    /<Image name="photo" value="\$…">, got none/,
  ],
  [
    "an interface without a brush",
    { ...drawnOn([click(9, 9, "a")]), label_config: '<View><Image name="image" value="$image"/></View>' },
    /a <BrushLabels> with toName="image"/,
  ],
  [
    "an interface that is no XML",
    { ...drawnOn([click(9, 9, "a")]), label_config: "<View><Image>" },
    /label_config: expected well-formed XML/,
  ],
  [
    "two tasks and one drawing",
    { ...drawnOn([click(9, 9, "a")]), tasks: [{ data: {} }, { data: {} }] },
    /the task that is drawn on, got 2/,
  ],
] as const) {
  Masks(`${what} is answered with 422 and what to do`, async () => {
    const { status, error } = await predict(body);
    assert.is(status, 422, error);
    assert.match(error, message);
  });
}

Masks("files in cloud storage are asked of Label Studio, those of earlier exports by their whole path", async () => {
  files.set("http://ls.example:8080/tasks/2/presign/?fileuri=czM6Ly9iL2EucG5n", photo);
  files.set("http://ls.example:8080/data/local-files/?d=a.png", photo);
  for (const image of ["s3://b/a.png", "/data/local-files/?d=a.png", "upload/2/40141df9-a.png"]) {
    const { status, error } = await predict(drawnOn([click(80, 54, "Plate")], image));
    assert.is(status, 200, error);
  }
});

Masks("a personal token is exchanged for a short-lived one, once", async () => {
  const { server } = await nanoServer({
    labelStudio: { url: "http://ls.example:8080", token: "a.b.c" },
    fetch: labelStudio as typeof fetch,
  });
  asked.length = 0;
  for (let i = 0; i < 2; i++) assert.is((await answer(server, posted("/predict", requests.image))).status, 200);
  assert.equal(
    asked.map(({ url }) => url.slice(22)),
    ["/api/token/refresh", "/data/upload/2/40141df9-a.png", "/data/upload/2/40141df9-a.png"],
  );
  assert.match(asked[1].authorization!, /^Bearer short\..+\.of-a\.b\.c$/);
  await server.close();
});

Masks("without an account there, its files cannot be had, and that is said", async () => {
  const { server } = await nanoServer();
  const { status, body } = await answer(server, posted("/predict", requests.image));
  assert.is(status, 422);
  assert.match(body.error, /start the server with --label-studio-url and --label-studio-token/);
  await server.close();
});

Masks("/setup and /webhook answer as Label Studio expects", async () => {
  const schema = requests.image.label_config;
  assert.equal((await answer(server, posted("/setup", { project: "2.1", schema }))).body as object, {
    model_version: "SAM 2.1 nano",
  });
  assert.is((await answer(server, posted("/webhook", { action: "ANNOTATION_CREATED" }))).status, 200);
});

const Boxes = suite("POST /predict on a video");

testWithFfmpeg(
  Boxes,
  "a recorded request: two objects are followed, the one that leaves ends where it was seen last",
  async () => {
    files.set("http://ls.example:8080/data/upload/3/54c9e926-v.mp4", video(20));
    const { status, error, results } = await predict(requests.video);
    assert.is(status, 200, error);
    const [car, dog] = results[0].result.map(({ value }) => (value as { sequence: Keyframe[] }).sequence);
    assert.equal(
      results[0].result.map(({ id, type, from_name }) => [id, type, from_name]),
      [
        ["v1", "videorectangle", "box"],
        ["v2", "videorectangle", "box"],
      ],
    );
    assert.equal(
      car.map(({ frame }) => frame),
      Array.from({ length: 16 }, (_, i) => i + 1),
    ); // the limit
    for (const { frame, x, y, width, height, time } of car) {
      for (const [got, want] of [
        [x * 1.28, 10 + 4 * (frame - 1)],
        [y * 0.96, 30],
        [width * 1.28, 24],
        [height * 0.96, 24],
      ]) {
        assert.ok(Math.abs(got - want) <= 2, `frame ${frame}: ${got} for ${want}`);
      }
      assert.ok(Math.abs(time! - frame / 10) < 1e-9);
    }
    assert.ok(car.slice(0, -1).every(({ enabled }) => enabled) && car.at(-1)!.enabled === false);
    assert.equal([dog.length, dog.at(-1)!.enabled], [12, false]);
  },
);

testWithFfmpeg(Boxes, "a frame count of another rate is refused, with what to write into the interface", async () => {
  files.set("http://ls.example:8080/data/upload/3/54c9e926-v.mp4", video(6));
  const { status, error } = await predict(requests.video);
  assert.is(status, 422, error);
  assert.match(error, /framesCount: expected 6, the frames of the video, got 20; give <Video> the frameRate/);
});

Boxes("a playlist in the place of a video is not opened", async () => {
  files.set(
    "http://ls.example:8080/data/upload/3/54c9e926-v.mp4",
    new TextEncoder().encode("#EXTM3U\nfile:///etc/passwd\n"),
  );
  const { status, error } = await predict(requests.video);
  assert.is(status, 422);
  assert.match(error, /a video as MP4, MOV, WebM/);
});

Boxes("sequences are what the SDK reads as the frames on which the object was seen", () => {
  for (const { name, sequence, seen } of golden("keyframes.json") as {
    name: string;
    sequence: [number, boolean][];
    seen: number[];
  }[]) {
    const box = (frame: number): Keyframe => ({
      frame,
      enabled: true,
      rotation: 0,
      x: frame,
      y: 2,
      width: 3,
      height: 4,
    });
    const [first, ...others] = seen;
    const found = sequenceOf([box(first)], others.map(box), [3, 12]);
    assert.equal(
      found.map(({ frame, enabled }) => [frame, enabled]),
      sequence,
      name,
    );
  }
});

Boxes("what somebody has drawn stays, and after a box of theirs that ends the object it is not to be seen", () => {
  const box = (frame: number, enabled = true): Keyframe => ({
    frame,
    enabled,
    rotation: 0,
    x: 1,
    y: 2,
    width: 3,
    height: 4,
  });
  const found = sequenceOf(
    [box(1), box(3, false), box(6)],
    [2, 3, 4, 5, 6, 7].map((frame) => box(frame)),
    [1, 7],
  );
  assert.equal(
    found.map(({ frame, enabled }) => [frame, enabled]),
    [
      [1, true],
      [2, true],
      [3, false],
      [6, true],
      [7, false],
    ],
  );
});

const Labelling = suite("labelling interface");

Labelling("tags, names and labels are read as XML has them", () => {
  const { controls, labelled } = parseLabelling(`<?xml version="1.0"?><!-- <Image name="no" value="$no"/> -->
    <View style="a > b"><Header value="Cut &lt;out&gt;"/><Image value='$photo' name="i"/>
    <BrushLabels toName="i,j" name="b"><Label alias="cup" value="A cup"/><View><Label value="R&amp;D"/></View></BrushLabels>
    <Choices name="c" toName="i"><Choice value="yes"/></Choices></View>`);
  assert.equal(labelled, [{ tag: "Image", name: "i", field: "photo" }]);
  assert.equal(controls, [
    { tag: "BrushLabels", name: "b", toName: ["i", "j"], labels: ["cup", "R&D"] },
    { tag: "Choices", name: "c", toName: ["i"], labels: [] },
  ]);
});

Labelling("an entity that would grow without end is none", () => {
  const bomb = '<!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><View name="&b;"/>';
  assert.throws(() => parseLabelling(bomb), /label_config: expected well-formed XML/);
});

Labelling("nothing of all this was an error of the server", async () => {
  assert.equal(errors, []);
  await server.close();
});

Masks.run();
Boxes.run();
Labelling.run();

function hex(mask: Uint8Array): string {
  return Buffer.from(mask).toString("hex");
}

type Bar = [x: number, y: number, width: number, height: number, rgb: [number, number, number]];

/** A picture of bars on a grey that gets bluer to the right. */
function drawn(width: number, height: number, bars: Bar[]): Uint8Array {
  const data = new Uint8Array(width * height * 3).map((_, i) =>
    i % 3 === 2 ? 60 + (Math.floor(i / 3) % width) / 2 : 60,
  );
  for (const [x0, y0, w, h, rgb] of bars) {
    for (let y = y0; y < y0 + h; y++) for (let x = x0; x < x0 + w; x++) data.set(rgb, 3 * (y * width + x));
  }
  return encodePng({ width, height, channels: 3, data });
}

/** Two bars that move; the green one is gone from frame 12 on. */
function video(frames: number): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sam2-label-studio-"));
  try {
    for (let f = 0; f < frames; f++) {
      const bars: Bar[] = [[10 + 4 * f, 30, 24, 24, [250, 40, 30]]];
      if (f < 12) bars.push([90 - 3 * f, 64, 20, 20, [30, 220, 60]]);
      writeFileSync(join(folder, `${f}.png`), drawn(128, 96, bars));
    }
    const file = join(folder, "video.mp4");
    const args = [
      "-v",
      "error",
      "-framerate",
      "10",
      "-i",
      join(folder, "%d.png"),
      "-pix_fmt",
      "yuv420p",
      "-crf",
      "12",
      file,
    ];
    const { status, stderr } = spawnSync("ffmpeg", args, { encoding: "utf8" });
    assert.is(status, 0, stderr);
    return new Uint8Array(readFileSync(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
