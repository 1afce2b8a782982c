/** The painter as the page sees it. */
import { startWorker } from "../media/start_worker.ts";
import { type Asked, asked } from "../media/worker_calls.ts";
import { type Store, store } from "../state/store.ts";
import type { LabelMap, Order, Questions } from "./protocol.ts";

/** What is drawn with `tell` is seen soon; a later order replaces an earlier one. */
export interface Painter extends Pick<Asked<Questions, Order>, "ask" | "tell"> {
  /** Whoever wants to know which mask is where, after `drawAll`. */
  onLabels?: (map: LabelMap) => void;
  /** Which painter it is: when one dies, the next needs canvases of its own. */
  readonly turn: Store<number>;
}

const DIED = "The program that draws masks stopped, and was started again; do that once more.";
/** One that dies sooner would do so again and again. */
const SHORTEST_LIFE_MS = 2000;

export function painter(): Painter {
  const turn = store(0);
  const { ask, tell } = asked<Questions, Order, LabelMap>(() => startWorker("painter"), DIED, {
    onTold: (map) => made.onLabels?.(map),
    onDeath: (age) => age >= SHORTEST_LIFE_MS && turn.set(turn.get() + 1),
  });
  const made: Painter = { ask, tell, turn };
  return made;
}
