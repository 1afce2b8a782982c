import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Sam2Error } from "../errors.ts";
import { expectFields } from "./fields.ts";
import { binaryMask, type MaskArray, maskLogits, maskShares } from "./mask_arrays.ts";
import { checkPrompt, type Prompt, PROMPT_FIELDS } from "./prompt.ts";

const FRAME = { width: 100, height: 50, imageSize: 16, normalizeCoords: true };
const check = (prompt: unknown) => () => checkPrompt(prompt as Prompt, FRAME, "prompt");

function refuses(call: () => void, message: RegExp): void {
  try {
    call();
  } catch (error) {
    assert.instance(error, Sam2Error);
    assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`not refused: ${message}`);
}

const Prompts = suite("prompts");

Prompts("an unknown field is refused with the known one that is nearest, or that other tools mean", () => {
  const track = ["object", "frame", "points", "labels", "box", "mask", "multimask"];
  for (const [name, near, known] of [
    ["boxes", "box", PROMPT_FIELDS],
    ["point_coords", "points", PROMPT_FIELDS],
    ["point", "points", PROMPT_FIELDS],
    ["lables", "labels", PROMPT_FIELDS],
    ["mask_input", "maskInput", PROMPT_FIELDS],
    ["multimask_output", "multimask", track],
    ["obj_id", "object", track],
    ["frame_idx", "frame", track],
  ] as const) {
    refuses(
      () => expectFields({ [name]: 1 }, known, "p"),
      new RegExp(`^p: expected fields named .*, got "${name}"; write "${near}"$`),
    );
  }
  refuses(() => expectFields({ weather: 1 }, PROMPT_FIELDS, "p"), /got "weather"; leave it out/);
  assert.not.throws(() => expectFields({ points: [], boxes: undefined, weather: null }, PROMPT_FIELDS, "p"));
});

Prompts("points and boxes of other shapes are refused by what they are", () => {
  refuses(
    check({ points: [{ x: 1, y: 2 }] }),
    /prompt\.points\[0\]: expected \[x, y\], two numbers, got \{"x":1,"y":2\}/,
  );
  refuses(check({ points: [500, 375] }), /prompt\.points\[0\]: expected \[x, y\], two numbers, got 500/);
  refuses(check({ points: { x: 1 } }), /prompt\.points: expected a list of \[x, y\]/);
  refuses(check({ points: [["1", "2"]] }), /two numbers, got \["1","2"\]/);
  refuses(check({ points: [[1, 2]], labels: 1 }), /prompt\.labels: expected 1 labels/);
  refuses(check({ box: [[1, 2, 3, 4]] }), /prompt\.box: expected \[x0, y0, x1, y1\], four numbers/);
  refuses(check({ box: { x: 1, y: 2, width: 3, height: 4 } }), /prompt\.box: .* four numbers, got \{"x":1/);
  assert.not.throws(
    check({ points: [Float32Array.of(1, 2)], labels: Uint8Array.of(1), box: Float64Array.of(1, 2, 3, 4) }),
  );
});

Prompts("bytes, booleans, shares and logits stand for the same mask", () => {
  const same: MaskArray[] = [
    Uint8Array.of(0, 1, 0, 7),
    Uint8ClampedArray.of(0, 255, 0, 255),
    [false, true, false, true],
    [0, 1, 0, 1],
    Float32Array.of(0.49, 0.5, 0, 1),
    Float64Array.of(-3, 8, 0, 0.1),
  ];
  for (const mask of same) assert.equal([...binaryMask(mask, 2, 2, "m")], [0, 1, 0, 1], mask.constructor.name);
  for (const mask of same.slice(0, 4)) assert.equal([...maskLogits(mask, 2, 2, "m")], [-10, 10, -10, 10]);
  assert.equal([...maskLogits([0, 0.25, 0.5, 1], 2, 2, "m")], [-10, -5, 0, 10]);
  const logits = Float32Array.of(-32, 0.5, 3, 32);
  assert.is(maskLogits(logits, 2, 2, "m"), logits);
});

Prompts("a mask at the model's resolution is the share of each part that is set", () => {
  const mask = Uint8Array.of(1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0);
  assert.equal(
    [...maskShares(mask, 6, 2, 2)].map((v) => Math.round(v * 1e6) / 1e6),
    [0.666667, 0, 0.666667, 0],
  );
  const large = [...maskShares(Uint8Array.of(1, 0), 2, 1, 4)];
  assert.equal(large, [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0]);
});

Prompts("any other array is refused by its kind, size or value", () => {
  const refuse = (mask: unknown, message: RegExp) => refuses(() => binaryMask(mask as MaskArray, 2, 1, "m"), message);
  refuse(new Int16Array(2), /m: expected an array of bytes, booleans or floats, got Int16Array/);
  refuse("01", /got String/);
  refuse(new Uint8Array(3), /m: expected 2×1 = 2 values, got 3/);
  refuse([true, 1], /m\[0\]: expected a finite number, got true/);
  refuse([[0], [1]], /m\[0\]: expected a finite number, got a list/);
  refuse(Float32Array.of(0, Number.NaN), /m\[1\]: expected a finite number, got NaN/);
});

Prompts.run();
