import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readCheckpoint } from "./checkpoint.ts";
import { writeSafetensors } from "./safetensors.ts";
import type { StoredTensor, TensorFile } from "./tensor_file.ts";
import { unwrap } from "./unwrap.ts";

const ANCHOR = "image_encoder.trunk.patch_embed.proj.weight";
const NAMES = [ANCHOR, "image_encoder.neck.convs.0.conv.bias", "maskmem_tpos_enc"];

/** Tensors that are told apart by their shape. */
const tensors = (names: readonly string[], mark = 1) =>
  new Map(names.map((name): [string, StoredTensor] => [name, { dtype: "F32", shape: [mark], read: () => {} }]));
const prefixed = (prefix: string, names = NAMES) => names.map((name) => prefix + name);
function file(root: Map<string, StoredTensor>, nested: Record<string, Map<string, StoredTensor>> = {}): TensorFile {
  return { format: "torch", tensors: root, nested: new Map(Object.entries(nested)), metadata: {}, verify: () => {} };
}
const NONE = tensors([]);

const Unwrap = suite("unwrap");

for (const prefix of [
  "",
  "module.",
  "_orig_mod.",
  "model.",
  "sam2_model.",
  "module._orig_mod.",
  "_orig_mod.module.model.",
  "model.module.sam2_model.",
  "base_model.model.net.",
]) {
  Unwrap(`names behind "${prefix}" are those of the model`, () => {
    const found = unwrap("x.pt", file(tensors(prefixed(prefix))))!;
    assert.equal([...found.tensors.keys()], NAMES);
    assert.equal(found.unwrapped, { dict: "", prefix, leftOut: [], others: [] });
  });
}

for (const dict of ["model", "state_dict", "model_state_dict", "ema", "net", "ema/model", "a/b/c"]) {
  Unwrap(`weights in the dict ${dict} are found`, () => {
    const found = unwrap("x.pt", file(tensors(["rng"]), { [dict]: tensors(prefixed("module.")) }))!;
    assert.equal([...found.tensors.keys()], NAMES);
    assert.equal(found.unwrapped, { dict, prefix: "module.", leftOut: [], others: [] });
  });
}

Unwrap("wrappers of parts are taken out of the names", () => {
  const names = ["image_encoder._orig_mod.trunk.patch_embed.proj.weight", "memory_attention.module.norm.weight"];
  const found = unwrap("x.pt", file(tensors(names)))!;
  assert.equal([...found.tensors.keys()], [ANCHOR, "memory_attention.norm.weight"]);
});

Unwrap("a Lightning module's other parts are left out by name", () => {
  const state = tensors([...prefixed("model."), "loss.weight", "metric.total"]);
  const found = unwrap("x.ckpt", file(NONE, { state_dict: state, "optimizer_states/state/0": tensors(["exp_avg"]) }))!;
  assert.equal([...found.tensors.keys()], NAMES);
  assert.equal(found.unwrapped.leftOut, ["loss.weight", "metric.total"]);
});

Unwrap("of several sets the plain one is taken before an averaged one, wherever that stands, and all are named", () => {
  const sets = { ema: tensors(NAMES, 2), "more/model": tensors(NAMES, 1) };
  const found = unwrap("x.pt", file(NONE, sets))!;
  assert.equal(found.tensors.get(ANCHOR)!.shape, [1]);
  assert.equal([found.unwrapped.dict, found.unwrapped.others], ["more/model", ["ema"]]);

  const both = new Map([...tensors(prefixed("teacher."), 2), ...tensors(prefixed("student."), 1)]);
  const student = unwrap("x.pt", file(NONE, { state_dict: both }))!;
  assert.equal(student.tensors.get(ANCHOR)!.shape, [1]);
  assert.equal(student.unwrapped, {
    dict: "state_dict",
    prefix: "student.",
    leftOut: [],
    others: ["state_dict: teacher."],
  });
});

Unwrap("what an optimizer keeps under the names of the weights is no set of weights", () => {
  const state = prefixed("state.").map((name) => `${name}.exp_avg`);
  const found = unwrap("x.pt", file(NONE, { optimizer: tensors(state), model: tensors(NAMES) }))!;
  assert.equal([found.unwrapped.dict, found.unwrapped.others], ["model", []]);
});

Unwrap("two names that differ by a wrapper alone are refused", () => {
  const twice = tensors([...NAMES, `module.${NAMES[2]}`]);
  assert.throws(
    () => unwrap("x.pt", file(twice)),
    /^x\.pt: module\.maskmem_tpos_enc: expected one tensor for maskmem_tpos_enc, got two; /,
  );
});

Unwrap("a file without a SAM 2 has nothing to unwrap", () => {
  assert.is(unwrap("x.pt", file(tensors(["image_encoder.blocks.0.norm1.weight"]))), undefined);
});

// ---- through the whole reader -----------------------------------------------------------------------------------------

const written = (names: readonly string[]) =>
  writeSafetensors(new Map(names.map((name, i) => [name, { shape: [1], data: Float32Array.of(i) }])));

Unwrap("safetensors and transformers' names are unwrapped as well", async () => {
  const names = ["vision_encoder.backbone.patch_embed.projection.weight", "no_memory_embedding"];
  const checkpoint = await readCheckpoint(written(prefixed("model.", names)));
  assert.equal([...checkpoint.tensors.keys()].sort(), [ANCHOR, "no_mem_embed"]);
  assert.equal([checkpoint.names, checkpoint.unwrapped?.prefix], ["transformers", "model."]);
});

for (const [whose, anchor, fuser] of [
  ["Meta's", ANCHOR, "memory_encoder.fuser.layers.1.weight"],
  [
    "transformers'",
    "vision_encoder.backbone.patch_embed.projection.weight",
    "memory_encoder.memory_fuser.layers.1.weight",
  ],
]) {
  Unwrap(`with ${whose} names, weight in a layer of the fuser is its gamma`, async () => {
    const { tensors } = await readCheckpoint(written([anchor, fuser]));
    assert.ok(tensors.has("memory_encoder.fuser.layers.1.gamma"));
  });
}

Unwrap("which of several sets is taken is told once", async () => {
  const notices: string[] = [];
  const bytes = written([...prefixed("ema."), ...prefixed("net.")]);
  await readCheckpoint(new File([bytes as Uint8Array<ArrayBuffer>], "x.safetensors"), {
    onNotice: (text) => notices.push(text),
  });
  assert.equal(notices, ["x.safetensors: of several sets of weights that in net. is used; there are also: ema."]);
});

Unwrap.run();
