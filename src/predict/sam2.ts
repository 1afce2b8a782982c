import type { Weights } from "../io/weights.ts";
import type { Sam2Config } from "../model/config.ts";
import { type Sam2Graph, sam2 } from "../model/sam2.ts";
import { type Machine, withMachine } from "../runtime/machine.ts";

/** A model that is loaded and ready: the graph, and the machine that it runs on. */
export class Sam2 {
  readonly config: Sam2Config;
  readonly machine: Machine;
  readonly #graph: Sam2Graph;

  constructor(machine: Machine, weights: Weights, config: Sam2Config) {
    this.config = config;
    this.machine = machine;
    this.#graph = withMachine(machine, () => sam2(weights, config));
  }

  /** Run part of the graph; what it allocates and does not return is freed. */
  run<R>(forward: (graph: Sam2Graph) => R, signal?: AbortSignal): R {
    return withMachine(this.machine, () => {
      this.machine.signal = signal;
      try {
        return this.machine.heap.scope(() => forward(this.#graph));
      } finally {
        this.machine.signal = undefined;
      }
    });
  }
}
