// The engine as users hold it, with the demo model: same bits as without a worker, abort, faults, and an unstalled caller.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../../golden/hash_image.ts";
import { PATIENCE_MS, until } from "../../tests/patience.ts";
import {
  AutomaticMaskGenerator,
  EngineError,
  encodePng,
  HeapError,
  type ImageInput,
  ImagePredictor,
  type Progress,
  PromptError,
  Sam2,
  VideoPredictor,
} from "../index.node.ts";
import { readCheckpoint } from "../io/checkpoint.ts";
import { Weights } from "../io/weights.ts";
import { AutomaticMaskGenerator as DirectGenerator } from "../predict/automatic_masks.ts";
import * as direct from "../predict/image_predictor.ts";
import { Sam2 as DirectSam2 } from "../predict/sam2.ts";
import * as directVideo from "../predict/video_predictor.ts";
import { createMachine } from "../runtime/create.ts";

const NANO = new URL("../../models/nano/nano.safetensors", import.meta.url);
const OPTIONS = { kernels: "portable", threads: 2 } as const;
const PROMPT = { points: [[150, 100]] } as const;
const image = { width: 320, height: 200, data: goldenImage(1, 320, 200) };
const frames = [1, 2, 3].map((seed) => ({ width: 96, height: 64, data: goldenImage(seed, 96, 64) }));

const sam2 = await Sam2.fromPretrained(NANO, OPTIONS);
const inThread = await DirectSam2.fromPretrained(NANO, { ...OPTIONS, threads: 1 });
const wanted = await answer(new direct.ImagePredictor(inThread));

function bits(prediction: direct.Prediction): string {
  const { lowResMasks, iouPredictions } = prediction;
  return [...lowResMasks, iouPredictions].map((part) => Buffer.from(part.buffer).toString("base64")).join(" ");
}

async function answer(predictor: ImagePredictor | direct.ImagePredictor): Promise<string> {
  await predictor.setImage(image);
  return bits(await predictor.predict(PROMPT));
}

const failed = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Threads of this process, where the system tells. */
function threadCount(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
}

/** One that was joined may be listed for a moment longer, while the kernel clears it away. */
function expectThreads(most: number): Promise<void> {
  return until(() => threadCount() <= most);
}

/** What `call` has come to when this thread gets its next turn. */
const soon = (call: Promise<unknown>): Promise<unknown> =>
  Promise.race([call, new Promise((resolve) => setImmediate(resolve, "nothing yet"))]);

const Engine = suite("engine");

Engine("masks have the bits of a model in this thread", async () => {
  assert.ok((await answer(new ImagePredictor(sam2))) === wanted);
});

Engine(
  "a trace names every layer of a click in order, and sends what is asked for, an answer's values but for rounding",
  async () => {
    const predictor = new ImagePredictor(sam2);
    await predictor.setImage(frames[0]);
    const before = bits(await predictor.predict({ points: [[30, 40]] }));
    const layers = await predictor.trace(image, PROMPT, { values: ["sam_mask_decoder", "image_encoder.neck"] });
    assert.equal(layers.slice(0, 3).map(({ path }) => path), ["image_encoder", "image_encoder.trunk", "image_encoder.trunk.patch_embed"]); // prettier-ignore
    assert.ok(layers.every(({ ms, peakBytes }) => ms >= 0 && peakBytes > 0));
    const decoder = layers.find(({ path }) => path === "sam_mask_decoder")!;
    assert.equal(decoder.output, [[1, 3, 64, 64], [1, 3], [1, 3, 128], [1, 1]]); // prettier-ignore
    const [masks, ious] = decoder.values!;
    const untraced = new ImagePredictor(sam2);
    await untraced.setImage(image);
    const { lowResMasks, iouPredictions } = await untraced.predict(PROMPT);
    const differs = (a: number, b: number) => Math.abs(a - b) > 1e-4;
    const clamped = masks.map((logit) => Math.max(-32, Math.min(32, logit)));
    assert.not.ok(clamped.some((logit, i) => differs(logit, lowResMasks[Math.floor(i / 64 ** 2)][i % 64 ** 2])));
    assert.not.ok(ious.some((iou, m) => differs(iou, iouPredictions[m])));
    const withValues = layers.filter(({ values }) => values !== undefined).map(({ path }) => path);
    assert.equal(withValues.sort(), ["image_encoder.neck", "sam_mask_decoder"]);
    assert.ok(bits(await predictor.predict({ points: [[30, 40]] })) === before, "the image that was set stays");
  },
);

