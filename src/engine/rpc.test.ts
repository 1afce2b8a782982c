// Calls between threads, over a channel instead of a worker: what happens when either side misbehaves.
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { until } from "../../tests/patience.ts";
import { EngineError, HeapError, QueueError } from "../errors.ts";
import type { WorkerEvents } from "../platform/types.ts";
import { type Call, type IndexedHandle, QUEUE_LIMIT, type StreamHandle } from "./rpc.ts";
import { Client } from "./rpc_client.ts";
import { serve } from "./rpc_service.ts";

let kept: AsyncIterator<number> | undefined;
const asides: number[] = [];

const service = {
  double: (_: Call, x: number) => 2 * x,
  later: (_: Call, ms: number) => new Promise<number>((resolve) => setTimeout(() => resolve(ms), ms)),
  trap: () => {
    throw new WebAssembly.RuntimeError("unreachable");
  },
  full: () => {
    throw new HeapError("heap", "room", "none", "take less", { cause: new RangeError("grow") });
  },
  bytes: () => ({ parts: [new Uint8Array([1, 2]), new Float32Array([3])] }),
  async total({ stream }: Call, items: StreamHandle<number>) {
    let sum = 0;
    for await (const item of stream(items)) sum += item;
    return sum;
  },
  async pick({ indexed }: Call, items: IndexedHandle<number>, order: number[]) {
    const { read, close } = indexed(items);
    const found: number[] = [];
    for (const index of order) found.push(await read(index));
    close();
    return found;
  },
  async first({ stream }: Call, items: StreamHandle<number>) {
    kept ??= stream(items)[Symbol.asyncIterator]();
    return (await kept.next()).value as number;
  },
  /** Computes without pause until it has been passed by so often. */
  work({ signal }: Call, times: number) {
    while (asides.length < times) signal.throwIfAborted();
    return [...asides];
  },
  aside(_: Call, n: number) {
    asides.push(n);
    return n;
  },
  /** Computes without pause, as the graph does, and looks at its signal all the time. */
  spin({ signal }: Call) {
    for (;;) signal.throwIfAborted();
  },
};

function connect() {
  const { port1, port2 } = new MessageChannel();
  let events: WorkerEvents | undefined;
  let stopped = 0;
  const receive = serve(service, {
    post: (message, transfer) => port1.postMessage(message, transfer),
    take: () => receiveMessageOnPort(port1)?.message,
  });
  port1.on("message", receive);
  const client = new Client<typeof service>((given) => {
    events = given;
    port2.on("message", (message) => given.onMessage!(message));
    return {
      post: (message, transfer) => port2.postMessage(message, transfer),
      hold: () => {},
      async stop() {
        stopped++;
        port1.close();
      },
    };
  });
  return { client, die: () => events!.onDeath("killed"), stopped: () => stopped };
}

const failed = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

const Rpc = suite("rpc");

Rpc("calls are answered in the order in which they were made", async () => {
  const { client } = connect();
  const order: number[] = [];
  const calls = [20, 1, 5].map((ms) => client.call("later", [ms]).then((ms) => order.push(ms)));
  await Promise.all(calls);
  assert.equal(order, [20, 1, 5]);
  await client.stop();
});

Rpc(
  `the call after ${QUEUE_LIMIT} that wait is refused by QueueError, and there is room again afterwards`,
  async () => {
    const { client } = connect();
    const calls = Array.from({ length: QUEUE_LIMIT }, () => client.call("later", [0]));
    assert.ok((await failed(client.call("double", [1]))) instanceof QueueError);
    await Promise.all(calls);
    assert.is(await client.call("double", [21]), 42);
    await client.stop();
  },
);

Rpc("calls that go aside are answered while another is running, in their order; others wait", async () => {
  const { client } = connect();
  asides.length = 0;
  const order: string[] = [];
  const call = (name: string, answer: Promise<unknown>) => answer.then((value) => order.push(`${name} ${value}`));
  await Promise.all([
    call("work", client.call("work", [2])),
    call("double", client.call("double", [4])),
    ...[7, 8].map((n) => call("aside", client.call("aside", [n], { aside: true }))),
  ]);
  assert.equal(order, ["aside 7", "aside 8", "work 7,8", "double 8"]);
  await client.stop();
});

Rpc("one that goes aside and is aborted, or fails, leaves what is running alone", async () => {
  const { client } = connect();
  asides.length = 0;
  const stop = new AbortController();
  const work = client.call("work", [1]);
  const left = failed(client.call("aside", [1], { aside: true, signal: stop.signal }));
  stop.abort(new Error("gone"));
  const full = failed(client.call("full", [], { aside: true }));
  await client.call("aside", [2], { aside: true });
  assert.equal(await work, [2]);
  assert.is(((await left) as Error).message, "gone");
  assert.instance(await full, HeapError);
  await client.stop();
});

