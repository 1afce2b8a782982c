// What is taken home, read back: without a browser.
import { unzipSync } from "fflate";
import { decodeRle, encodeRle, type Rle, readCocoSegmentation, readMaskFile } from "sam2-ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Document, EMPTY, type Found, type Source, type StudioObject } from "../state/document.ts";
import { readCoco } from "./coco_in.ts";
import { type KindName, KINDS, kindsOf, lackOf } from "./kinds.ts";
import { type Maker, MAKERS } from "./maker.ts";
import { safeName, stemOf, unique } from "./names.ts";
import { readProject, writeProject } from "./project.ts";
import type { Taken } from "./save.ts";

const [W, H] = [23, 17];

const PHOTO: Source = { id: "a", kind: "photo", name: "cat & dog.jpg", width: W, height: H, frames: 1, isDrawn: false };
const VIDEO: Source = { ...PHOTO, id: "b", kind: "video", name: "walk.mp4", frames: 5, framesPerSecond: 10 };

/** A rectangle with a hole. */
function ring(left: number, top: number, side: number): Uint8Array {
  const mask = new Uint8Array(W * H);
  for (let y = top; y < Math.min(H, top + side); y++) {
    for (let x = left; x < Math.min(W, left + side); x++) {
      const isHole = x === left + 2 && y === top + 2;
      if (!isHole) mask[y * W + x] = 1;
    }
  }
  return mask;
}

const rle = (mask: Uint8Array): Rle => encodeRle(mask, W, H);

function found(mask: Uint8Array, by: Found["by"] = "prompt", score = 3.5): Found {
  return { by, of: "", masks: [rle(mask)], scores: [score], choice: 0 };
}

function object(id: number, name: string, on: StudioObject["on"], more: Partial<StudioObject> = {}): StudioObject {
  return { id, name, colour: id - 1, visible: true, locked: false, on, ...more };
}

const CAT = ring(1, 1, 8);
const DOG = ring(6, 4, 9);

/** The dog is on top; a third one is hidden. */
const photo: Document = {
  ...EMPTY,
  source: PHOTO,
  nextId: 4,
  objects: [
    object(2, "dog <b>", { 0: { found: found(DOG) } }),
    object(1, "cat", {
      0: { found: found(CAT), erased: rle(ring(1, 1, 3)), prompt: { clicks: [{ x: 4, y: 5, label: 1 }] } },
    }),
    object(3, "hidden", { 0: { found: found(ring(10, 1, 5)) } }, { visible: false }),
  ],
};

/** The cat as it is seen: without what was erased. */
const CAT_SEEN = CAT.map((value, i) => (ring(1, 1, 3)[i] ? 0 : value));

const video: Document = {
  ...EMPTY,
  source: VIDEO,
  nextId: 3,
  frame: 1,
  objects: [
    object(2, "dog", {
      1: { found: found(DOG, "track", -0.5) },
      3: { found: found(new Uint8Array(W * H), "track", -8) },
    }),
    object(1, "Object 1", {
      0: { found: found(CAT) },
      1: { found: found(CAT, "track") },
      3: { found: found(CAT, "file") },
    }),
  ],
};

async function made(kind: KindName, doc: Document, names?: readonly string[]): Promise<Taken> {
  const maker: Maker = MAKERS[kind]!({ kind, doc, names, files: [new File(["bytes"], doc.source!.name)] });
  for (const frame of maker.frames) await maker.add({ frame, time: frame / 10, duration: 0.1 });
  return maker.end();
}

async function unzipped({ blob }: Taken): Promise<Record<string, Uint8Array>> {
  return unzipSync(new Uint8Array(await blob.arrayBuffer()));
}

async function labels(png: Uint8Array): Promise<number[]> {
  return [...(await readMaskFile(png, "png")).labels];
}

const Home = suite("studio: taking home");

Home("masks of several objects are a ZIP of PNGs, black and white, without what is hidden", async () => {
  const taken = await made("masks", photo);
  assert.is(taken.name, "cat & dog masks.zip");
  const files = await unzipped(taken);
  assert.equal(Object.keys(files).sort(), ["cat.png", "dog _b_.png"]);
  assert.equal(await labels(files["cat.png"]), [...CAT_SEEN]);
  assert.equal(await labels(files["dog _b_.png"]), [...DOG]);
});

