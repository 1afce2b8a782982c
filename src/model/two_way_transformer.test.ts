// The transformer in four forms: as in a textbook, with what prompts on an image share, with nothing of the image projected, and
// with the image of a click as a mixture.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { difference } from "../../tests/tables.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { watch } from "../nn/layer.ts";
import { multiply, packed } from "../nn/linear.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { machine, withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { narrow, select, type Tensor, values } from "../tensor/view.ts";
import { variantConfig } from "./config.ts";
import { fewTokensTransformer } from "./few_tokens.ts";
import { isWide, type MixedImage, mixtureTransformer, type SharedReadings } from "./mixture.ts";
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
  const created = await createMachine({ kernels, threads: 1 });
  withMachine(created, () => {
    const next = random(4);
    const w = new Weights(randomWeights(D), created.heap).at(PREFIX);
    body(twoWayTransformer(w, D, MLP), (shape) =>
      created.heap.from(Float32Array.from({ length: numel(shape) }, next), shape),
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

const Mixed = suite("mixtureTransformer");

/** What a projection reads of the image of one prompt. @shape → [2, S, D/2] */
function cellsAsRead(
  clicks: ReturnType<typeof mixtureTransformer>,
  mixed: MixedImage,
  shared: SharedReadings,
  b: number,
) {
  const { dc1, shared: ofAll } = clicks.cellsOf(mixed, shared);
  return dc1.weights.map(({ data, N, K }, p) => {
    const own = { data: narrow(data, 0, b * N, N), N, K };
    const bias = select(dc1.bias, 0, p);
    const read = multiply(machine.heap.alloc([S, N]), select(mixed.mixture.weights, 0, b), own, { bias });
    const [of, scales] = [values(ofAll.cells[p]), values(select(ofAll.scales, 0, b))];
    const out = values(read);
    for (let i = 0; i < out.length; i++) out[i] += scales[Math.floor(i / N)] * of[i];
    return read;
  });
}

for (const kernels of ["portable", "auto"] as const) {
  for (const B of [1, 3]) {
    Mixed(`is within ${BOUND} of the textbook for ${B} clicks, what the upscaling reads too (${kernels})`, async () => {
      const D = 256;
      await onWeights(kernels, D, (textbook, fill) => {
        const cells = fill([2, D / 2, D]);
        const bias = fill([D / 2]);
        const clicks = mixtureTransformer(textbook, () => cells, bias, D);
        assert.ok(isWide(D) && clicks.pays(8) && !clicks.pays(9));
        const [image, imagePe, tokens] = [fill([1, S, D]), fill([S, D]), fill([B, 8, D])];
        const shared = clicks.share(select(image, 0, 0), imagePe);
        const of = sharedImageTransformer(textbook).share(image, imagePe);
        const [queries, , mixed] = clicks.transform(of, shared, imagePe, tokens);
        for (let b = 0; b < B; b++) {
          const [wantQueries, wantKeys] = textbook.transform(image, imagePe, narrow(tokens, 0, b, 1));
          const worst = difference(narrow(queries, 0, b, 1), wantQueries);
          assert.ok(worst > 0 && worst < BOUND, `tokens: relative |Δ| ${worst}`);
          for (const [p, got] of cellsAsRead(clicks, mixed, shared, b).entries()) {
            const want = multiply(machine.heap.alloc([S, D / 2]), select(wantKeys, 0, 0), packed(select(cells, 0, p)), {
              bias,
            });
            const worst = difference(got, want);
            assert.ok(worst > 0 && worst < BOUND, `half ${p} of the cells: relative |Δ| ${worst}`);
          }
        }
      });
    });
  }

  Mixed(`gives a click among others, and one that is watched, the bits that it has alone (${kernels})`, async () => {
    const D = 256;
    await onWeights(kernels, D, (textbook, fill) => {
      const cells = fill([2, D / 2, D]);
      const clicks = mixtureTransformer(textbook, () => cells, fill([D / 2]), D);
      const [image, imagePe, tokens] = [fill([1, S, D]), fill([S, D]), fill([5, 8, D])];
      const shared = clicks.share(select(image, 0, 0), imagePe);
      const of = sharedImageTransformer(textbook).share(image, imagePe);
      const [all, , mixed] = clicks.transform(of, shared, imagePe, tokens);
      const run = () => clicks.transform(of, shared, imagePe, narrow(tokens, 0, 3, 1));
      const [alone, plain, lone] = run();
      assert.is(plain, undefined, "the image itself, which nobody asked for");
      same(narrow(all, 0, 3, 1), alone, "tokens");
      same(narrow(mixed.mixture.weights, 0, 3, 1), lone.mixture.weights, "weights");
      same(narrow(mixed.mixture.scales, 0, 3, 1), lone.mixture.scales, "scales");
      const [, wantKeys] = textbook.transform(image, imagePe, narrow(tokens, 0, 3, 1));
      void watch(
        () => {},
        () => {
          const [watched, keys, seen] = run();
          same(watched, alone, "watched tokens");
          same(seen.mixture.weights, lone.mixture.weights, "watched weights");
          assert.ok(difference(keys!, wantKeys) < BOUND, "the image as it is shown");
        },
      );
    });
  });
}

Mixed("needs heads of whole panels", () => assert.not(isWide(128)));

Mixed.run();

function same(got: Tensor, want: Tensor, what: string): void {
  const [g, w] = [values(got), values(want)];
  const at = g.findIndex((value, i) => value !== w[i]);
  assert.is(at, -1, `${what}: value ${at}: expected ${w[at]}, got ${g[at]}`);
}