Rpc("errors keep class, message and cause", async () => {
  const { client } = connect();
  const error = (await failed(client.call("full", []))) as Error;
  assert.ok(error instanceof HeapError);
  assert.is(error.message, "heap: expected room, got none; take less");
  assert.is(`${error.cause}`, "RangeError: grow");
  assert.is(await client.call("double", [1]), 2);
  await client.stop();
});

Rpc("a trap rejects everything that waits by EngineError, and every later call; the worker is ended", async () => {
  const { client, stopped } = connect();
  const all = [client.call("trap", []), client.call("double", [1]), client.call("double", [2])].map(failed);
  for (const error of await Promise.all(all)) assert.ok(error instanceof EngineError, `${error}`);
  assert.ok((await failed(client.call("double", [3]))) instanceof EngineError);
  assert.is(stopped(), 1);
});

Rpc("the death of the worker rejects everything that waits by EngineError", async () => {
  const { client, die } = connect();
  const all = [client.call("later", [10_000]), client.call("double", [2])].map(failed);
  die();
  for (const error of await Promise.all(all)) assert.ok(error instanceof EngineError, `${error}`);
  await client.stop();
});

Rpc("an abort rejects at once with the signal's reason, and a call that waits is never run", async () => {
  const { client } = connect();
  const controller = new AbortController();
  const reason = new Error("enough");
  const running = failed(client.call("later", [30]));
  const waiting = failed(client.call("spin", [], { signal: controller.signal })); // would never end
  controller.abort(reason);
  assert.is(await waiting, reason);
  assert.is(await failed(client.call("double", [1], { signal: controller.signal })), reason);
  assert.is(await client.call("double", [1]), 2);
  assert.is(await running, undefined);
  await client.stop();
});

Rpc("an input that cannot be sent is refused, and takes no place", async () => {
  const { client } = connect();
  for (let i = 0; i <= QUEUE_LIMIT; i++) {
    const error = (await failed(client.call("double", [(() => 1) as never]))) as DOMException;
    assert.is(error.name, "UsageError");
  }
  assert.is(await client.call("double", [1]), 2);
  await client.stop();
});

Rpc("an async iterable is pulled one by one, and its error arrives", async () => {
  const { client } = connect();
  async function* numbers(last: number) {
    for (let i = 1; i <= 4; i++) {
      if (i > last) throw new RangeError("no more");
      yield i;
    }
  }
  assert.is(await client.call("total", [client.stream(numbers(4), (n) => 10 * n)]), 100);
  const error = await failed(client.call("total", [client.stream(numbers(2), (n) => n)]));
  assert.is(`${error}`, "RangeError: no more");
  await client.stop();
});

Rpc("a call that waits for a stream can be aborted; the item it asked for goes to the next call", async () => {
  const { client } = connect();
  let give: (() => void) | undefined;
  async function* slow() {
    await new Promise<void>((resolve) => {
      give = resolve;
    });
    yield 7;
  }
  const controller = new AbortController();
  const items = client.stream(slow(), (n) => n);
  const waiting = failed(client.call("first", [items], { signal: controller.signal }));
  await until(() => give !== undefined);
  controller.abort();
  assert.is(await waiting, controller.signal.reason);
  assert.is(await client.call("double", [1]), 2);
  give!();
  assert.is(await client.call("first", [items]), 7);
  await client.stop();
});

Rpc("items by number are read in any order, after an error again, until the service closes them", async () => {
  const { client } = connect();
  let closed = 0;
  let broken = true;
  const read = async (index: number) => {
    if (index === 3 && broken) throw new RangeError("no third");
    return 10 * index;
  };
  const items = client.indexed(read, () => closed++);
  const error = await failed(client.call("pick", [items, [0, 3]]));
  assert.is(`${error}`, "RangeError: no third");
  broken = false;
  assert.equal(await client.call("pick", [items, [3, 0, 5]]), [30, 0, 50]);
  await client.call("double", [1]);
  assert.is(closed, 1);

  const controller = new AbortController();
  const never = client.indexed(
    () => new Promise(() => {}),
    () => closed++,
  );
  const waiting = failed(client.call("pick", [never as IndexedHandle<number>, [0]], { signal: controller.signal }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  controller.abort();
  assert.is(await waiting, controller.signal.reason);
  assert.is(await client.call("double", [1]), 2);
  await client.stop();
  assert.is(closed, 2);
});

Rpc("results arrive whole", async () => {
  const { client } = connect();
  const { parts } = await client.call("bytes", []);
  assert.equal(parts, [new Uint8Array([1, 2]), new Float32Array([3])]);
  await client.stop();
});

Rpc.run();
