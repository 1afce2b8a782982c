import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder, SMALL, sam2, smallWeights, writeCheckpoint, writePhoto } from "../../tests/cli_fixture.ts";
import { isMemoryTensor } from "../model/derive_config.ts";
import { parameters } from "../model/parameters.ts";
import { numel } from "../tensor/shape.ts";
import { type TraceRow, traceTable } from "./trace_table.ts";

const { leave } = enterFolder();
const weights = smallWeights();
const without = (drop: (name: string) => boolean) => new Map([...weights].filter(([name]) => !drop(name)));
writeCheckpoint("small.safetensors", weights);

const Info = suite("info");

Info("--json tells format, variant, version, parameters, dtypes, differences and config", async () => {
  const { code, stdout, stderr } = await sam2(["info", "small.safetensors", "--json"]);
  assert.equal([code, stderr], [0, ""]);
  const about = JSON.parse(stdout);
  const shapes = [...parameters(SMALL).values()];
  assert.is(about.format, "safetensors");
  assert.is(about.variant, "small_a");
  assert.is(about.version, "2.1");
  assert.is(
    about.parameters,
    shapes.reduce((sum, shape) => sum + numel(shape), 0),
  );
  assert.equal(about.dtypes, { F32: shapes.length });
  assert.equal([about.missing, about.unexpected, about.wrongShape], [[], [], []]);
  assert.equal(about.config, SMALL);
});

Info("for people, the same in a dozen lines", async () => {
  const { stdout } = await sam2(["info", "small.safetensors"]);
  assert.match(stdout, /model +SAM 2\.1 small_a\n/);
  assert.match(stdout, /usable for +images and video\n/);
  assert.match(stdout, /parameters +1,668,946 in 371 F32 tensors\n/);
  assert.match(stdout, /windowSpec 8 4 6 3\n/);
});

Info("a file without memory weights is usable for images; what is missing is listed", async () => {
  writeCheckpoint("image.safetensors", without(isMemoryTensor));
  const { code, stdout } = await sam2(["info", "image.safetensors"]);
  assert.is(code, 0);
  assert.match(stdout, /usable for +images \(segment, everything\)\n/);
  assert.match(stdout, /\n +memory_attention\.layers\.0\.self_attn\.q_proj\.weight\n/);
  writePhoto("photo.png", 60, 40);
  const run = await sam2(["segment", "photo.png", "--model", "image.safetensors", "--point", "9,9", "--json"]);
  assert.is(run.code, 0, run.stderr);
});

Info("what was unwrapped is told: dict and prefix, what stands beside, and other weights", async () => {
  const prefixed = (prefix: string) => [...weights].map(([name, tensor]) => [prefix + name, tensor] as const);
  const loss = ["loss.weight", { shape: [1], data: new Float32Array(1) }] as const;
  writeCheckpoint("tuned.safetensors", new Map([...prefixed("ema."), ...prefixed("module.model."), loss]));
  const { code, stdout, stderr } = await sam2(["info", "tuned.safetensors", "--json"]);
  assert.equal([code, stderr], [0, ""]);
  const about = JSON.parse(stdout);
  assert.equal(about.unwrapped, { dict: "", prefix: "module.model.", leftOut: ["loss.weight"], others: ["ema."] });
  assert.equal([about.missing, about.unexpected, about.parameters], [[], [], 1_668_946]);
  const text = await sam2(["info", "tuned.safetensors"]);
  assert.match(
    text.stdout,
    /found in +module\.model\.\n +left out, 1 that stand beside them: loss\.weight\n +left out, other/,
  );
});

Info("a file that is not whole is reported in full, and is an error", async () => {
  const name = "sam_mask_decoder.iou_token.weight";
  writeCheckpoint(
    "torn.safetensors",
    new Map([...without((n) => n === name), ["extra", { shape: [1], data: new Float32Array(1) }]]),
  );
  const { code, stdout, stderr } = await sam2(["info", "torn.safetensors", "--json"]);
  assert.is(code, 1);
  const about = JSON.parse(stdout);
  assert.equal([about.missing, about.unexpected], [[name], ["extra"]]);
  assert.match(
    stderr,
    /^sam2: torn\.safetensors: expected the tensors of SAM 2\.1 small_a, got missing sam_mask_decoder/,
  );
  const text = await sam2(["info", "torn.safetensors"]);
  assert.match(text.stdout, /usable for +nothing: it is not whole\n/);
});

Info("what is no checkpoint is an error without a report", async () => {
  writeFileSync("page.pt", "<html>");
  for (const [file, message] of [
    ["page.pt", /^sam2: page\.pt: expected a \.pt or \.safetensors file, got a web page/],
    ["none.pt", /^sam2: none\.pt: expected a file that can be read/],
    ["tiny", /^sam2: tiny: expected its file at .*: run sam2 download tiny where/],
  ] as const) {
    const { code, stdout, stderr } = await sam2(["info", file], { env: { SAM2_CACHE: "nowhere", SAM2_OFFLINE: "1" } });
    assert.equal([code, stdout], [1, ""], file);
    assert.match(stderr, message);
  }
});