Engine("every kind of image is taken by every method that takes one, with the same answer", async () => {
  const png = new Uint8Array(encodePng({ ...image, channels: 3 }));
  const predictor = new ImagePredictor(sam2);
  const generator = new AutomaticMaskGenerator(sam2, { pointsPerSide: 2, outputMode: "coco_rle" });
  const records = JSON.stringify(await generator.generate(image));
  const neck = { values: ["image_encoder.neck"] };
  const traced = async (input: ImageInput) => {
    const layers = await predictor.trace(input, PROMPT, neck);
    return Buffer.from(layers.find(({ values }) => values)!.values![0].buffer).toString("base64");
  };
  const layer = await traced(image);
  const kinds: Record<string, () => ImageInput> = {
    bytes: () => png,
    ArrayBuffer: () => png.slice().buffer,
    Blob: () => new Blob([png]),
    File: () => new File([png], "drawn.png"),
    Response: () => new Response(png),
    address: () => `data:image/png;base64,${Buffer.from(png).toString("base64")}`,
  };
  for (const [kind, input] of Object.entries(kinds)) {
    await predictor.setImage(input());
    assert.ok(bits(await predictor.predict(PROMPT)) === wanted, `setImage ${kind}`);
    assert.is(JSON.stringify(await generator.generate(input())), records, `generate ${kind}`);
    await generator.prepare(input());
    assert.is(JSON.stringify(await generator.select()), records, `prepare ${kind}`);
    assert.ok((await traced(input())) === layer, `trace ${kind}`);
  }
});

Engine("a trace refuses a path that no layer has, and an aborted one rejects with its reason", async () => {
  const predictor = new ImagePredictor(sam2);
  const unknown = await failed(predictor.trace(image, PROMPT, { values: ["image_encoder.trunk.blocks.99"] }));
  assert.match(`${unknown}`, /trace\.values: expected paths of layers, got "image_encoder\.trunk\.blocks\.99"/);
  assert.match(`${await failed(predictor.trace(image, PROMPT, { values: "neck" as never }))}`, /an array of paths/);
  const signal = AbortSignal.abort(new Error("enough"));
  assert.match(`${await failed(predictor.trace(image, PROMPT, { signal }))}`, /enough/);
  assert.match(`${await failed(predictor.trace(image, { points: [[999, 0]] }))}`, /PromptError/);
});

Engine("several predictors share an engine, and do not mix up their images", async () => {
  const other = { width: 75, height: 133, data: goldenImage(2, 75, 133) };
  const [a, b] = [new ImagePredictor(sam2), new ImagePredictor(sam2)];
  const [, , first, second] = await Promise.all([
    a.setImage(image),
    b.setImage(other),
    a.predict(PROMPT),
    b.predict({ points: [[30, 40]] }),
  ]);
  assert.ok(bits(first) === wanted);
  assert.equal([second.width, second.height], [75, 133]);
  await Promise.all([a.resetPredictor(), b.resetPredictor()]);
});

Engine(
  "a prompt goes between the layers of another predictor's image, waits for its own, and changes no bit",
  async () => {
    const other = { width: 75, height: 133, data: goldenImage(2, 75, 133) };
    const [a, b] = [new ImagePredictor(sam2), new ImagePredictor(sam2)];
    await a.setImage(image);
    const order: string[] = [];
    const told = <T>(name: string, call: Promise<T>) => call.finally(() => order.push(name));
    const fractions: number[] = [];
    const onProgress = ({ fraction }: Progress) => fractions.push(fraction!);
    const [, of, ofOther] = await Promise.all([
      told("image", b.setImage(other, { onProgress })),
      told("prompt", a.predict(PROMPT)),
      told("own prompt", b.predict({ points: [[30, 40]] })),
    ]);
    assert.equal(order, ["prompt", "image", "own prompt"]);
    assert.ok(bits(of) === wanted);
    assert.is(fractions.at(-1), 1, "progress counts the image alone");
    const again = new ImagePredictor(sam2);
    await again.setImage(other);
    assert.ok(bits(await again.predict({ points: [[30, 40]] })) === bits(ofOther));
    await Promise.all([a, b, again].map((predictor) => predictor.resetPredictor()));
  },
);

