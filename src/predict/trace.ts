import type { LayerEvent } from "../nn/layer.ts";
import { type Tensor, values } from "../tensor/view.ts";

/** One layer of a run, as `sam2 trace --json` shows it. */
export interface LayerTrace {
  /** in the model, as in the checkpoint: `image_encoder.trunk.blocks.0.attn` */
  path: string;
  /** name of the reference class */
  class: string;
  /** shapes of what it was given */
  inputs: number[][];
  /** its shape, channels last; several if the layer returns several tensors */
  output: number[] | number[][];
  /** weights in it, those of the layers within included */
  parameters: number;
  /** 10⁹ multiply-adds */
  gmac: number;
  /** the layers within included */
  ms: number;
  /** two operations for each multiply-add */
  gflops: number;
  /** the most that the model's memory held meanwhile, weights included */
  peakBytes: number;
  /** what it returned, row by row, a tensor each; of layers whose values were asked for */
  values?: Float32Array[];
}

/** A finished layer, as plain data that lives on. */
export function layerTrace(event: LayerEvent, withValues = false): LayerTrace {
  const { path, class: name, args, output, parameters, macs, ms, peakBytes } = event;
  const outputs = shapesOf(output);
  return {
    path,
    class: name,
    inputs: shapesOf(args),
    output: outputs.length === 1 ? outputs[0] : outputs,
    parameters,
    gmac: macs / 1e9,
    ms,
    gflops: (2 * macs) / ms / 1e6,
    peakBytes,
    ...(withValues && { values: tensorsOf(output).map((tensor) => values(tensor).slice()) }),
  };
}

/** Shapes of the tensors in a value, in order. */
export function shapesOf(value: unknown): number[][] {
  return tensorsOf(value).map(({ shape }) => [...shape]);
}

function tensorsOf(value: unknown): Tensor[] {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  if ("stride" in value) return [value as Tensor];
  return Object.values(value).flatMap(tensorsOf);
}