Home("the mask of one object is a PNG by itself", async () => {
  const taken = await made("masks", { ...photo, objects: photo.objects.slice(0, 1) });
  assert.is(taken.name, "cat & dog dog _b_ mask.png");
  assert.equal(await labels(new Uint8Array(await taken.blob.arrayBuffer())), [...DOG]);
});

Home("SVG has a group an object with its name and colour, the first on top, holes cut out", async () => {
  const text = await (await made("svg", photo)).blob.text();
  const groups = [
    ...text.matchAll(/<g id="object-(\d)" fill="(#\w+)" fill-rule="evenodd">\s*<title>(.*)<\/title>\s*<path d="(.*)"/g),
  ];
  assert.equal(
    groups.map(([, id, fill, name]) => [id, fill, name]),
    [
      ["1", "#56b4e9", "cat"],
      ["2", "#e69f00", "dog &lt;b>"],
    ],
  );
  for (const [[, , , , path], mask] of [
    [groups[0], CAT_SEEN],
    [groups[1], DOG],
  ] as const) {
    assert.equal(filled(path), [...mask]);
  }
});

/** Pixels whose centres lie inside by the rule of even and odd. */
function filled(path: string): number[] {
  const edges: [x: number, from: number, to: number][] = [];
  for (const ring of path.split("z").filter(Boolean)) {
    let [x, y] = ring
      .match(/^M(\d+) (\d+)/)!
      .slice(1)
      .map(Number);
    const [x0, y0] = [x, y];
    for (const [, way, by] of ring.matchAll(/([hv])(-?\d+)/g)) {
      if (way === "h") x += Number(by);
      else {
        edges.push([x, y, y + Number(by)]);
        y += Number(by);
      }
    }
    if (x === x0) edges.push([x, y, y0]);
  }
  return Array.from({ length: W * H }, (_, i) => {
    const [cx, cy] = [(i % W) + 0.5, Math.floor(i / W) + 0.5];
    return edges.filter(([x, a, b]) => x < cx && Math.min(a, b) < cy && cy < Math.max(a, b)).length % 2;
  });
}

Home("COCO of a photo, read back, has the pixels, and the names as categories", async () => {
  const taken = await made("coco", photo);
  assert.is(taken.name, "cat & dog.coco.json");
  const coco = JSON.parse(await taken.blob.text());
  assert.is(coco.images[0].file_name, "cat & dog.jpg");
  assert.equal(
    coco.categories.map(({ name }: { name: string }) => name),
    ["cat", "dog <b>"],
  );
  const masks = coco.annotations.map(({ segmentation }: { segmentation: unknown }) => [
    ...readCocoSegmentation(segmentation, W, H),
  ]);
  assert.equal(masks, [[...CAT_SEEN], [...DOG]]);
});

Home(
  "COCO that was taken home comes in again as the same objects: of a photo, and of a video frame by frame",
  async () => {
    const text = await (await made("coco", photo)).blob.text();
    const { objects, without } = readCoco(text, "a.json", PHOTO, undefined, 0);
    assert.is(without, 0);
    assert.equal(
      objects.map(({ name, on }) => [name, on[0].found!.masks[0]]),
      [
        ["cat", rle(CAT_SEEN)],
        ["dog <b>", rle(DOG)],
      ],
    );

    const film = await (await made("coco", video)).blob.text();
    const tracks = readCoco(film, "a.json", VIDEO, undefined, 0).objects;
    assert.equal(
      tracks.map(({ name, on }) => [name, Object.keys(on)]),
      [
        ["Object 1", ["0", "1", "3"]],
        ["dog", ["1"]],
      ],
    );
    assert.equal(tracks[1].on[1].found!.masks[0], rle(DOG));
  },
);