Info("--machine tells what would compute here and why, and that bits do not hang on the tile", async () => {
  const { code, stdout, stderr } = await sam2(["info", "--machine", "--json"]);
  assert.equal([code, stderr], [0, ""]);
  const about = JSON.parse(stdout);
  assert.equal([about.cores, about.node, about.sharedMemory], [cpus().length, process.version, true]);
  assert.match(about.kernels, /^(fma|portable) 6x(8|16)$/);
  assert.is(about.threads, Math.min(availableParallelism(), 16));
  assert.ok(about.chosen.some((line: string) => /^kernels: .*because/.test(line)));
  assert.equal(about.sameBits, { ofBothTiles: true, ofPortableAndReference: true });
  const { fma, mulAdd, mulAdd128 } = about.peakGflops;
  assert.ok(mulAdd >= mulAdd128 && mulAdd128 > 0, `${mulAdd} and ${mulAdd128} GFLOP/s`);
  assert.is(fma > 0, about.kernels.startsWith("fma"));
});

Info("--machine for people: one line for each of them", async () => {
  const { code, stdout } = await sam2(["info", "--machine"]);
  assert.is(code, 0);
  assert.match(stdout, /^.*, \d+ cores, .*, Node v\d+.*\nshared memory: yes\n/);
  assert.match(stdout, /\nkernels: .*\ntile: 6x\d+, because .*\nthreads: \d+\n/);
  assert.match(stdout, /\nbits: the same with tiles 6x8 and 6x16; the same by portable kernels and scalar loops\n/);
  assert.match(stdout, /\nregister-tile peak of a thread, GFLOP\/s: .* portable\n$/);
});

Info("without a file it is a wrong use, and so is a file beside --machine", async () => {
  const none = await sam2(["info"]);
  assert.equal([none.code, none.stderr], [2, "sam2: missing required argument 'file'; see sam2 info --help\n"]);
  const both = await sam2(["info", "nano", "--machine"]);
  assert.is(both.code, 2);
  assert.match(both.stderr, /^sam2: info: expected a file or --machine, got both/);
});

Info.run();

/** Layers that run before those around them: their result serves all prompts on an image. */
const ONCE_AN_IMAGE = /conv_s\d$|transformer\.layers\.0\.cross_attn_\w+\.[qkv]_proj$/;

const Trace = suite("trace");
Trace.after(leave);

