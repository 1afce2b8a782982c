import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { drawPng } from "../../tests/pictures.ts";
import { expectShapeOf, maskOfId, onlyMask, readMaskFile } from "./mask_file.ts";
import { encodePalettePng } from "./masks.ts";

setPlatform(nodePlatform);

/** Eight pixels in a row, as a PNG of the given kind. */
const row = (samples: number[], kind: Parameters<typeof drawPng>[1]) => drawPng({ width: 8, height: 1, samples }, kind);
const read = (file: Uint8Array) => readMaskFile(file, "m.png");
const labels = async (file: Uint8Array) => [...(await read(file)).labels];

const MaskFile = suite("readMaskFile");

MaskFile("plain black and white of 1, 8 and 16 bits is a mask, without a word", async () => {
  for (const [depth, white] of [
    [1, 1],
    [8, 255],
    [16, 65535],
  ] as const) {
    const file = await read(row([0, 0, white, white, 0, 0, 0, white], { depth, colour: "grey" }));
    assert.equal([file.kind, file.ids, file.note], ["mask", [1], undefined], `${depth} bits`);
    assert.equal([...file.labels], [0, 0, 1, 1, 0, 0, 0, 1]);
  }
});

MaskFile("grey is split at half of full scale, at 8 and 16 bits, and that is said", async () => {
  for (const [depth, half] of [
    [8, 128],
    [16, 32768],
  ] as const) {
    const file = await read(row([0, half - 1, half, half + 1, 0, 0, 0, 9], { depth, colour: "grey" }));
    assert.equal([...file.labels], [0, 0, 1, 1, 0, 0, 0, 0]);
    assert.is(file.note, "m.png: read by its brightness: half of white and above is the object");
  }
});

MaskFile("alpha decides where any pixel is transparent, and that is said", async () => {
  const white = [0, 127, 128, 255, 0, 0, 0, 0].flatMap((alpha) => [255, 255, 255, alpha]);
  const file = await read(row(white, { depth: 8, colour: "rgba" }));
  assert.equal([...file.labels], [0, 0, 1, 1, 0, 0, 0, 0]);
  assert.match(file.note!, /by its alpha/);
  const black = [0, 32767, 32768, 65535, 0, 0, 0, 0].flatMap((alpha) => [0, alpha]);
  assert.equal(await labels(row(black, { depth: 16, colour: "grey + alpha" })), [0, 0, 1, 1, 0, 0, 0, 0]);
});

MaskFile("an opaque alpha says nothing: the colours count", async () => {
  const opaque = [0, 0, 255, 255, 0, 0, 0, 0].flatMap((value) => [value, value, value, 255]);
  assert.equal(await labels(row(opaque, { depth: 8, colour: "rgba" })), [0, 0, 1, 1, 0, 0, 0, 0]);
});

MaskFile("a palette picture is a map of its ids, whatever its transparency", async () => {
  const file = await read(encodePalettePng(Uint8Array.of(0, 1, 1, 7, 0, 200, 0, 0), 8, 1));
  assert.equal([file.kind, file.ids], ["ids", [1, 7, 200]]);
  assert.is(file.note, "m.png: read as a map of ids: 1, 7, 200");
  assert.equal([...maskOfId(file, 7)], [0, 0, 0, 1, 0, 0, 0, 0]);
  const seeThrough = row([0, 1, 1, 2, 0, 0, 0, 0], { depth: 8, colour: "palette", transparency: [255, 0, 0] });
  assert.equal((await read(seeThrough)).ids, [1, 2]);
});

MaskFile("a palette of white and black alone is black and white, in whatever order", async () => {
  const palette = [255, 255, 255, 0, 0, 0];
  const file = await read(row([1, 1, 0, 0, 1, 1, 1, 1], { depth: 1, colour: "palette", palette }));
  assert.equal([file.kind, [...file.labels], file.note], ["mask", [0, 0, 1, 1, 0, 0, 0, 0], undefined]);
});

MaskFile("grey with all values below half is a map of ids, in RGB and at 16 bits too", async () => {
  assert.equal((await read(row([0, 0, 1, 1, 2, 2, 0, 0], { depth: 8, colour: "grey" }))).ids, [1, 2]);
  assert.equal((await read(row([0, 0, 255, 255, 0, 0, 3000, 0], { depth: 16, colour: "grey" }))).ids, [255, 3000]);
  const rgb = [0, 0, 5, 5, 0, 0, 0, 0].flatMap((value) => [value, value, value]);
  assert.equal((await read(row(rgb, { depth: 8, colour: "rgb" }))).ids, [5]);
});

MaskFile("nothing in it, or dark colours that are no ids, is refused with what was found", async () => {
  const refused = async (message: RegExp, file: Uint8Array) => {
    try {
      await read(file);
    } catch (error) {
      assert.match((error as Error).message, message);
      return;
    }
    assert.unreachable(`${message}`);
  };
  await refused(
    /m\.png: expected a mask with a pixel that is not black, got none/,
    row(Array(8).fill(0), { depth: 8, colour: "grey" }),
  );
  await refused(/an opaque pixel, got none/, row(Array(32).fill(9), { depth: 8, colour: "rgba" }));
  await refused(/a pixel that is not black, got none/, encodePalettePng(new Uint8Array(8), 8, 1));
  const red = [128, 0, 0, ...Array(21).fill(0)];
  await refused(
    /nothing brighter than 38 of 255; draw the object white on black/,
    row(red, { depth: 8, colour: "rgb" }),
  );
});

MaskFile("one object is asked for: a map of several ids is refused with the list of them", async () => {
  const several = await read(encodePalettePng(Uint8Array.of(0, 1, 4), 3, 1));
  assert.throws(() => onlyMask(several, "m.png"), /m\.png: expected one object, got a map of ids: 1, 4; /);
  const single = await read(encodePalettePng(Uint8Array.of(0, 4, 4), 3, 1));
  assert.equal([...onlyMask(single, "m.png")], [0, 1, 1]);
});

MaskFile("another shape than the image's is refused, another resolution is not", () => {
  const of = (width: number, height: number) => () =>
    expectShapeOf({ width, height }, { width: 1920, height: 1080 }, "m");
  for (const [w, h] of [
    [1920, 1080],
    [960, 540],
    [256, 144],
    [855, 481],
  ])
    assert.not.throws(of(w, h), `${w}×${h}`);
  for (const [w, h] of [
    [1080, 1920],
    [256, 256],
    [1920, 1085],
  ]) {
    assert.throws(of(w, h), /m: expected a mask of the shape of 1920×1080, got/, `${w}×${h}`);
  }
});

MaskFile.run();
