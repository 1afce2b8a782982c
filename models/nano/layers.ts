/** The layers of nano as the demo's scene passes through them, timed, and compared with what PyTorch returned for each. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { comparer, Golden } from "../../golden/golden.ts";
import type { GoldenEntry } from "../../golden/manifest.ts";
import goldens from "../../golden/nano_layers.json" with { type: "json" };
import type { Parity } from "../../src/cli/parity.ts";
import { Status } from "../../src/cli/io.ts";
import { layers } from "../../src/cli/trace.ts";
import { clickedPicture } from "../../src/cli/trace_runs.ts";
import type { TraceRow } from "../../src/cli/trace_table.ts";
import { DEMO_MODEL } from "../../src/io/demo_model.ts";
import { Sam2 } from "../../src/predict/sam2.ts";
import { still } from "./scenes.ts";

/** What `sam2 trace` shows; without |Δ| while the goldens are of other weights. */
export async function traceLayers(): Promise<TraceRow[]> {
  const golden = new Golden("nano.layers", goldens as unknown as GoldenEntry);
  const image = still(goldens.scene.seed, goldens.scene.size);
  const { see, results } = comparer(golden);
  const comparable = isOfTheseWeights();
  const parity: Parity = {
    image,
    coords: golden.input("point_coords").data,
    labels: [...golden.input("point_labels").data],
    multimask: goldens.multimask,
    compare(event) {
      if (!comparable) return undefined;
      see(event);
      const [worst] = results.splice(0).sort((a, b) => b.maxAbs / b.std - a.maxAbs / a.std);
      return worst && { maxAbs: worst.maxAbs, sigma: worst.std };
    },
  };
  const silent = { stdout: process.stdout, stderr: process.stderr, env: {}, signal: new AbortController().signal };
  const sam2 = await Sam2.fromPretrained(DEMO_MODEL.url);
  try {
    return await layers(() => clickedPicture(sam2, image, parity, silent.signal), parity, new Status(silent, true));
  } finally {
    sam2.dispose();
  }
}

/** Was golden/reference/export_nano_layers.py run with nano.safetensors as it is? */
export function isOfTheseWeights(): boolean {
  return createHash("sha256").update(readFileSync(DEMO_MODEL.url)).digest("hex") === goldens.weights;
}
