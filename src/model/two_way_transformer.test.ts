// The transformer in three forms: as in a textbook, with what prompts on an image share, and with nothing of the image projected.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { difference } from "../../tests/tables.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { watch } from "../nn/layer.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { narrow, type Tensor, values } from "../tensor/view.ts";
import { variantConfig } from "./config.ts";
import { fewTokensTransformer } from "./few_tokens.ts";
import { parameters } from "./parameters.ts";
import { sharedImageTransformer } from "./shared_image.ts";
import { type TwoWayTransformer, twoWayTransformer } from "./two_way_transformer.ts";

setPlatform(nodePlatform);

const [MLP, S] = [96, 49];
const PREFIX = "sam_mask_decoder.transformer";

function randomWeights(D: number) {
  const next = random(3);
  const config = { ...variantConfig("tiny", "2.1"), dModel: D, decoderMlpDim: MLP };
  const shapes = [...parameters(config)].filter(([key]) => key.startsWith(PREFIX));
  return new Map(
    shapes.map(([key, shape]) => {
      const scale = shape.length > 1 ? 2 / Math.sqrt(shape[1]) : 0.5;
      const data = Float32Array.from({ length: numel(shape) }, () => scale * next());
      return [key, { dtype: "F32" as const, shape, read: (into: Float32Array) => into.set(data) }];
    }),
  );
}

type Fill = (shape: number[]) => Tensor;

async function onWeights(kernels: KernelChoice, D: number, body: (textbook: TwoWayTransformer, fill: Fill) => void) {
  const machine = await createMachine({ kernels, threads: 1 });
  withMachine(machine, () => {
    const next = random(4);
    const w = new Weights(randomWeights(D), machine.heap).at(PREFIX);
    body(twoWayTransformer(w, D, MLP), (shape) =>
      machine.heap.from(Float32Array.from({ length: numel(shape) }, next), shape),
    );
  });
}

const Shared = suite("sharedImageTransformer");

for (const kernels of ["portable", "auto"] as const) {
  for (const [B, N] of [
    [1, 8],
    [3, 7],
    [2, 20],
  ]) {
    Shared(`gives ${B} prompts of ${N} tokens the bits of the textbook transformer (${kernels})`, async () => {
      const D = 64;
      await onWeights(kernels, D, (textbook, fill) => {
        const { share, transform } = sharedImageTransformer(textbook);
        const [image, imagePe, tokens] = [fill([1, S, D]), fill([S, D]), fill([B, N, D])];
        const [queries, keys] = transform(share(image, imagePe), imagePe, tokens);
        for (let b = 0; b < B; b++) {
          const [wantQueries, wantKeys] = textbook.transform(image, imagePe, narrow(tokens, 0, b, 1));
          same(narrow(queries, 0, b, 1), wantQueries, "tokens");
          same(narrow(keys, 0, b, 1), wantKeys, "image");
        }
      });
    });
  }
}

Shared.run();

const Few = suite("fewTokensTransformer");
const BOUND = 3e-6;

for (const kernels of ["portable", "auto"] as const) {
  for (const [B, N] of [
    [1, 8],
    [3, 7],
    [2, 15],
  ]) {
    Few(
      `is within ${BOUND} of the textbook for ${B} prompts of ${N} tokens, shared image or not (${kernels})`,
      async () => {
        const D = 256;
        await onWeights(kernels, D, (textbook, fill) => {
          const { share } = sharedImageTransformer(textbook);
          const { pays, transform } = fewTokensTransformer(textbook, D);
          assert.ok(pays(N));
          const [images, imagePe, tokens] = [fill([B, S, D]), fill([S, D]), fill([B, N, D])];
          const own = transform(images, imagePe, tokens);
          const shared = transform(share(narrow(images, 0, 0, 1), imagePe), imagePe, tokens);
          for (let b = 0; b < B; b++) {
            const prompt = narrow(tokens, 0, b, 1);
            const want = textbook.transform(narrow(images, 0, b, 1), imagePe, prompt);
            const wantShared = textbook.transform(narrow(images, 0, 0, 1), imagePe, prompt);
            for (const k of [0, 1]) {
              const worst = difference(narrow(own[k], 0, b, 1), want[k]);
              assert.ok(worst > 0 && worst < BOUND, `image of its own: relative |Δ| ${worst}`);
              const worstShared = difference(narrow(shared[k], 0, b, 1), wantShared[k]);
              assert.ok(worstShared > 0 && worstShared < BOUND, `shared image: relative |Δ| ${worstShared}`);
            }
          }
        });
      },
    );
  }
}

Few("gives a prompt in a batch the bits that it has alone", async () => {
  const D = 256;
  await onWeights("auto", D, (textbook, fill) => {
    const { share } = sharedImageTransformer(textbook);
    const { transform } = fewTokensTransformer(textbook, D);
    const [image, imagePe, tokens] = [fill([1, S, D]), fill([S, D]), fill([5, 8, D])];
    const all = transform(share(image, imagePe), imagePe, tokens);
    const one = transform(share(image, imagePe), imagePe, narrow(tokens, 0, 3, 1));
    for (const k of [0, 1]) same(narrow(all[k], 0, 3, 1), one[k], `output ${k}`);
  });
});

for (const kernels of ["portable", "auto"] as const) {
  Few(`gives the same bits while it is watched, layer by layer (${kernels})`, async () => {
    const D = 256;
    const results: [Float32Array, Float32Array][] = [];
    await onWeights(kernels, D, (textbook, fill) => {
      const { share } = sharedImageTransformer(textbook);
      const { transform } = fewTokensTransformer(textbook, D);
      const [images, imagePe, tokens] = [fill([2, S, D]), fill([S, D]), fill([2, 7, D])];
      const shared = share(narrow(images, 0, 1, 1), imagePe);
      for (const image of [images, shared]) {
        const at = () =>
          transform(image, imagePe, tokens).map((t) => values(t).slice()) as [Float32Array, Float32Array];
        const norms: string[] = [];
        results.push(at());
        void watch(
          ({ path }) => void (path.endsWith("norm4") && norms.push(path)),
          () => void results.push(at()),
        );
        assert.is(norms.length, 2, "norms that the watcher sees");
      }
    });
    for (const k of [0, 2]) assert.equal(results[k], results[k + 1]);
  });
}

Few("does not pay for many tokens or thin embeddings", async () => {
  await onWeights("auto", 64, (textbook) => assert.not(fewTokensTransformer(textbook, 64).pays(8)));
  await onWeights("auto", 256, (textbook) => assert.not(fewTokensTransformer(textbook, 256).pays(16)));
});

Few.run();

function same(got: Tensor, want: Tensor, what: string): void {
  const [g, w] = [values(got), values(want)];
  const at = g.findIndex((value, i) => value !== w[i]);
  assert.is(at, -1, `${what}: value ${at}: expected ${w[at]}, got ${g[at]}`);
}
