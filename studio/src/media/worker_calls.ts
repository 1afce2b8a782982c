/**
 * A worker that answers questions: asked here, each by its number, and answered there one after the other. What is told, from
 * either side, has no number and no answer.
 */

/** By name what is asked and what is answered. */
export type Calls<C> = { [K in keyof C]: { asks: unknown; answers: unknown } };

export interface Asked<C extends Calls<C>, Told = never> {
  /** @param transfer what is given away with the question */
  ask<K extends keyof C>(type: K, asks: C[K]["asks"], transfer?: Transferable[]): Promise<C[K]["answers"]>;
  tell(told: Told, transfer?: Transferable[]): void;
  /** End the worker until it is asked again; what was asked is rejected. */
  rest(): void;
  /** End it for good. */
  close(): void;
}

interface Question {
  id: number;
  type: string;
  asks: unknown;
}
type Answer = { id: number; value: unknown; error?: undefined } | { id: number; error: string };

interface Events<Tells> {
  /** It says something that was not asked. */
  onTold?(told: Tells): void;
  /** @param age ms since it was started */
  onDeath?(age: number): void;
}

/**
 * Whoever dies is started anew by the next question.
 *
 * @param died a sentence for visitors, if the worker cannot go on
 */
export function asked<C extends Calls<C>, Told = never, Tells = never>(
  start: () => Worker,
  died: string,
  { onTold, onDeath }: Events<Tells> = {},
): Asked<C, Told> {
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  let ids = 0;
  let worker: Worker | undefined = started();
  let isClosed = false;
  const closed = () => new DOMException("It was closed.", "AbortError");

  function started(): Worker {
    const own = start();
    const birth = performance.now();
    own.addEventListener("error", () => {
      if (own !== worker) return;
      fail(new Error(died));
      onDeath?.(performance.now() - birth);
    });
    own.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      if (!("id" in data)) return onTold?.(data);
      const asker = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error === undefined) asker?.resolve(data.value as never);
      else asker?.reject(new Error(data.error));
    });
    return own;
  }

  function fail(error: Error): void {
    worker?.terminate();
    worker = undefined;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }

  return {
    ask: (type, asks, transfer = []) =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(closed());
        worker ??= started();
        const id = ids++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, type: type as string, asks } satisfies Question, transfer);
      }),
    tell: (told, transfer = []) => (worker ??= started()).postMessage(told, transfer),
    rest: () => fail(closed()),
    close() {
      isClosed = true;
      fail(closed());
    },
  };
}

/**
 * The worker's side. What an answer holds of pictures and bytes is given away.
 *
 * @param hear what is told; it waits for no answer
 */
export function answerCalls<C extends Calls<C>, Told = never>(
  answers: { [K in keyof C]: (asks: C[K]["asks"]) => C[K]["answers"] | Promise<C[K]["answers"]> },
  hear?: (told: Told) => void,
): void {
  /** TypeScript's types are those of a page. */
  const worker = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;
  let queue = Promise.resolve();
  worker.addEventListener("message", ({ data }: MessageEvent<Question>) => {
    if (!("id" in data)) return hear?.(data);
    const { id, type, asks } = data;
    const run = async () => {
      try {
        const value = await answers[type as keyof C](asks as never);
        worker.postMessage({ id, value } satisfies Answer, transferable(value));
      } catch (error) {
        worker.postMessage({ id, error: (error as Error).message } satisfies Answer);
      }
    };
    queue = queue.then(run);
  });
}

function transferable(value: unknown): Transferable[] {
  if (value instanceof ImageBitmap) return [value];
  const data = ArrayBuffer.isView(value) ? value : (value as { data?: unknown } | undefined)?.data;
  return ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [];
}
