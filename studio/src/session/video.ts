/**
 * Between the document and the model's video predictor. The document is what counts: whatever it says of objects the
 * predictor is told when it is next asked, and after undo, a reload or another model it begins anew.
 */
import { type FrameResult, type Rle, type Sam2, UsageError, VideoPredictor, type VideoState } from "sam2-ts";
import type { Painter } from "../masks/painter.ts";
import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import { type Document, type Found, isUnanswered, keyOf, type Prompt } from "../state/document.ts";
import { extendsPrompt, type Saying, sayings } from "../state/tracks.ts";
import { modelPrompt } from "./model_prompt.ts";
import type { Status } from "./status.ts";

/** Frames of each object that can be corrected with all that was remembered there; farther back its mask is told anew. */
const KEEP_MASKS = 100;

export interface VideoSession {
  /** Answer the prompts on this frame that have no answer yet. */
  answer(): Promise<void>;
  track(direction: "forward" | "backward"): Promise<void>;
  /** @returns once nothing is under way */
  stop(): Promise<void>;
  readonly isTracking: boolean;
  /** The document holds another run of tracking, or another source. */
  settle(doc: Document): void;
  /** Whoever wants to know of each frame that is done. */
  onTracked?: (frame: number) => void;
}

interface Surroundings {
  desk: Desk;
  painter: Painter;
  change(changed: Partial<Status>): void;
  /** of the document's source */
  media(): Media | undefined;
  /** What a model's call came to; undefined if it was aborted or failed, which is told. */
  attempt<R>(call: (model: { sam2: Sam2 }) => Promise<R>): Promise<R | undefined>;
}

/** What the predictor was told, and has found since. */
interface Opened {
  sam2: Sam2;
  source: string;
  predictor: VideoPredictor;
  state: VideoState;
  /** id and frame → what was said there */
  told: Map<string, Saying>;
  /** id and frame of what was tracked */
  followed: Set<string>;
  /** `run` of the document whose tracks it remembers */
  run?: string;
}

