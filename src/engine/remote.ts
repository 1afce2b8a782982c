/** A predictor of predict/ that lives in the worker, as its twin on the caller's side sees it. */
import { type ImageInput, type SentImage, sendable } from "../io/image_input.ts";
import type { VideoState as DirectState } from "../predict/video_state.ts";
import type { Frames } from "../video/frames.ts";
import { type CallOptions, type Engine, rpcOptions } from "./engine.ts";
import type { Handle, Invocation, VideoInfo } from "./service.ts";
import type { VideoState } from "./video_state.ts";

let ids = 0;

/** A predictor that nobody holds any more is forgotten there, with its images. */
const forgotten = new FinalizationRegistry<{ engine: Engine; id: number }>(({ engine, id }) => {
  engine.call("forget", [id]).catch(() => {}); // the engine has ended
});

type Method<P> = { [K in keyof P]: P[K] extends (...args: never[]) => unknown ? K : never }[keyof P] & string;
/** T with another state in the place of predict's, and without what cannot be sent. */
type WithState<T, S> = T extends DirectState
  ? S
  : T extends Frames
    ? never
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
  #reading: Promise<void> | undefined;
  /** calls that may change it, and are not answered yet */
  #changes = 0;

  constructor(engine: Engine, name: Handle["class"], options: object) {
    this.engine = engine;
    const id = ids++;
    this.#handle = { id, class: name, options };
    forgotten.register(this, { engine, id });
  }

  /**
   * Call a method there.
   *
   * @param options the last argument of methods that may be aborted
   * @param inputs what may be given away
   */
  async call<K extends Method<P>>(
    method: K,
    args: readonly unknown[],
    options?: CallOptions,
    inputs: readonly unknown[] = [],
  ): Promise<Result<P, K>> {
    const sent = rpcOptions(options, inputs, method);
    if (this.#reading) await this.#reading;
    this.#changes++;
    try {
      return (await this.engine.call("invoke", [this.#invocation(method, args, options)], sent)) as Result<P, K>;
    } finally {
      this.#changes--;
    }
  }

  /** Call a method that changes nothing and returns at once: it waits for calls to this predictor, not to others. */
  async ask<K extends Method<P>>(method: K, args: readonly unknown[], options?: CallOptions): Promise<Result<P, K>> {
    const sent = rpcOptions(options, [], method);
    if (this.#reading) await this.#reading;
    const aside = this.#changes === 0;
    return this.engine.call("ask", [this.#invocation(method, args, options)], { ...sent, aside }) as Result<P, K>;
  }

  /** Images as they cross; a promise only if one of them is a Response, whose bytes have yet to come. */
  send(images: readonly ImageInput[]): SentImage[] | Promise<SentImage[]> {
    const found = images.map(sendable);
    return found.some((image) => image instanceof Promise) ? this.#read(found) : (found as SentImage[]);
  }

  /** Wait for what a call is to send; calls that are made meanwhile come after it. */
  async #read<T>(inputs: readonly (T | Promise<T>)[]): Promise<T[]> {
    const all = Promise.all([...inputs, this.#reading]);
    const reading = all.then(
      () => {},
      () => {},
    );
    this.#reading = reading;
    try {
      return (await all).slice(0, -1) as T[];
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /** Call a method that yields. */
  async *walk<T>(method: Method<P>, args: readonly unknown[], options: CallOptions): AsyncGenerator<T> {
    const id = ids++;
    const sent = rpcOptions(options, [], method);
    const invocation = this.#invocation(method, args, options);
    let ended = false;
    const next = async () => {
      ended = true; // unless this call succeeds
      const item = await this.engine.call("next", [id, invocation], sent);
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
    const { signal: _, onProgress, transfer: __, ...others } = options;
    return { predictor: this.#handle, method, args, options: others, isFollowed: onProgress !== undefined };
  }
}