Home("COCO of others is matched by name, else by size, and what does not fit is refused in a sentence", () => {
  const square = [[2, 3, 8, 3, 8, 9, 2, 9]];
  const image = { id: 7, file_name: "val/cat & dog.jpg", width: W, height: H };
  const other = { id: 8, file_name: "other.jpg", width: W, height: H };
  const read = (images: object[], annotations: object[]) =>
    readCoco(JSON.stringify({ images, annotations }), "a.json", PHOTO, undefined, 0);
  const annotations = [
    { image_id: 7, category_id: 1, segmentation: square },
    { image_id: 8, category_id: 1, segmentation: square },
    { image_id: 7, category_id: 1, segmentation: [] },
  ];
  const { objects, without } = read([image, other], annotations);
  assert.is(objects.length, 1);
  assert.is(without, 1);
  const mask = decodeRle(objects[0].on[0].found!.masks[0]);
  assert.is(
    mask.reduce((sum, value) => sum + value),
    36,
  );
  assert.is(mask[3 * W + 2], 1);
  assert.is(read([{ ...image, file_name: "renamed.jpg" }], annotations).objects.length, 1);
  assert.throws(() => read([{ ...image, width: 99 }], annotations), /a.json has cat & dog.jpg with 99 by 17 pixels/);
  assert.throws(() => read([{ ...other, width: 99 }], annotations), /no picture that is named cat & dog.jpg/);
  assert.throws(() => read([other, { ...other, id: 9 }], annotations), /2 pictures of 23 by 17 pixels/);
  assert.throws(() => read([image], []), /no mask for cat & dog.jpg/);
  assert.throws(() => readCoco("[1,2", "a.json", PHOTO, undefined, 0), /damaged/);
  assert.throws(() => readCoco("{}", "a.json", PHOTO, undefined, 0), /no COCO file/);
  const rle = { size: [H, W + 1], counts: [H * (W + 1)] };
  assert.throws(() => read([image], [{ image_id: 7, segmentation: rle }]), /annotation 1/);
});

Home("YOLO and LabelMe have a file beside the photo", async () => {
  const yolo = await unzipped(await made("yolo", photo));
  assert.equal(Object.keys(yolo).sort(), ["cat & dog.txt", "classes.txt"]);
  assert.is(new TextDecoder().decode(yolo["classes.txt"]), "cat\ndog <b>\n");
  const labelme = await made("labelme", photo);
  assert.is(labelme.name, "cat & dog.json");
  const { shapes, imagePath } = JSON.parse(await labelme.blob.text());
  assert.is(imagePath, "cat & dog.jpg");
  assert.equal(
    shapes.map(({ label }: { label: string }) => label),
    ["cat", "dog <b>"],
  );
});

Home("a video's masks are a picture a frame, ids in DAVIS' colours, the first object on top", async () => {
  const files = await unzipped(await made("davis", video));
  assert.equal(Object.keys(files), ["00000.png", "00001.png", "00003.png"]);
  assert.equal(await labels(files["00001.png"]), [...CAT.map((value, i) => (DOG[i] ? 2 : value))]);
  const named = await unzipped(await made("davis", video, ["a.jpg", "b.jpg", "c.jpg", "d.x.jpg", "e.jpg"]));
  assert.equal(Object.keys(named), ["a.png", "b.png", "d.x.png"]);
  const many = { ...video, objects: [{ ...video.objects[0], id: 256 }] };
  assert.throws(() => MAKERS.davis!({ kind: "davis", doc: many, files: [] }), /end at object 255/);
});

Home("or a folder an object, by its number and name", async () => {
  const files = await unzipped(await made("folders", video));
  assert.equal(Object.keys(files).sort(), [
    "1/00000.png",
    "1/00001.png",
    "1/00003.png",
    "2 dog/00001.png",
    "2 dog/00003.png",
  ]);
  assert.equal(await labels(files["2 dog/00001.png"]), [...DOG]);
});

Home("lines of text are those of sam2 track: ids ascending, the score's logit, empty masks too", async () => {
  const text = await (await made("jsonl", video)).blob.text();
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ frame }) => frame),
    [0, 1, 3],
  );
  assert.equal(
    lines[1].objects.map(({ id, score }: { id: number; score: number }) => [id, score]),
    [
      [1, 3.5],
      [2, -0.5],
    ],
  );
  assert.equal(Object.keys(lines[1].objects[0]), ["id", "score", "area", "bbox", "rle"]);
  assert.equal(lines[1].objects[1].rle, rle(DOG));
  assert.equal(
    lines[2].objects.map(({ area, score }: { area: number; score: number }) => [area, score]),
    [
      [63, 10],
      [0, -8],
    ],
  );
  const named = await (await made("jsonl", video, ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])).blob.text();
  assert.is(JSON.parse(named.split("\n")[1]).file, "b.jpg");
});

