import { EngineError } from "../errors.ts";
import { packError, unpackError } from "./packed_error.ts";
import {
  buffersOf,
  type Call,
  type Service,
  type Indexed,
  type IndexedHandle,
  type StreamHandle,
  type ToClient,
  type ToService,
} from "./rpc.ts";

/** Anything that sends messages to the other thread. */
interface Port {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
}

/** The worker's side: answer calls of `service`. Returns what to do with each message. */
export function serve(service: Service, port: Port): (message: unknown) => void {
  const controllers = new Map<number, AbortController>();
  const pulls = new Map<number, (item: Extract<ToService, { type: "item" }>) => void>();
  let aborted: Int32Array | undefined;
  let running: AbortSignal;
  let queue = Promise.resolve();
  let ids = 0;

  const post = (message: ToClient) => {
    port.post(message, message.type === "result" ? buffersOf(message.value) : []);
  };

  const request = (from: { type: "pull"; stream: number } | { type: "pick"; indexed: number; index: number }) =>
    new Promise<IteratorResult<unknown>>((resolve, reject) => {
      const pull = ids++;
      pulls.set(pull, ({ next, error }) => {
        pulls.delete(pull);
        if (error) reject(unpackError(error));
        else resolve(next!);
      });
      post({ ...from, pull });
    });

  /** An item that an aborted call has asked for is kept for the next one. */
  const stream = <T>({ stream }: StreamHandle<T>): AsyncIterable<T> => {
    let asked: ReturnType<typeof request> | undefined;
    const next = async () => {
      const signal = running;
      asked ??= request({ type: "pull", stream });
      try {
        return (await Promise.race([asked, abortOf(signal)])) as IteratorResult<T>;
      } finally {
        if (!signal.aborted) asked = undefined;
      }
    };
    const end = async () => {
      post({ type: "endStream", stream });
      return { done: true as const, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
  };

  const indexed = <T>({ indexed }: IndexedHandle<T>): Indexed<T> => ({
    async read(index) {
      const asked = request({ type: "pick", indexed, index });
      return ((await Promise.race([asked, abortOf(running)])) as IteratorResult<T>).value;
    },
    close: () => post({ type: "closeIndexed", indexed }),
  });

  const run = async ({ id, method, args }: Extract<ToService, { type: "call" }>, signal: AbortSignal) => {
    const call: Call = { signal, stream, indexed, progress: (value) => post({ type: "progress", id, value }) };
    running = signal;
    try {
      signal.throwIfAborted();
      post({ type: "result", id, value: await service[method](call, ...(args as never[])) });
    } catch (error) {
      // After a trap, an instance is in no state to go on; after the death of a helper, results are missing.
      const fatal = error instanceof WebAssembly.RuntimeError || error instanceof EngineError;
      const told =
        error instanceof WebAssembly.RuntimeError
          ? new EngineError("engine", "kernels that return", `a trap (${error.message})`, "load the model anew")
          : error;
      post({ type: "error", id, error: packError(told), fatal });
    } finally {
      controllers.delete(id);
    }
  };

  return (received) => {
    const message = received as ToService;
    switch (message.type) {
      case "start":
        aborted = message.aborted && new Int32Array(message.aborted);
        break;
      case "abort":
        controllers.get(message.id)?.abort();
        break;
      case "item":
        pulls.get(message.pull)!(message);
        break;
      case "call": {
        const controller = watchedController(aborted, message.slot);
        controllers.set(message.id, controller);
        queue = queue.then(() => run(message, controller.signal));
      }
    }
  };
}

/** Its signal looks at the call's word before it answers `throwIfAborted`. */
function watchedController(aborted: Int32Array | undefined, slot: number): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  signal.throwIfAborted = () => {
    if (aborted && Atomics.load(aborted, slot) === 1) controller.abort();
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  return controller;
}

/** Rejects when the signal is aborted. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
