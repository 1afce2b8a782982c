import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { narrow, type Tensor, values } from "../tensor/view.ts";
import { parameters } from "./parameters.ts";
import { variantConfig } from "./config.ts";
import { sharedImageTransformer } from "./shared_image.ts";
import { twoWayTransformer } from "./two_way_transformer.ts";

setPlatform(nodePlatform);

const [D, MLP, S] = [64, 96, 49];
const config = { ...variantConfig("tiny", "2.1"), dModel: D, decoderMlpDim: MLP };
const PREFIX = "sam_mask_decoder.transformer.";

/** Random weights of a two-way transformer. */
function randomWeights() {
  const next = random(3);
  const shapes = [...parameters(config)].filter(([key]) => key.startsWith(PREFIX));
  return new Map(
    shapes.map(([key, shape]) => {
      const scale = shape.length > 1 ? 2 / Math.sqrt(shape[1]) : 0.5;
      const data = Float32Array.from({ length: numel(shape) }, () => scale * next());
      return [key, { dtype: "F32" as const, shape, read: (into: Float32Array) => into.set(data) }];
    }),
  );
}

const Shared = suite("sharedImageTransformer");

for (const kernels of ["portable", "auto"] as const) {
  for (const [B, N] of [
    [1, 8],
    [3, 7],
    [2, 20],
  ]) {
    Shared(`gives ${B} prompts of ${N} tokens the bits of the textbook transformer (${kernels})`, async () => {
      const machine = await createMachine({ kernels, threads: 1 });
      withMachine(machine, () => {
        const next = random(4);
        const tensor = (shape: number[]) => machine.heap.from(Float32Array.from({ length: numel(shape) }, next), shape);
        const textbook = twoWayTransformer(new Weights(randomWeights(), machine.heap).at(PREFIX.slice(0, -1)), D, MLP);
        const { share, transform } = sharedImageTransformer(textbook);
        const [image, imagePe, tokens] = [tensor([1, S, D]), tensor([S, D]), tensor([B, N, D])];
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

function same(got: Tensor, want: Tensor, what: string): void {
  const [g, w] = [values(got), values(want)];
  const at = g.findIndex((value, i) => value !== w[i]);
  assert.is(at, -1, `${what}: value ${at}: expected ${w[at]}, got ${g[at]}`);
}

Shared.run();
