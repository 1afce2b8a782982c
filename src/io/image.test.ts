import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { crc32 } from "./crc32.ts";
import { type DecodeOptions, decodeImage, toRgb } from "./image.ts";
import { encodePng } from "./png.ts";
import { drawPng } from "../../tests/pictures.ts";

interface Case {
  name: string;
  file: string;
  width: number;
  height: number;
  rgb: string;
  upright: string;
  tolerance?: number;
}
const cases: Record<"pil" | "installed" | "oriented" | "refused", Case[]> = JSON.parse(
  readFileSync(new URL("../../golden/images.json", import.meta.url), "utf8"),
);
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const fileOf = (name: string) => bytesOf([...cases.pil, ...cases.refused].find((c) => c.name === name)!.file);
const JPEG = fileOf("JPEG 4:2:0 baseline");
const PNG = fileOf("PNG RGB 8 bit");
const WEBP = fileOf("WebP lossy RGB");

setPlatform(nodePlatform);

function maxDifference(got: Uint8Array, want: Uint8Array): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  return got.reduce((max, value, i) => Math.max(max, Math.abs(value - want[i])), 0);
}

async function refusal(bytes: Uint8Array, options?: DecodeOptions): Promise<string> {
  try {
    await decodeImage(bytes, options);
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  return "decoded";
}

const Pil = suite("decodeImage against PIL");
for (const { name, file, width, height, rgb, tolerance = 0 } of [...cases.pil, ...cases.installed]) {
  Pil(`${name}: |Δ| ≤ ${tolerance}`, async () => {
    const image = await decodeImage(bytesOf(file));
    assert.equal([image.width, image.height], [width, height]);
    assert.ok(maxDifference(image.data, bytesOf(rgb)) <= tolerance, `|Δ| ${maxDifference(image.data, bytesOf(rgb))}`);
  });
}
for (const { name, file, width, height, rgb, upright } of cases.oriented) {
  Pil(`${name} is turned upright, or left with orient: false`, async () => {
    const turned = await decodeImage(bytesOf(file));
    assert.is(turned.width * turned.height, width * height);
    assert.is(turned.width === width, Number(name.at(-1)) < 5);
    assert.is(maxDifference(turned.data, bytesOf(upright)), 0);
    const asStored = await decodeImage(bytesOf(file), { orient: false });
    assert.equal([asStored.width, asStored.height], [width, height]);
    assert.is(maxDifference(asStored.data, bytesOf(rgb)), 0);
  });
}
Pil("a Buffer that is a window into a larger one decodes the same", async () => {
  const window = Buffer.concat([Buffer.alloc(5), JPEG, Buffer.alloc(5)]).subarray(5, 5 + JPEG.length);
  assert.is(maxDifference((await decodeImage(window)).data, (await decodeImage(JPEG)).data), 0);
});
Pil("16-bit samples that fit 8, 10, 12 or 14 bits are read as such, grey and colour, and that is said", async () => {
  for (const bits of [8, 10, 12, 14, 16]) {
    for (const [colour, channels] of [
      ["grey", 1],
      ["rgb", 3],
      ["grey + alpha", 2],
    ] as const) {
      const full = 2 ** bits - 1;
      const samples = Array.from({ length: 9 * 5 * channels }, (_, i) =>
        colour === "grey + alpha" && i % 2 ? 65535 : Math.floor((full * ((i * 7) % 45)) / 44),
      );
      const told: string[] = [];
      const file = drawPng({ width: 9, height: 5, samples }, { depth: 16, colour });
      const { data } = await decodeImage(file, { onNotice: (text) => told.push(text) });
      const want = samples.map((value) => value >> (bits - 8));
      const of = (i: number) => want[Math.floor(i / 3) * channels + (channels === 3 ? i % 3 : 0)];
      assert.ok(
        data.every((value, i) => value === of(i)),
        `${bits} bits, ${colour}`,
      );
      const said = bits < 16 ? [`16-bit samples that fit ${bits} bits are taken for ${bits}-bit ones`] : [];
      assert.equal(told, said);
    }
  }
});
Pil("of an animated GIF the first frame is taken, and that is said", async () => {
  const still = fileOf("GIF 8 bits");
  const told: string[] = [];
  const frames = [...still.subarray(0, -1), ...still.subarray(13 + 3 * 2 ** ((still[10] & 7) + 1))]; // its blocks once more
  const { data } = await decodeImage(Uint8Array.from(frames), { onNotice: (text) => told.push(text) });
  assert.is(maxDifference(data, (await decodeImage(still)).data), 0);
  assert.equal(told, ["of an animated GIF the first frame is taken"]);
});
Pil("without the package that reads it, a TIFF or AVIF file is refused with the line that installs it", async () => {
  setPlatform({ ...nodePlatform, optional: async () => undefined });
  const tiff = bytesOf(cases.installed.find(({ name }) => name === "TIFF plain")!.file);
  assert.match(await refusal(tiff), /expected a TIFF file and a package that reads it.*npm install geotiff/);
  setPlatform(nodePlatform);
});
Pil.run();

const Refused = suite("decodeImage refuses");
for (const { name, file } of cases.refused) {
  Refused(`${name}, by name`, async () => {
    const message = await refusal(bytesOf(file), { where: "photo" });
    assert.ok(message.startsWith("photo: expected ") && message.includes(name), message);
    assert.match(message, /convert it to|save one frame/);
  });
}

const text = (string: string) => new TextEncoder().encode(string);

/** A copy with bytes replaced; of a PNG, the chunk that starts at `chunk` gets a matching CRC. */
function patched(bytes: Uint8Array, at: number, values: number[], chunk?: number): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  if (chunk !== undefined) {
    const view = new DataView(copy.buffer);
    const end = chunk + 8 + view.getUint32(chunk);
    view.setUint32(end, crc32(copy.subarray(chunk + 4, end)));
  }
  return copy;
}