export function videoSession({ desk, painter, change, media, attempt }: Surroundings): VideoSession {
  let opened: Opened | undefined;
  let asking: AbortController | undefined;
  /** the latest call of `answer` */
  let answering = Promise.resolve();
  /** of calls of `track`: a later one, or a stop, counts */
  let turn = 0;
  let tracking: { run: string; source: string; controller: AbortController; ended: Promise<void> } | undefined;

  async function open(sam2: Sam2, signal: AbortSignal): Promise<Opened> {
    const frames = media();
    if (!frames) throw new DOMException("there is no video", "AbortError");
    const { id, frames: count } = frames.source;
    if (opened?.sam2 === sam2 && opened.source === id) return opened;
    await close();
    const predictor = new VideoPredictor(sam2, { addAllFramesToCorrectAsCond: true });
    const read = (frame: number) => frames.input(frame);
    const state = await predictor.initState({ count, read }, { keepMasks: KEEP_MASKS, signal });
    opened = { sam2, source: id, predictor, state, told: new Map(), followed: new Set() };
    return opened;
  }

  async function close(): Promise<void> {
    const old = opened;
    opened = undefined;
    await old?.state.dispose().catch(() => {}); // its model is gone already
  }

  async function forget(to: Opened): Promise<void> {
    await to.predictor.resetState(to.state);
    to.told.clear();
    to.followed.clear();
    to.run = undefined;
  }

  /** Tell the predictor all that the document says; what was said at `last` comes last, and its answer is returned. */
  async function tell(to: Opened, doc: Document, last: string, signal: AbortSignal): Promise<FrameResult | undefined> {
    if (to.run !== doc.run) await forget(to);
    to.run = doc.run;
    const all = sayings(doc);
    const wanted = new Map(all.map((saying) => [placeOf(saying), saying]));
    for (const [place, { id, frame }] of [...to.told]) {
      if (wanted.has(place)) continue;
      if (all.some((saying) => saying.id === id)) {
        await to.predictor.clearAllPromptsInFrame(to.state, { frame, object: id });
      } else if ([...to.told.values()].filter((saying) => saying.id === id).length === 1) {
        await to.predictor.removeObject(to.state, id);
        for (const other of [...to.followed]) if (other.startsWith(`${id} `)) to.followed.delete(other);
      }
      to.told.delete(place);
    }
    let answer: FrameResult | undefined;
    const isLast = (saying: Saying) => placeOf(saying) === last;
    for (const saying of all.toSorted((a, b) => Number(isLast(a)) - Number(isLast(b)))) {
      if (to.told.get(placeOf(saying))?.key === saying.key && !isLast(saying)) continue;
      answer = await say(to, saying, signal);
    }
    return answer;
  }

  async function say(to: Opened, saying: Saying, signal: AbortSignal): Promise<FrameResult> {
    const { id: object, frame, prompt, under, mask } = saying;
    const place = placeOf(saying);
    const { predictor, state } = to;
    const addMask = async (parts: NonNullable<Saying["mask"]>) => {
      const pixels = await painter.ask("mask", { parts });
      return predictor.addNewMask(state, { frame, object, mask: pixels, signal });
    };
    const before = to.told.get(place);
    let answer: FrameResult;
    if (mask) answer = await addMask(mask);
    else {
      if (before && !(before.prompt && extendsPrompt(prompt!, before.prompt)) && !to.followed.has(place)) {
        await predictor.clearAllPromptsInFrame(state, { frame, object });
      }
      if (under && !before && !to.followed.has(place)) await addMask({ base: under });
      answer = await predictor.addNewPointsOrBox(state, { frame, object, ...modelPrompt(prompt as Prompt), signal });
    }
    to.told.set(place, saying);
    return answer;
  }

  /** Again from the beginning, if what the call needs was dropped from memory. */
  async function remembering<R>(to: Opened, call: () => Promise<R>): Promise<R> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof UsageError) || to.followed.size === 0) throw error;
      await forget(to);
      return await call();
    }
  }

  async function encoded(masks: readonly Uint8Array[], { width, height }: VideoState): Promise<readonly Rle[]> {
    const transfer = masks.map(({ buffer }) => buffer);
    return painter.ask("encode", { masks: [...masks], size: { width, height } }, transfer as ArrayBuffer[]);
  }

  function answer(): Promise<void> {
    answering = answerNext();
    return answering;
  }

  async function answerNext(): Promise<void> {
    asking?.abort();
    const { objects, frame } = desk.doc;
    const object = objects.find(({ on }) => on[frame] && isUnanswered(on[frame]));
    if (!object) {
      if (asking) change({ isAsking: false });
      asking = undefined;
      return;
    }
    asking = new AbortController();
    const { signal } = asking;
    const { id } = object;
    const prompt = object.on[frame].prompt!;
    change({ isAsking: true });
    await stopTracking();
    const found = await attempt(async ({ sam2 }): Promise<Found> => {
      signal.throwIfAborted();
      const to = await open(sam2, signal);
      const doc = desk.doc;
      const result = await remembering(to, () => tell(to, doc, `${id} ${frame}`, signal));
      const one = result!.objects.find((other) => other.id === id)!;
      const masks = await encoded([one.mask], to.state);
      return { by: "prompt", of: keyOf(prompt), masks, scores: [one.score ?? 0], choice: 0 };
    });
    if (signal.aborted) return;
    if (!found) return change({ isAsking: false });
    desk.perform("found", { id, frame, found });
    await answer();
  }

  async function track(direction: "forward" | "backward"): Promise<void> {
    const mine = ++turn;
    if (asking?.signal.aborted) void answer(); // what a stop has left without one
    let last: Promise<void>;
    do
      await (last = answering); // what was clicked last is followed too
    while (last !== answering);
    if (tracking || mine !== turn) return;
    const controller = new AbortController();
    const id = crypto.randomUUID();
    const ended = run(id, direction, controller.signal).finally(() => {
      tracking = undefined;
      change({ tracking: undefined });
    });
    tracking = { run: id, source: desk.doc.source!.id, controller, ended };
    await ended;
  }

  async function run(id: string, direction: "forward" | "backward", signal: AbortSignal): Promise<void> {
    const { source, frame: from } = desk.doc;
    const reverse = direction === "backward";
    const frames = reverse ? from + 1 : source!.frames - from;
    const told = { direction, frames, done: 0, frame: from };
    change({ tracking: told });
    let done = 0;
    let writing = Promise.resolve();
    await attempt(async ({ sam2 }) => {
      const to = await open(sam2, signal);
      const options = { startFrame: from, reverse, resume: true, signal };
      let start = performance.now();
      let ms: number | undefined;
      const write = async ({ frame, objects }: FrameResult) => {
        const masks = await encoded(objects.map(({ mask }) => mask), to.state); // prettier-ignore
        if (signal.aborted) return;
        const found = Object.fromEntries(
          objects.map(({ id, score = 0 }, i): [number, Found] => [
            id,
            { by: "track", of: "", masks: [masks[i]], scores: [score], choice: 0 },
          ]),
        );
        desk.perform(done === 0 ? "beginRun" : "tracked", { run: id, frame, found });
        to.run = id;
        for (const object of objects) to.followed.add(`${object.id} ${frame}`);
        done++;
        change({ tracking: { ...told, done, frame, msPerFrame: ms } });
        made.onTracked?.(frame);
      };
      await remembering(to, async () => {
        await tell(to, desk.doc, "", signal);
        for await (const result of to.predictor.propagateInVideo(to.state, options)) {
          const now = performance.now();
          ms = ms === undefined ? now - start : 0.8 * ms + 0.2 * (now - start);
          start = now;
          await writing; // the masks of one frame are packed while the next is computed
          signal.throwIfAborted();
          writing = write(result);
        }
      });
      await writing;
    });
    await writing.catch(() => {});
  }

  async function stopTracking(): Promise<void> {
    tracking?.controller.abort();
    await tracking?.ended;
  }

  const made: VideoSession = {
    answer,
    track,
    async stop() {
      turn++;
      asking?.abort();
      change({ isAsking: false });
      await stopTracking();
    },
    get isTracking() {
      return tracking !== undefined;
    },
    settle({ source, run }) {
      if (tracking && (source?.id !== tracking.source || run !== tracking.run)) tracking.controller.abort();
    },
  };
  return made;
}

function placeOf({ id, frame }: Pick<Saying, "id" | "frame">): string {
  return `${id} ${frame}`;
}
