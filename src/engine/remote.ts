/** A predictor of predict/ that lives in the worker, as its twin on the caller's side sees it. */
import type { ImageInput } from "../io/image_input.ts";
import type { VideoState as DirectState } from "../predict/video_state.ts";
import { type CallOptions, type Engine, rpcOptions } from "./engine.ts";
import type { Handle, Invocation, VideoInfo } from "./service.ts";
import type { VideoState } from "./video_state.ts";

let ids = 0;

type Method<P> = { [K in keyof P]: P[K] extends (...args: never[]) => unknown ? K : never }[keyof P] & string;
/** T with another state in the place of predict's. */
type WithState<T, S> = T extends DirectState
  ? S
  : T extends { state: DirectState }
    ? Omit<T, "state"> & { state: S }
    : T;
type WithStates<A extends unknown[], S> = { [I in keyof A]: WithState<A[I], S> };

/** What users see of a class of predict/: its methods, awaited. A method that is missing here does not compile. */
export type Remoted<P> = {
  [K in Method<P>]: P[K] extends (...args: infer A) => infer R
    ? (...args: WithStates<A, VideoState>) => R extends AsyncGenerator ? R : Promise<WithState<Awaited<R>, VideoState>>
    : never;
};
type Result<P, K extends keyof P> = P[K] extends (...args: never[]) => infer R
  ? WithState<Awaited<R>, VideoInfo>
  : never;

export class Remote<P> {
  readonly engine: Engine;
  readonly #handle: Handle;

  constructor(engine: Engine, name: Handle["class"], options: object) {
    this.engine = engine;
    this.#handle = { id: ids++, class: name, options };
  }

  /**
   * Call a method there.
   *
   * @param options the last argument of methods that may be aborted
   * @param inputs what may be given away
   */
  call<K extends Method<P>>(
    method: K,
    args: readonly unknown[],
    options?: CallOptions,
    inputs: readonly unknown[] = [],
  ) {
    const result = this.engine.call("invoke", [this.#invocation(method, args, options)], rpcOptions(options, inputs));
    return result as Promise<Result<P, K>>;
  }

  /** Call a method that yields. */
  async *walk<T>(method: Method<P>, args: readonly unknown[], options: CallOptions): AsyncGenerator<T> {
    const id = ids++;
    const invocation = this.#invocation(method, args, options);
    let ended = false;
    const next = async () => {
      ended = true; // unless this call succeeds
      const item = await this.engine.call("next", [id, invocation], rpcOptions(options, []));
      ended = item === undefined;
      return item as T | undefined;
    };
    try {
      for (let item = await next(); item; item = await next()) yield item;
    } finally {
      if (!ended) await this.engine.call("endWalk", [id]);
    }
  }

  #invocation(method: string, args: readonly unknown[], options?: CallOptions): Invocation {
    if (!options) return { predictor: this.#handle, method, args };
    const { signal: _, onProgress: __, transfer: ___, ...others } = options;
    return { predictor: this.#handle, method, args, options: others };
  }
}

/** Of a canvas's ImageData, or anything that holds pixels, what crosses to the worker. */
export function sendable(image: ImageInput): ImageInput {
  if (typeof image === "string" || image instanceof Uint8Array || image instanceof Blob) return image;
  const { width, height, data } = image;
  return { width, height, data };
}
