// Threads on whole models: any number of them gives the same bits, in every layer; what happens when one is lost.
import "../src/index.node.ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EngineError } from "../src/errors.ts";
import { Weights } from "../src/io/weights.ts";
import { parameters } from "../src/model/parameters.ts";
import { watch } from "../src/nn/layer.ts";
import { preprocess } from "../src/predict/preprocess.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { createMachine, type KernelChoice } from "../src/runtime/create.ts";
import { toBfloat16 } from "../src/tensor/bfloat16.ts";
import { type Tensor, values } from "../src/tensor/view.ts";
import { Golden } from "../golden/golden.ts";
import { goldenImage } from "../golden/hash_image.ts";
import { hashWeights } from "../golden/hash_weights.ts";

async function threadedModel(name: string, kernels: KernelChoice, threads: number): Promise<Sam2> {
  const config = new Golden(`${name}.image_encoder`).entry.model;
  const machine = await createMachine({ kernels, threads });
  return new Sam2(machine, new Weights(hashWeights(parameters(config)), machine.heap), config);
}

/** A click on a frame, then tracking to a second one: `path hash` of every layer of the image and memory path. */
async function layersOf(model: Sam2): Promise<string[]> {
  const seen: string[] = [];
  const { imageSize: size } = model.config;
  const image = { width: 320, height: 200, data: goldenImage(1, 320, 200) };
  await watch(
    ({ path, output }) => {
      seen.push(`${path} ${tensorsOf(output).map(bits)}`);
    },
    () =>
      model.run(({ forwardImage, tracker }) => {
        const { trackStep, encodeMemory, lookAround } = tracker!;
        const features = forwardImage(preprocess(image, size));
        const points = {
          coords: model.machine.heap.from(new Float32Array(2).fill(size / 2), [1, 1, 2]),
          labels: [[1]],
        };
        const first = trackStep(features, { points });
        const maskmemFeatures = toBfloat16(values(encodeMemory(features, first, true)));
        const bank = {
          cond: new Map([[0, { maskmemFeatures, objPtr: values(first.objPtr).slice() }]]),
          nonCond: new Map(),
        };
        const at = { frame: 1, numFrames: 8, reverse: false };
        const second = trackStep(features, {}, { bank, at, attended: lookAround(features) });
        seen.push(`second frame ${bits(second.highResMasks)}`);
      }),
  );
  return seen;
}

function tensorsOf(output: unknown): Tensor[] {
  if (typeof output !== "object" || output === null || ArrayBuffer.isView(output)) return [];
  return "stride" in output ? [output as Tensor] : Object.values(output).flatMap(tensorsOf);
}

/** FNV-1a over the words of a tensor's block. */
function bits({ data }: Tensor): number {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length);
  let h = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) h = Math.imul(h ^ words[i], 0x01000193);
  return h;
}

const Threads = suite("threads");

const CASES: [name: string, kernels: KernelChoice, threads: number[]][] = [
  ["small_a", "portable", [2, 3, 4, 8]],
  ["small_a", "auto", [2]],
  ["small_b", "portable", [2]],
  ["small_b", "auto", [2, 3, 4, 8]],
  ["edge_small", "portable", [2, 3]],
  ["edge_small", "auto", [2, 4, 8]],
];
for (const [name, kernels, counts] of CASES) {
  Threads(`${counts.join(", ")} give the bits of 1 in every layer of ${name} (${kernels})`, async () => {
    const want = await layersOf(await threadedModel(name, kernels, 1));
    assert.ok(want.length > 200, `${want.length} layers`);
    for (const threads of counts) {
      const model = await threadedModel(name, kernels, threads);
      for (const run of ["first", "second"]) {
        const got = await layersOf(model); // helpers may be late for the first
        const at = want.findIndex((line, i) => got[i] !== line);
        assert.ok(at < 0, `${threads} threads, ${run} run: expected ${want[at]}, got ${got[at]}`);
      }
      model.dispose();
    }
  });
}

Threads("a machine that was disposed of refuses to work, by a typed error", async () => {
  const model = await threadedModel("small_a", "portable", 2);
  model.dispose();
  assert.ok((await layersOf(model).catch((error) => error)) instanceof EngineError);
});

Threads.run();
