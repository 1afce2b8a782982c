import { suite } from "uvu";
import * as assert from "uvu/assert";
import { numel } from "../tensor/shape.ts";
import { edgeTamConfig, type VariantName, variantConfig } from "./config.ts";
import { parameters } from "./parameters.ts";

/** FNV-1a of `key size,size\n` in the order of the state_dict. */
function hash(shapes: ReadonlyMap<string, readonly number[]>): string {
  let h = 0x811c9dc5;
  for (const [key, shape] of shapes) {
    for (const c of `${key} ${shape}\n`) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
  }
  return (h >>> 0).toString(16).padStart(8, "0");
}

// From the reference's state_dict: tensors, values, hash of names, shapes and order.
const OFFICIAL: [VariantName, "2.0" | "2.1", number, number, string][] = [
  ["tiny", "2.1", 471, 38962754, "41f1b546"],
  ["small", "2.1", 519, 46060610, "65470de6"],
  ["base_plus", "2.1", 615, 80850434, "99a7a0d5"],
  ["large", "2.1", 903, 224446898, "45c75dda"],
  ["tiny", "2.0", 468, 38946242, "a1c5f903"],
  ["small", "2.0", 516, 46044098, "d90e349b"],
  ["base_plus", "2.0", 612, 80833922, "2ba5c5ec"],
  ["large", "2.0", 900, 224430386, "34a89cd5"],
];

const Tests = suite("parameters");
for (const [name, version, tensors, values, digest] of OFFICIAL) {
  Tests(`${version} ${name} has the ${tensors} names and shapes of the reference, in its order`, () => {
    const shapes = parameters(variantConfig(name, version));
    assert.is(shapes.size, tensors);
    assert.is(
      [...shapes.values()].reduce((sum, shape) => sum + numel(shape), 0),
      values,
    );
    assert.is(hash(shapes), digest);
  });
}
Tests("EdgeTAM has the 982 names and shapes of the reference, in its order", () => {
  const shapes = parameters(edgeTamConfig());
  assert.is(shapes.size, 982);
  assert.is(
    [...shapes.values()].reduce((sum, shape) => sum + numel(shape), 0),
    13943148, // 13,895,794 parameters, the rest is what batch norms keep beside them
  );
  assert.is(hash(shapes), "d6d8c2f8");
});
Tests("one size changed changes the hash", () => {
  assert.is.not(hash(parameters({ ...variantConfig("tiny", "2.1"), maskInChans: 20 })), OFFICIAL[0][4]);
});
Tests.run();