Engine("progress of loading and encoding rises from 0 to 1", async () => {
  const seen: Progress[] = [];
  const onProgress = (progress: Progress) => seen.push(progress);
  const model = await Sam2.fromPretrained(NANO, { ...OPTIONS, onProgress });
  await new ImagePredictor(model).setImage(image, { onProgress });
  await model.dispose();
  for (const stage of ["load", "encode"]) {
    const fractions = seen.filter((progress) => progress.stage === stage).map(({ fraction }) => fraction!);
    assert.ok(fractions.length > 20, `${stage}: told ${fractions.length} times`);
    assert.is(fractions.at(-1), 1, stage);
    assert.ok(
      fractions.every((fraction, i) => i === 0 || fraction >= fractions[i - 1]),
      `${stage}: ${fractions}`,
    );
  }
});

Engine("bytes are copied, or given away where the caller says so", async () => {
  const predictor = new ImagePredictor(sam2);
  const mine = { ...image, data: image.data.slice() };
  await predictor.setImage(mine);
  assert.is(mine.data.length, 320 * 200 * 3);
  await predictor.setImage(mine, { transfer: true });
  assert.is(mine.data.length, 0);
  assert.ok(bits(await predictor.predict(PROMPT)) === wanted);
});

Engine("a wrong prompt is a PromptError; the predictor goes on", async () => {
  const predictor = new ImagePredictor(sam2);
  await predictor.setImage(image);
  assert.ok((await failed(predictor.predict({ points: [[1000, 0]] }))) instanceof PromptError);
  assert.ok(bits(await predictor.predict(PROMPT)) === wanted);
});

Engine(
  "abort at 20 random moments: rejected before this thread's next turn, and the next result is the same",
  async () => {
    const predictor = new ImagePredictor(sam2);
    const start = performance.now();
    await predictor.setImage(image);
    let whole = performance.now() - start;
    let state = 1;
    let rejected = 0;
    for (let i = 0; i < 20; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const controller = new AbortController();
      const call = failed(predictor.setImage(image, { signal: controller.signal }));
      await new Promise((resolve) => setTimeout(resolve, (state / 2 ** 32) * whole * 0.9));
      controller.abort();
      const error = await soon(call);
      assert.ok(error === undefined || error === controller.signal.reason, `${error}`);
      if (error) rejected++;
      else whole /= 2; // the first was slower
    }
    assert.ok(rejected > 0);
    assert.ok((await answer(predictor)) === wanted);
  },
);

Engine("an aborted call leaves nothing on the heap, wherever it stops; the next result is the same", async () => {
  const predictor = new direct.ImagePredictor(inThread);
  const { heap } = inThread.machine;
  const before = heap.bytesInUse;
  let layers = 0;
  /** A signal that is aborted after `last` layers. */
  const abortedAfter = (last: number) => {
    const { signal } = new AbortController();
    layers = 0;
    signal.throwIfAborted = () => {
      if (layers++ >= last) throw new Error("aborted");
    };
    return { signal };
  };
  await predictor.setImage(image, abortedAfter(Number.POSITIVE_INFINITY));
  predictor.resetPredictor();
  const all = layers;
  for (let i = 0; i < 20; i++) {
    const controller = abortedAfter(Math.floor((i * all) / 20));
    assert.is(`${await failed(predictor.setImage(image, controller))}`, "Error: aborted");
    assert.is(heap.bytesInUse, before);
  }
  await predictor.setImage(image);
  assert.ok(bits(await predictor.predict(PROMPT)) === wanted);
});

Engine("a heap exhausted on the way is a HeapError and leaves nothing behind", async () => {
  const checkpoint = await readCheckpoint(NANO);
  const small = await createMachine({ kernels: "portable", maxBytes: 2 ** 26 });
  const config = { ...inThread.config, imageSize: 1024 };
  const model = new DirectSam2(small, new Weights(checkpoint.tensors, small.heap), config);
  checkpoint.close();
  const before = small.heap.bytesInUse;
  const predictor = new direct.ImagePredictor(model);
  for (let i = 0; i < 2; i++) {
    const error = await failed(predictor.setImage(image));
    assert.ok(error instanceof HeapError, `${error}`);
    assert.is(small.heap.bytesInUse, before);
  }
});

