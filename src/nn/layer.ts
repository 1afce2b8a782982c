import type { Weights } from "../io/weights.ts";
import { machine } from "../runtime/machine.ts";
import type { Tensor } from "../tensor/view.ts";

/** One finished forward pass of one layer. Tensors in it live only until the watcher returns: copy what you keep. */
export interface LayerEvent {
  /** checkpoint prefix = golden key = row of `sam2 trace`, e.g. `image_encoder.trunk.blocks.0.attn` */
  path: string;
  /** name of the reference class */
  class: string;
  /** 0 for the first layer that started; sorts events into execution order */
  order: number;
  args: readonly unknown[];
  output: unknown;
  ms: number;
  macs: number;
  parameters: number;
  /** the most heap bytes in use while the layer ran, weights included */
  peakBytes: number;
}

let watcher: ((event: LayerEvent) => void) | undefined;
let started = 0;

/** Are layers watched? What is one step for speed is done layer by layer then. */
export function isWatched(): boolean {
  return watcher !== undefined;
}

/** See every layer of a run as it finishes. */
export async function watch<R>(see: (event: LayerEvent) => void, run: () => R | Promise<R>): Promise<R> {
  watcher = see;
  started = 0;
  try {
    return await run();
  } finally {
    watcher = undefined;
  }
}

/**
 * Give `forward` its place in the graph: a name (w.prefix), a memory scope that frees all but the result, a probe
 * point, a point where an aborted call stops, and one where progress is told.
 *
 * @throws the signal's reason, when the call was aborted
 */
export function layer<A extends readonly unknown[], R>(w: Weights, name: string, forward: (...args: A) => R) {
  return (...args: A): R => {
    machine.signal?.throwIfAborted();
    const output = watcher ? probed(w, name, forward, args) : machine.heap.scope(() => forward(...args));
    machine.onLayer?.();
    return output;
  };
}

/**
 * Layers one after the other: what each was given is freed once it has answered. So is x, if it is `spent`: if nobody reads
 * it afterwards but who watches layers.
 */
export function inTurn(x: Tensor, layers: readonly ((x: Tensor) => Tensor)[], spent = false): Tensor {
  return layers.reduce((given, layer) => {
    const output = layer(given);
    if (given !== x || (spent && !watcher)) machine.heap.free(given);
    return output;
  }, x);
}

function probed<A extends readonly unknown[], R>(w: Weights, name: string, forward: (...args: A) => R, args: A): R {
  const { heap } = machine;
  const order = started++;
  const macs = machine.macs;
  const outerPeak = heap.peakBytes;
  heap.resetPeak();
  const start = performance.now();
  const output = heap.scope(() => forward(...args));
  const ms = performance.now() - start;
  const peakBytes = heap.peakBytes;
  heap.resetPeak(Math.max(outerPeak, peakBytes));
  watcher!({
    path: w.prefix,
    class: name,
    order,
    args,
    output,
    ms,
    macs: machine.macs - macs,
    parameters: w.parameterCount(),
    peakBytes,
  });
  return output;
}
