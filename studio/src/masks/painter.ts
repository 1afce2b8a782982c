/** The painter as the page sees it. */
import type { Answer, LabelMap, Order, Question, Questions } from "./protocol.ts";

export interface Painter {
  /** What is drawn with `tell` is seen soon; a later order replaces an earlier one. */
  tell(order: Order, transfer?: Transferable[]): void;
  ask<K extends keyof Questions>(
    type: K,
    asks: Questions[K]["asks"],
    transfer?: Transferable[],
  ): Promise<Questions[K]["answers"]>;
  /** Whoever wants to know which mask is where, after `drawAll`. */
  onLabels?: (map: LabelMap) => void;
}

export function painter(): Painter {
  const worker = new Worker(new URL("./painter_worker.ts", import.meta.url), { type: "module", name: "painter" });
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  let ids = 0;
  const made: Painter = {
    tell: (order, transfer = []) => worker.postMessage(order, transfer),
    ask: (type, asks, transfer = []) =>
      new Promise((resolve, reject) => {
        const id = ids++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ type, id, ...asks } as Question, transfer);
      }),
  };
  worker.addEventListener("message", ({ data }: MessageEvent<Answer | LabelMap>) => {
    if ("labels" in data) {
      made.onLabels?.(data);
      return;
    }
    const asker = waiting.get(data.id)!;
    waiting.delete(data.id);
    if (data.error === undefined) asker.resolve(data.value as never);
    else asker.reject(new Error(data.error));
  });
  return made;
}