Engine(
  "everything: records, thresholds moved afterwards, and what an abort leaves are those of this thread",
  async () => {
    const options = {
      pointsPerSide: 4,
      predIouThresh: 0.5,
      stabilityScoreThresh: 0.5,
      outputMode: "coco_rle",
    } as const;
    const [generator, own] = [new AutomaticMaskGenerator(sam2, options), new DirectGenerator(inThread, options)];
    const want = await own.generate(image);
    assert.ok(want.length > 0);
    const fractions: number[] = [];
    const onProgress = ({ stage, fraction }: Progress) => void (stage === "decode" && fractions.push(fraction!));
    assert.equal(await generator.generate(image, { onProgress }), want);
    assert.is(fractions.at(-1), 1);

    const reason = new Error("enough");
    const controller = new AbortController();
    const call = generator.generate(image, { signal: controller.signal, onProgress: () => controller.abort(reason) });
    assert.is(await failed(call), reason);

    await Promise.all([generator.prepare(image), own.prepare(image)]);
    for (const thresholds of [{}, { predIouThresh: 0, boxNmsThresh: 0.3 }, { outputMode: "binary_mask" }] as const) {
      assert.equal(await generator.select(thresholds), own.select(thresholds));
    }
  },
);

Engine("an abort while loading rejects with the signal's reason and leaves no worker", async () => {
  const threads = threadCount();
  const controller = new AbortController();
  const reason = new Error("enough");
  const onProgress = ({ fraction }: Progress) => fraction! > 0.3 && controller.abort(reason);
  const { signal } = controller;
  assert.is(await failed(Sam2.fromPretrained(NANO, { ...OPTIONS, signal, onProgress })), reason);
  await expectThreads(threads);
});

