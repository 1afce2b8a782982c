// The fine levels pass the neck's convolution and the decoder's as one, unless layers are watched: both ways give the same.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Golden } from "../../golden/golden.ts";
import { goldenImage } from "../../golden/hash_image.ts";
import { hashModel } from "../../golden/run_case.ts";
import { watch } from "../nn/layer.ts";
import { preprocess } from "../predict/preprocess.ts";
import { values } from "../tensor/view.ts";

const Features = suite("forwardImage");

for (const name of ["small_a", "small_b", "edge_small"]) {
  Features(`${name}: conv_s0 and conv_s1 joined to the neck give what they give after it within 3e-6 σ`, async () => {
    const { model: config } = new Golden(`${name}.image_encoder`).entry;
    const model = await hashModel(config, "auto");
    const { machine } = model;
    const photo = { width: 90, height: 70, data: goldenImage(3, 90, 70) };
    const run = () => {
      const before = machine.macs;
      const features = model.run(({ forwardImage }) => {
        const { visionFeatures, highResFeats } = forwardImage(preprocess(photo, config.imageSize));
        return [...highResFeats, visionFeatures].map((t) => values(t).slice());
      });
      return { features, macs: machine.macs - before };
    };
    const paths: string[] = [];
    const apart = await watch(({ path }) => paths.push(path), run);
    const joined = run();
    assert.ok(paths.includes("sam_mask_decoder.conv_s0") && paths.includes("image_encoder.neck.convs.3.conv"));
    for (const [i, want] of apart.features.entries()) {
      const got = joined.features[i];
      assert.is(got.length, want.length);
      const far = want.reduce((max, value, at) => Math.max(max, Math.abs(got[at] - value)), 0);
      const σ = Math.sqrt(want.reduce((sum, value) => sum + value ** 2, 0) / want.length);
      assert.ok(σ > 0.1 && far <= 3e-6 * σ, `level ${i}: |Δ| ${far}, σ ${σ}`);
    }

    const { imageSize: R, dModel: D } = config;
    const channels = "embedDims" in config ? config.embedDims : [config.embedDim, 2 * config.embedDim];
    const saved = [4, 8].map((stride, level) => {
      const [K, N] = [channels[level], D / (8 >> level)];
      return (R / stride) ** 2 * (K * D + D * N - K * N);
    });
    assert.is(apart.macs - joined.macs, saved[0] + saved[1]);
    model.dispose();
  });
}

Features.run();