async function rows(...args: string[]): Promise<TraceRow[]> {
  const { code, stdout, stderr } = await sam2(["trace", "small.safetensors", ...args, "--json"]);
  assert.equal([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

Trace("--json has a record for each layer, callers before the layers that they call", async () => {
  const trace = await rows();
  assert.ok(trace.length > 150, `${trace.length} layers`);
  const places = new Map(trace.map(({ path }, i) => [path, i]));
  for (const { path } of trace) {
    const caller = path.replace(/\.?[^.]+$/, "");
    if (places.has(caller) && !ONCE_AN_IMAGE.test(path)) assert.ok(places.get(caller)! < places.get(path)!, path);
  }
  const encoder = trace[0];
  assert.equal(encoder.path, "image_encoder");
  assert.equal(encoder.inputs, [[1, 128, 128, 3]]);
  assert.equal(encoder.output, [
    [1, 32, 32, 64],
    [1, 16, 16, 64],
    [1, 8, 8, 64],
  ]);
  for (const row of trace) {
    assert.ok(row.ms >= 0 && row.peakBytes > 0 && row.parameters >= 0, row.path);
    assert.ok(Math.abs(row.gflops * row.ms - 2000 * row.gmac) < 1e-6 * (1 + row.gmac), row.path);
  }
});

Trace("work is that of the shapes: qkv of block 0 is 1024·16·48 multiply-adds", async () => {
  const qkv = (await rows()).find(({ path }) => path === "image_encoder.trunk.blocks.0.attn.qkv")!;
  assert.equal([qkv.class, qkv.output, qkv.parameters], ["Linear", [1024, 48], 17 * 48]);
  assert.is(Math.round(qkv.gmac * 1e9), 1024 * 16 * 48);
});

Trace("with the goldens' weights nearly all layers are compared with PyTorch: |Δ| ≤ 1e-4 σ", async () => {
  const compared = (await rows()).filter(({ sigma }) => sigma !== undefined);
  assert.ok(compared.length > 150, `${compared.length} layers`);
  const far = compared.filter(({ maxAbs, sigma }) => !(maxAbs! <= 1e-4 * sigma!));
  assert.is(far.map(({ path, maxAbs }) => `${path}: ${maxAbs}`).join("\n"), "");
});

Trace("one weight changed by 1 % shows as a difference from its layer on", async () => {
  const key = "image_encoder.trunk.blocks.3.attn.qkv.weight";
  const { shape, data } = weights.get(key)!;
  writeCheckpoint(
    "wrong.safetensors",
    new Map([...weights, [key, { shape, data: data.map((v, i) => (i === 5 ? v * 1.01 : v)) }]]),
  );
  const { stdout } = await sam2(["trace", "wrong.safetensors", "--json"]);
  const first = (JSON.parse(stdout) as TraceRow[]).find(
    ({ path, maxAbs = 0, sigma = 1 }) => path.includes("blocks.3.") && maxAbs > 1e-4 * sigma,
  );
  assert.is(first?.path, "image_encoder.trunk.blocks.3.attn");
});

Trace("other weights and photos of one's own are not compared", async () => {
  const other = [...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((v) => v / 2) }] as const);
  writeCheckpoint("other.safetensors", new Map(other));
  const { code, stdout } = await sam2(["trace", "other.safetensors", "--json"]);
  assert.is(code, 0);
  assert.ok((JSON.parse(stdout) as TraceRow[]).every((row) => !("maxAbs" in row)));
  writePhoto("photo.png", 60, 40);
  assert.ok((await rows("photo.png")).every((row) => !("maxAbs" in row)));
});

Trace("the table is a tree of at most 120 columns, with totals and a verdict", async () => {
  const { stdout } = await sam2(["trace", "small.safetensors"]);
  const lines = stdout.trimEnd().split("\n");
  const wide = lines.filter((line) => line.length > 120);
  assert.is(wide.join("\n"), "");
  assert.ok(lines.some((line) => /^├ trunk Hiera +1×32×32×16 \+3 +558 K +0\.041 /.test(line)));
  assert.ok(lines.some((line) => line.startsWith("│ ├ layers.1 ≡ layers.0")));
  assert.ok(lines.some((line) => /^total +1\.31 M +0\.051 /.test(line)));
  assert.match(lines.at(-1)!, /^1\d\d layers compared with PyTorch; the farthest is \S+: \|Δ\| = /);
});

Trace(
  "--video shows the memory's layers: 7 maps and 16 pointers are attended to, and the frame is remembered",
  async () => {
    const trace = await rows("--video");
    const of = (path: string) => trace.find((row) => row.path === path)!;
    const { imageSize, dModel: D, memDim: C } = SMALL;
    const E = imageSize / 16;
    const order = ["image_encoder", "memory_attention", "sam_mask_decoder", "obj_ptr_proj", "memory_encoder"];
    const places = order.map((path) => trace.indexOf(of(path)));
    assert.equal(
      places.toSorted((a, b) => a - b),
      places,
    );
    assert.ok(places[0] >= 0);
    const S = 7 * E ** 2 + (16 * D) / C;
    assert.equal(of("memory_attention").inputs.slice(0, 3), [
      [1, E ** 2, D],
      [1, S, C],
      [1, S, C],
    ]);
    assert.equal(of("memory_encoder").output, [1, E, E, C]);
    assert.equal(of("obj_ptr_tpos_proj").output, [16, C]);
    assert.ok(trace.some(({ path }) => path === "memory_attention.layers.0.self_attn"));
    assert.ok(trace.every((row) => !("maxAbs" in row)));
    const { stdout } = await sam2(["trace", "small.safetensors", "--video"]);
    assert.match(stdout, /^SAM 2\.1 small_a · a tracked frame, full memory bank · a drawn picture/);
    assert.match(stdout, /\n├ cross_attn_image RoPEAttention|\n│ ├ cross_attn_image RoPEAttention/);
  },
);

Trace("--video needs the weights of the memory", async () => {
  writeCheckpoint("image.safetensors", without(isMemoryTensor));
  const { code, stdout, stderr } = await sam2(["trace", "image.safetensors", "--video"]);
  assert.equal([code, stdout], [1, ""]);
  assert.match(
    stderr,
    /^sam2: trace --video: expected the weights of the memory, got small_a without them; leave --video/,
  );
});

Trace("--depth 1 shows the roots only, a large depth every layer", async () => {
  const body = async (depth: string) => {
    const { stdout } = await sam2(["trace", "small.safetensors", "--depth", depth]);
    return stdout
      .split("\n")
      .slice(3)
      .findIndex((line) => line.startsWith("─"));
  };
  const trace = await rows();
  const roots = [
    "image_encoder",
    "sam_mask_decoder.conv_s0",
    "sam_mask_decoder.conv_s1",
    "sam_prompt_encoder",
    "sam_mask_decoder",
  ];
  assert.is(await body("1"), roots.length);
  assert.is(await body("99"), trace.length);
});

Trace("a narrow terminal cuts names, never numbers", () => {
  const row = {
    path: "a_long_name_of_a_layer",
    class: "WithALongClass",
    inputs: [],
    output: [1, 2],
    parameters: 5,
    gmac: 0,
    ms: 1,
    gflops: 0,
    peakBytes: 1,
  };
  const [, line] = traceTable([row], { columns: 60, paint: (_, text) => text }).split("\n");
  assert.match(line, /^a_long_name_of_a_layer WithAL… {2}1×2 +5 +1\.00 +1$/);
});

Trace.run();