Engine(
  "downloading tells its progress; an abort rejects, though the server is silent, with the signal's reason, and leaves no worker",
  async () => {
    const threads = threadCount();
    const bytes = readFileSync(NANO);
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2)); // and then nothing
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const controller = new AbortController();
    const { signal } = controller;
    let half = () => {};
    const downloaded = new Promise<void>((resolve) => {
      half = resolve;
    });
    const onProgress = ({ stage, fraction }: Progress) => {
      if (stage === "download" && fraction! > 0.45) half();
    };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nano.safetensors`;
    const call = failed(Sam2.fromPretrained(url, { ...OPTIONS, signal, onProgress }));
    await downloaded;
    controller.abort();
    assert.is(await call, signal.reason);
    server.closeAllConnections();
    server.close();
    await expectThreads(threads);
  },
);

Engine("a model too large for the memory is a HeapError and leaves no worker", async () => {
  const threads = threadCount();
  const error = await failed(Sam2.fromPretrained(NANO, { ...OPTIONS, imageSize: 16384 }));
  assert.ok(error instanceof HeapError, `${error}`);
  await expectThreads(threads);
});

Engine("dispose in flight rejects what waits by EngineError, at once, and gives all threads back", async () => {
  const threads = threadCount();
  const model = await Sam2.fromPretrained(NANO, OPTIONS);
  const predictor = new ImagePredictor(model);
  const begun = predictor.setImage(image);
  const calls = [predictor.setImage(image), predictor.predict(PROMPT)].map(failed);
  await begun;
  await model.dispose();
  for (const error of await Promise.all(calls)) assert.ok(error instanceof EngineError, `${error}`);
  assert.ok((await failed(predictor.predict(PROMPT))) instanceof EngineError);
  await expectThreads(threads);
});

Engine("a killed worker rejects what waits by EngineError; a new engine gives the same result", async () => {
  let worker: Worker | undefined;
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (...args) {
    if ((args[0] as { type?: string }).type === "start") worker = this; // the engine's first message
    return postMessage.apply(this, args);
  };
  const model = await Sam2.fromPretrained(NANO, OPTIONS);
  Worker.prototype.postMessage = postMessage;
  const predictor = new ImagePredictor(model);
  const calls = [predictor.setImage(image), predictor.predict(PROMPT)].map(failed);
  void worker!.terminate();
  for (const error of await Promise.all(calls)) assert.ok(error instanceof EngineError, `${error}`);
  const anew = await Sam2.fromPretrained(NANO, OPTIONS);
  assert.ok((await answer(new ImagePredictor(anew))) === wanted);
  await anew.dispose();
});

Engine(
  "a video is tracked with the bits of a model in this thread, from a list, by number and from a stream",
  async () => {
    const place = { frame: 0, object: 1, points: [[40, 30]] } as const;
    const lines = async (results: AsyncIterable<directVideo.FrameResult>) => {
      const seen: string[] = [];
      for await (const { frame, objects } of results) {
        for (const { id, score, mask } of objects)
          seen.push(`${frame} ${id} ${score} ${Buffer.from(mask).toString("hex")}`);
      }
      return seen.join("\n");
    };
    async function* arriving() {
      yield* frames;
    }
    const byNumber = () => ({ count: frames.length, read: async (frame: number) => frames[frame] });
    const predictor = new VideoPredictor(sam2);
    const want = new directVideo.VideoPredictor(inThread);
    for (const video of [() => frames, byNumber, arriving]) {
      const wantState = await want.initState(video());
      await want.addNewPointsOrBox(wantState, place);
      const state = await predictor.initState(video());
      await predictor.addNewPointsOrBox(state, place);
      const wanted = await lines(want.propagateInVideo(wantState));
      assert.ok((await lines(predictor.propagateInVideo(state))) === wanted);
      await state.dispose();
    }
  },
);

Engine(
  "with latest, what came while a frame was computed is dropped, and disposing of the state ends the source",
  async () => {
    const waiting = frames.slice(0, 1);
    let wake = () => {};
    let ended = false;
    async function* camera() {
      try {
        for (;;) {
          if (waiting.length > 0) yield waiting.shift()!;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        ended = true;
      }
    }
    const predictor = new VideoPredictor(sam2);
    const state = await predictor.initState(camera(), { latest: true });
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[40, 30]] });
    const seen: unknown[] = [];
    for await (const { frame, arrival } of predictor.propagateInVideo(state)) {
      seen.push([frame, arrival]);
      if (seen.length === 3) break;
      waiting.push(...frames);
      wake();
    }
    assert.equal(seen, [
      [0, 0],
      [1, 3],
      [2, 6],
    ]);
    await state.dispose();
    waiting.push(...frames); // what was asked for before still comes
    wake();
    await until(() => ended);

    const error = await failed(predictor.initState(frames, { latest: true }));
    assert.match((error as Error).message, /latest: expected an async iterable/);
  },
);

Engine("a propagation can be left early, and aborted between frames", async () => {
  const predictor = new VideoPredictor(sam2);
  const state = await predictor.initState(frames);
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[40, 30]] });
  const seen: number[] = [];
  for await (const { frame } of predictor.propagateInVideo(state)) {
    seen.push(frame);
    if (frame === 1) break;
  }
  const controller = new AbortController();
  const aborted = (async () => {
    for await (const { frame } of predictor.propagateInVideo(state, { signal: controller.signal })) {
      seen.push(frame);
      if (frame === 1) controller.abort();
    }
  })();
  assert.is(await failed(aborted), controller.signal.reason);
  for await (const { frame } of predictor.propagateInVideo(state)) seen.push(frame);
  assert.equal(seen, [0, 1, 0, 1, 0, 1, 2]);
});

Engine("the caller's thread goes on while the engine loads, encodes and answers", async () => {
  const photo = { width: 2048, height: 1536, data: goldenImage(1, 2048, 1536) };
  const predictor = new ImagePredictor(sam2);
  const steps: Record<string, () => Promise<unknown>> = {
    load: async () => (await Sam2.fromPretrained(NANO, OPTIONS)).dispose(),
    encode: () => predictor.setImage(photo),
    predict: () => predictor.predict(PROMPT),
  };
  for (const [name, step] of Object.entries(steps)) {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await step();
    clearInterval(timer);
    assert.ok(turns > 2, `${name}: ${turns} turns`);
  }
});

Engine("an engine does not keep a finished process alive", () => {
  const program = `
    import { Sam2, ImagePredictor } from "${new URL("../index.node.ts", import.meta.url)}";
    const sam2 = await Sam2.fromPretrained(new URL("${NANO}"), { threads: 2 });
    const predictor = new ImagePredictor(sam2);
    await predictor.setImage({ width: 2, height: 2, data: new Uint8Array(12) });
    console.log((await predictor.predict({ points: [[1, 1]] })).masks.length);`;
  const tsx = fileURLToPath(import.meta.resolve("tsx/cli"));
  const options = { timeout: PATIENCE_MS, encoding: "utf8" } as const;
  const output = execFileSync(process.execPath, [tsx, "--input-type=module", "--eval", program], options);
  assert.is(output.trim(), "3");
});

Engine.after(() => sam2.dispose());
Engine.run();
