// Position encodings, which are made when the graph is built, against PyTorch.
import "../src/index.node.ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Weights } from "../src/io/weights.ts";
import { parameters } from "../src/model/parameters.ts";
import { positionEmbeddingRandom, sinePositionEncoding } from "../src/model/position_encoding.ts";
import { createMachine, type KernelChoice } from "../src/runtime/create.ts";
import { withMachine } from "../src/runtime/machine.ts";
import { Golden } from "./golden.ts";
import { hashWeights } from "./hash_weights.ts";

const Encoding = suite("position encodings");

for (const kernels of ["reference", "portable", "auto"] satisfies KernelChoice[]) {
  const machine = await createMachine({ kernels });

  for (const name of ["small_a.image_encoder", "small_b.image_encoder"]) {
    Encoding(`sines of ${name} are within 5e-7 of PyTorch's (${kernels})`, () => {
      const golden = new Golden(name);
      const { dModel, imageSize } = golden.entry.model;
      for (const [level, stride] of [4, 8, 16, 32].entries()) {
        const side = imageSize / stride;
        const sines = withMachine(machine, () => sinePositionEncoding(side, side, dModel));
        const { maxAbs, text } = golden.compareTensor(`image_encoder.neck#${4 + level}`, sines);
        assert.ok(maxAbs <= 5e-7, text);
      }
    });
  }

  for (const name of ["small_a.sam_heads.click", "small_b.sam_heads.click_20"]) {
    Encoding(`Fourier features of ${name}'s grid are within 1e-5 of PyTorch's (${kernels})`, () => {
      const golden = new Golden(name);
      const { dModel, imageSize } = golden.entry.model;
      const weights = new Weights(hashWeights(parameters(golden.entry.model)), machine.heap);
      const dense = withMachine(machine, () =>
        positionEmbeddingRandom(weights.at("sam_prompt_encoder.pe_layer"), dModel).grid(imageSize / 16, imageSize / 16),
      );
      const { maxAbs, text } = golden.compareTensor("sam_prompt_encoder.dense_pe", dense);
      assert.ok(maxAbs <= 1e-5, text);
    });
  }
}

Encoding.run();
