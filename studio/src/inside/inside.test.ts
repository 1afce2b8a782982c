// What the page makes of a trace: a tree, pictures, and lines of the source.
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { dryModel } from "../../../docs/nano.ts";
import { edgeTamConfig } from "../../../src/model/config.ts";
import { ImagePredictor } from "../../../src/predict/image_predictor.ts";
import { layerSources } from "../../layer_sources.ts";
import { picturesOf } from "./pictures.ts";
import { sourceOf } from "./sources.ts";
import { modulesOf, type Node, shapeText } from "./tree.ts";

const SIDE = 32;
const image = { width: SIDE, height: SIDE, data: new Uint8Array(SIDE * SIDE * 3) };
const trace = async (...config: Parameters<typeof dryModel>) =>
  new ImagePredictor(await dryModel(...config)).trace(image, { points: [[9, 9]] });
const [tiny, edge] = [await trace(), await trace(edgeTamConfig())];
const sources = layerSources();

const allOf = (nodes: readonly Node[]): Node[] => nodes.flatMap((node) => [node, ...allOf(node.children)]);
const named = (layers: typeof tiny, path: string) => allOf(modulesOf(layers)).find((node) => node.path === path)!;

const Inside = suite("studio's look inside");

Inside("every layer of a trace stands in the tree once, in its module", () => {
  for (const layers of [tiny, edge]) {
    const modules = modulesOf(layers);
    assert.equal(modules.map(({ name }) => name), ["Image encoder", "Prompt encoder", "Mask decoder"]); // prettier-ignore
    const found = allOf(modules).flatMap(({ layer }) => layer?.path ?? []);
    assert.equal(found.toSorted(), layers.map(({ path }) => path).sort());
  }
});

Inside("the blocks of Hiera are folded into stages by what they return", () => {
  const stages = named(tiny, "image_encoder.trunk").children.filter(({ layer }) => !layer);
  assert.equal(stages.map(({ name }) => name), ["stage 1", "stage 2", "stage 3", "stage 4"]); // prettier-ignore
  assert.equal(stages.map(shapeText), ["256×256×96", "128×128×192", "64×64×384", "32×32×768"]);
  assert.equal(stages.map(({ children }) => children.length), [1, 2, 7, 2]); // prettier-ignore
  assert.equal(stages[2].ms, stages[2].children.reduce((sum, { ms }) => sum + ms, 0)); // prettier-ignore
});

Inside("every layer of a click is linked to the lines that make it", () => {
  for (const layers of [tiny, edge]) {
    for (const node of allOf(modulesOf(layers)).filter(({ layer }) => layer)) {
      const source = sourceOf(node, sources);
      assert.ok(source, node.path);
      assert.match(source.code, /\b(layer|productLayer)\(/);
      const line = readFileSync(new URL(`../../../${source.file}`, import.meta.url), "utf8").split("\n")[
        source.line - 1
      ];
      assert.ok(source.code.startsWith(line.trim()), `${source.file}:${source.line}`);
    }
  }
});

Inside("of several builders of a class, the one that runs is linked", () => {
  const builder = (layers: typeof tiny, path: string) => sourceOf(named(layers, path), sources)!.builder;
  assert.is(builder(tiny, "image_encoder.trunk.blocks.3"), "multiScaleBlock");
  assert.is(builder(tiny, "image_encoder.trunk.patch_embed.proj"), "conv2d");
  assert.is(builder(tiny, "image_encoder.neck.convs.0.conv"), "conv1x1");
  assert.is(sourceOf(named(tiny, "sam_mask_decoder.output_upscaling"), sources)!.file, "src/model/mask_decoder.ts");
  const depthwise = edge.filter((layer) => {
    const node = named(edge, layer.path);
    return layer.class.startsWith("Conv2d") && sourceOf(node, sources)!.builder === "depthwiseConv2d";
  });
  assert.ok(depthwise.length > 10, `${depthwise.length}`);
  assert.ok(depthwise.every(({ inputs, output }) => inputs[0].at(-1) === (output as number[]).at(-1)));
});

Inside("a map has the size of its grid, masks are one picture each, and tokens are rows", () => {
  const values = (...shape: number[]) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
  const seen = (...shape: number[]) =>
    picturesOf(values(...shape), shape).map(({ by, width, height }) => `${by} ${width}×${height}`);
  assert.equal(seen(1, 16, 16, 8), ["colours 16×16"]);
  assert.equal(seen(1, 3, 16, 16), ["signs 16×16", "signs 16×16", "signs 16×16"]);
  assert.equal(seen(1, 16, 16, 1), ["signs 16×16"]);
  assert.equal(seen(1, 256, 12), ["colours 16×16"]); // image tokens of the mask decoder
  assert.equal(seen(1, 8, 12), ["signs 12×8"]); // prompt tokens
  assert.equal(seen(256, 12), ["signs 12×256"]); // tokens in the order of windows
  assert.equal(seen(1, 4), ["signs 4×1"]);
});

Inside("few numbers are given as such, and of more than 256 rows every n-th is drawn", () => {
  assert.equal(picturesOf(Float32Array.of(1, -2, 0.5), [1, 3])[0].numbers, [1, -2, 0.5]);
  const rows = Float32Array.from({ length: 1000 * 2 }, (_, i) => Math.floor(i / 2)); // row n holds n
  const [{ height, data }] = picturesOf(rows, [1000, 2]);
  assert.is(height, 250);
  assert.ok(data[4 * 2 * 249] > data[4 * 2 * 249 + 2], "the last is red");
});

Inside.run();