Home("a project opens again with everything that is in it, its files to the byte", async () => {
  const bytes = Uint8Array.from({ length: 40_000 }, (_, i) => (i * 7919) >> 3);
  for (const doc of [photo, video]) {
    const { blob, name } = await writeProject(doc, [
      new File([bytes], "original.jpg"),
      new File(["two"], "original.jpg"),
    ]);
    assert.match(name, /\.sam2\.zip$/);
    const again = await readProject(blob, name);
    const { source, objects, nextId, frame } = again.doc;
    assert.equal({ ...source, id: doc.source!.id }, doc.source);
    assert.is.not(source!.id, doc.source!.id);
    assert.equal({ objects, nextId, frame }, { objects: doc.objects, nextId: doc.nextId, frame: doc.frame });
    assert.equal(
      again.files.map((file) => file.name),
      ["original.jpg", "original.jpg"],
    );
    assert.ok(Buffer.from(await again.files[0].arrayBuffer()).equals(bytes));
    assert.is(await again.files[1].text(), "two");
  }
});

Home("a project that is cut off, damaged or of another version is refused in one sentence", async () => {
  const { blob } = await writeProject(photo, [new File([new Uint8Array(5000).fill(7)], "cat.jpg")]);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const refused = async (file: Blob, reason: RegExp) => {
    const error = await readProject(file, "p.zip").then(
      () => undefined,
      (error: Error) => error,
    );
    assert.match(error?.message ?? "it was opened", reason);
    assert.match(error!.message, /^p\.zip [^\n]*\.$/);
  };
  await refused(new Blob([bytes.subarray(0, bytes.length - 1000)]), /cannot be opened/);
  await refused(new Blob(["no zip"]), /cannot be opened/);
  await refused(new Blob([]), /cannot be opened/);
  const hit = bytes.slice();
  hit[hit.indexOf(7, 2000)] = 8;
  await refused(new Blob([hit]), /damaged/);

  const changed = async (change: (project: any) => void) => {
    const text = await readText(blob);
    const project = JSON.parse(text);
    change(project);
    return rezipped(blob, JSON.stringify(project));
  };
  await refused(await changed((project) => (project.version = 2)), /version 2.*version 1/);
  await refused(await changed((project) => (project.format = "other")), /no project/);
  await refused(await changed((project) => (project.objects[0].on[0].found.masks[0].counts = "123")), /damaged: dog/);
  await refused(await changed((project) => (project.objects[0].on[9] = {})), /damaged: dog/);
  await refused(await changed((project) => (project.objects[1].id = project.objects[0].id)), /mixed up/);
  await refused(await changed((project) => (project.files[0].path = "media/none")), /missing/);
  await refused(await changed((project) => (project.source.width = 0)), /damaged/);
  await refused(await changed((project) => delete project.objects), /damaged/);
});

async function readText(project: Blob): Promise<string> {
  return new TextDecoder().decode(unzipSync(new Uint8Array(await project.arrayBuffer()))["project.json"]);
}

/** The same ZIP with another project.json, as other programs write it. */
async function rezipped(project: Blob, text: string): Promise<Blob> {
  const { zipSync } = await import("fflate");
  const files = unzipSync(new Uint8Array(await project.arrayBuffer()));
  return new Blob([zipSync({ ...files, "project.json": new TextEncoder().encode(text) }) as BlobPart]);
}

Home("a document offers what it has, and says why it has nothing", () => {
  assert.ok(!kindsOf(photo).some((name) => KINDS[name].of === "video"));
  assert.equal(kindsOf(video), Object.keys(KINDS));
  assert.is(lackOf("coco", photo), undefined);
  assert.is(lackOf("project", { ...photo, objects: [] }), undefined);
  assert.match(lackOf("coco", { ...photo, objects: [] })!, "Click an object first");
  assert.match(lackOf("coco", { ...photo, objects: photo.objects.slice(2) })!, "hidden");
  assert.match(lackOf("masks", { ...video, frame: 2 })!, "on this frame");
  assert.is(lackOf("davis", { ...video, frame: 2 }), undefined);
  assert.match(lackOf("project", EMPTY)!, "Open a picture");
});

Home("names of files are taken by every system, and no two are one", () => {
  assert.is(safeName('a/b\\c:"d"?.'), "a_b_c__d__");
  assert.is(stemOf("photo.of.me.jpg"), "photo.of.me");
  assert.is(stemOf(".hidden"), "hidden");
  const taken = new Set<string>();
  assert.equal(
    ["a.png", "A.png", "a.png"].map((name) => unique(taken, name)),
    ["a.png", "A (2).png", "a (3).png"],
  );
});

Home.run();