const IHDR = 8;
const IDAT = 33;
const sof = JPEG.findIndex((byte, i) => byte === 0xff && JPEG[i + 1] === 0xc0);
const bomb = encodePng({ width: 2000, height: 2000, channels: 1, data: new Uint8Array(4e6) });
const paletteFile = fileOf("PNG palette 8 bit");

const bad: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["no bytes", new Uint8Array(), /got no bytes/],
  ["text", text("hello"), /an unknown format; convert it to PNG or JPEG/],
  ["SVG", text('<svg xmlns="http://www.w3.org/2000/svg">'), /a SVG or XML file/],
  ["HEIC", text("\0\0\0\x18ftypheic"), /a HEIC file; convert it to JPEG: `heif-convert photo\.heic photo\.jpg`/],
  ["HEIC of another brand", text("\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), /a HEIC file/],
  [
    "AVIF of another brand",
    text("\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"),
    /expected an AVIF file that states its size/,
  ],
  ["a JPEG that is only a signature", JPEG.subarray(0, 3), /a JPEG file with a frame header, got none/],
  ["a JPEG without its last tenth", JPEG.subarray(0, JPEG.length * 0.9), /"(Premature|Corrupt JPEG data)/],
  ["a JPEG without height", patched(JPEG, sof + 5, [0, 0]), /at least one pixel, got 35×0/],
  ["a JPEG of 65535×65535", patched(JPEG, sof + 5, [255, 255, 255, 255]), /at most 134217728 pixels, got 65535×65535/],
  ["a JPEG of 12 bits", patched(JPEG, sof + 4, [12]), /8 bits per sample, got a JPEG file of 12/],
  ["a lossless JPEG", patched(JPEG, sof + 1, [0xc3]), /one that is lossless/],
  ["an arithmetic-coded JPEG", patched(JPEG, sof + 1, [0xc9]), /one that is arithmetic-coded/],
  ["a JPEG of 2 channels", patched(JPEG, sof + 9, [2]), /got 2 channels/],
  ["a JPEG without tables", patched(JPEG, JPEG.indexOf(0xdb), [0xfe]), /"Quantization table 0x00 was not defined"/],
  ["a JPEG that is larger than it says", patched(JPEG, sof + 5, [0, 99]), /an intact image, got "(Premature|Corrupt)/],
  ["a PNG that is only a signature", PNG.subarray(0, 8), /IHDR, got no chunk/],
  ["a PNG without its second half", PNG.subarray(0, PNG.length / 2), /a whole chunk, got the end of the file/],
  ["a PNG of 0×7", patched(PNG, 16, [0, 0, 0, 0], IHDR), /at least one pixel, got 0×7/],
  ["a PNG of 2³²−1 × 7", patched(PNG, 16, [255, 255, 255, 255], IHDR), /at most 134217728 pixels/],
  [
    "a PNG with a wrong CRC",
    patched(PNG, IDAT + 12, [PNG[IDAT + 12] ^ 1]),
    /chunks that fit their CRC, got "IDAT" that does not/,
  ],
  ["a PNG of 3 bits", patched(PNG, 24, [3], IHDR), /a format of the PNG specification, got IHDR 3 2 0 0 0/],
  ["a PNG of colour type 5", patched(PNG, 25, [5], IHDR), /a format of the PNG specification/],
  ["a PNG with another compression", patched(PNG, 26, [1], IHDR), /a format of the PNG specification/],
  ["a PNG without IHDR", patched(PNG, 12, [...text("tEXt")], IHDR), /IHDR first, got "tEXt"/],
  ["a PNG with too few rows", patched(PNG, 20, [0, 0, 0, 9], IHDR), /306 bytes of rows, got 238/],
  ["a PNG with damaged deflate data", patched(PNG, IDAT + 10, [0xff], IDAT), /intact compressed data/],
  ["a PNG without IDAT", patched(PNG, IDAT + 4, [...text("teXt")], IDAT), /a PNG file with/],
  [
    "a PNG bomb, 1×1 with 4 MB of rows",
    patched(bomb, 16, [0, 0, 0, 1, 0, 0, 0, 1], IHDR),
    /compressed data for 2 bytes/,
  ],
  [
    "a PNG palette image without palette",
    patched(paletteFile, IDAT + 4, [...text("plTe")], IDAT),
    /a palette, got none/,
  ],
  ["a WebP that is only a signature", WEBP.subarray(0, 16), /16 bytes of one; the file is truncated/],
  ["a WebP without its second half", WEBP.subarray(0, WEBP.length / 2), /an intact image/],
  ["a WebP with an unknown chunk", patched(WEBP, 12, [...text("ABCD")]), /a "ABCD" chunk/],
  ["a WebP of 16383×16383", patched(WEBP, 26, [0xff, 0x3f, 0xff, 0x3f]), /at most 134217728 pixels, got 16383×16383/],
];
for (const [what, bytes, message] of bad) {
  Refused(what, async () => assert.match(await refusal(bytes), message));
}

Refused("more than maxPixels, before decoding", async () => {
  assert.match(await refusal(JPEG, { maxPixels: 35 * 27 - 1 }), /at most 944 pixels, got 35×27/);
  assert.is(await refusal(JPEG, { maxPixels: 35 * 27 }), "decoded");
});

Refused("every truncation of a GIF, BMP, CMYK JPEG and TIFF file, by an ImageError", async () => {
  const files = [...cases.pil, ...cases.installed].filter(({ name }) =>
    ["GIF 8 bits", "BMP RGB", "BMP 4 bits", "JPEG CMYK 4:2:0", "TIFF LZW"].includes(name),
  );
  for (const { name, file } of files) {
    const whole = bytesOf(file);
    const step = Math.ceil(whole.length / 60);
    for (let length = 0; length < whole.length - 8; length += step) {
      assert.match(await refusal(whole.subarray(0, length)), /expected/, `${name}, ${length} of ${whole.length} bytes`);
    }
    for (let i = 0; i < 100; i++) {
      const at = Math.floor((i * whole.length) / 100);
      await refusal(patched(whole, at, [whole[at] ^ (1 + ((i * 37) % 255))]));
    }
  }
});

Refused("every truncation of a JPEG, PNG and WebP file, and decodes the whole one afterwards", async () => {
  for (const whole of [JPEG, PNG, WEBP]) {
    const end = whole === PNG ? 12 : whole === JPEG ? 6 : 0; // IEND, and the end marker with the bits that fill up
    for (let length = 0; length < whole.length - end; length += 5) {
      assert.match(await refusal(whole.subarray(0, length)), /expected/, `${length} of ${whole.length} bytes`);
    }
    assert.is(await refusal(whole), "decoded");
  }
});

Refused("or decodes, but never traps on, 600 files with a flipped byte", async () => {
  for (const whole of [JPEG, PNG, WEBP]) {
    const want = (await decodeImage(whole)).data;
    for (let i = 0; i < 200; i++) {
      const at = Math.floor((i * whole.length) / 200);
      await refusal(patched(whole, at, [whole[at] ^ (1 + ((i * 37) % 255))]));
    }
    assert.is(maxDifference((await decodeImage(whole)).data, want), 0);
  }
});

Refused("a bad file without harm to good ones decoded at the same time", async () => {
  const noEnd = JPEG.subarray(0, -200);
  const noTables = patched(JPEG, JPEG.indexOf(0xdb), [0xfe]);
  const results = await Promise.all([JPEG, noEnd, JPEG, noTables, JPEG].map((bytes) => refusal(bytes)));
  assert.equal(
    results.map((result) => result === "decoded"),
    [true, false, true, false, true],
  );
});
Refused.run();

const ToRgb = suite("toRgb");
const pixels = (...values: number[]) => ({ width: 2, height: 1, data: Uint8Array.from(values) });
ToRgb("repeats grey and drops alpha", () => {
  assert.equal([...toRgb(pixels(1, 2)).data], [1, 1, 1, 2, 2, 2]);
  assert.equal([...toRgb(pixels(1, 9, 2, 9)).data], [1, 1, 1, 2, 2, 2]);
  assert.equal([...toRgb(pixels(1, 2, 3, 4, 5, 6)).data], [1, 2, 3, 4, 5, 6]);
  assert.equal([...toRgb(pixels(1, 2, 3, 9, 4, 5, 6, 9)).data], [1, 2, 3, 4, 5, 6]);
});
ToRgb("takes ImageData's clamped array and leaves it alone", () => {
  const data = Uint8ClampedArray.of(1, 2, 3, 4);
  const image = toRgb({ width: 1, height: 1, data });
  image.data[0] = 7;
  assert.equal([...data], [1, 2, 3, 4]);
});
ToRgb("refuses sizes that do not fit and numbers that are not bytes", () => {
  assert.throws(() => toRgb(pixels(1, 2, 3)), /pixels: expected 1 to 4 bytes for each of 2×1 pixels, got 3 bytes/);
  assert.throws(() => toRgb(pixels()), /got 0 bytes/);
  assert.throws(() => toRgb({ ...pixels(1), width: 0 }), /a positive whole width and height, got 0×1/);
  assert.throws(() => toRgb({ ...pixels(1), width: 0.5, height: 2 }), /got 0.5×2/);
  const floats = new Float32Array(6) as unknown as Uint8Array;
  assert.throws(() => toRgb({ width: 2, height: 1, data: floats }), /bytes \(0…255\), got \[object Float32Array\]/);
});
ToRgb.run();
