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
  /** The next message, if one has come while this thread computes; undefined if not. */
  take?(): unknown;
}

type SentCall = Extract<ToService, { type: "call" }>;

/** The worker's side: answer calls of `service`. Returns what to do with each message. */
export function serve(service: Service, port: Port): (message: unknown) => void {
  const controllers = new Map<number, AbortController>();
  const pulls = new Map<number, (item: Extract<ToService, { type: "item" }>) => void>();
  let aborted: Int32Array | undefined;
  let running: AbortSignal;
  let isAside = false;
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

  const call = ({ id, method, args }: SentCall, signal: AbortSignal): unknown => {
    signal.throwIfAborted();
    const call: Call = { signal, stream, indexed, progress: (value) => post({ type: "progress", id, value }) };
    return service[method](call, ...(args as never[]));
  };

  const tell = (id: number, error: unknown) => {
    // After a trap, an instance is in no state to go on; after the death of a helper, results are missing.
    const fatal = error instanceof WebAssembly.RuntimeError || error instanceof EngineError;
    const told =
      error instanceof WebAssembly.RuntimeError
        ? new EngineError("engine", "kernels that return", `a trap (${error.message})`, "load the model anew")
        : error;
    post({ type: "error", id, error: packError(told), fatal });
  };

  const run = async (message: SentCall, signal: AbortSignal) => {
    const { id } = message;
    running = signal;
    try {
      post({ type: "result", id, value: await call(message, signal) });
    } catch (error) {
      tell(id, error);
    } finally {
      controllers.delete(id);
    }
  };

  const runAside = (message: SentCall, signal: AbortSignal) => {
    const { id } = message;
    isAside = true;
    try {
      post({ type: "result", id, value: call(message, signal) });
    } catch (error) {
      tell(id, error);
    } finally {
      isAside = false;
      controllers.delete(id);
    }
  };

  /** What has come while this thread computes, as far as the first call that goes aside. */
  const listen = () => {
    if (isAside) return;
    for (let message = port.take?.(); message !== undefined; message = port.take?.()) {
      receive(message);
      if ((message as ToService).type === "call" && (message as SentCall).aside) return;
    }
  };

  /** Its signal listens, and looks at the call's word, before it answers `throwIfAborted`. */
  const watchedController = (slot: number): AbortController => {
    const controller = new AbortController();
    const { signal } = controller;
    signal.throwIfAborted = () => {
      listen();
      if (aborted && Atomics.load(aborted, slot) === 1) controller.abort();
      AbortSignal.prototype.throwIfAborted.call(signal);
    };
    return controller;
  };

  const receive = (received: unknown) => {
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
        const controller = watchedController(message.slot);
        controllers.set(message.id, controller);
        if (message.aside) runAside(message, controller.signal);
        else queue = queue.then(() => run(message, controller.signal));
      }
    }
  };
  return receive;
}

/** Rejects when the signal is aborted. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
