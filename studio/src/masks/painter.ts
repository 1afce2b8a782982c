/** The painter as the page sees it. */
import { type Store, store } from "../state/store.ts";
import type { Answer, LabelMap, Order, Question, Questions } from "./protocol.ts";

export interface Painter {
  /** What is drawn with `tell` is seen soon; a later order replaces an earlier one. */
  tell(order: Order, transfer?: Transferable[]): void;
  /** @throws Error in one sentence for a visitor */
  ask<K extends keyof Questions>(
    type: K,
    asks: Questions[K]["asks"],
    transfer?: Transferable[],
  ): Promise<Questions[K]["answers"]>;
  /** Whoever wants to know which mask is where, after `drawAll`. */
  onLabels?: (map: LabelMap) => void;
  /** Which painter it is: when one dies, the next needs canvases of its own. */
  readonly turn: Store<number>;
}

const DIED = "The program that draws masks stopped, and was started again; do that once more.";
/** One that dies sooner would do so again and again. */
const SHORTEST_LIFE_MS = 2000;

export function painter(): Painter {
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  const turn = store(0);
  let ids = 0;
  let worker = started();
  const made: Painter = {
    turn,
    tell: (order, transfer = []) => worker.postMessage(order, transfer),
    ask: (type, asks, transfer = []) =>
      new Promise((resolve, reject) => {
        const id = ids++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ type, id, ...asks } as Question, transfer);
      }),
  };

  function started(): Worker {
    const own = new Worker(new URL("./painter_worker.ts", import.meta.url), { type: "module", name: "painter" });
    const birth = performance.now();
    own.addEventListener("error", () => {
      if (own !== worker) return;
      own.terminate();
      for (const { reject } of waiting.values()) reject(new Error(DIED));
      waiting.clear();
      if (performance.now() - birth < SHORTEST_LIFE_MS) return;
      worker = started();
      turn.set(turn.get() + 1);
    });
    own.addEventListener("message", ({ data }: MessageEvent<Answer | LabelMap>) => {
      if ("labels" in data) {
        made.onLabels?.(data);
        return;
      }
      const asker = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error === undefined) asker?.resolve(data.value as never);
      else asker?.reject(new Error(data.error));
    });
    return own;
  }
  return made;
}
