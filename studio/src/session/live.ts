/**
 * Follows objects before the camera. The picture stands still while a click is answered; then each picture that the model
 * looks at is the newest, and it is shown with its masks. Pictures are taken when they are asked for, so none waits.
 */
import { type FrameResult, type Sam2, VideoPredictor, type VideoState } from "sam2-ts";
import type { Painter } from "../masks/painter.ts";
import type { Camera } from "../media/camera.ts";
import type { Desk } from "../state/desk.ts";
import { type Appearance, type Found, isEmptyPrompt, keyOf } from "../state/document.ts";
import { modelPrompt } from "./model_prompt.ts";
import type { Status } from "./status.ts";

export interface Live {
  /** Show what the camera sees, until the document shows something else. */
  begin(camera: Camera): void;
  /** Something was prompted: follow it. */
  follow(): Promise<void>;
  /** Follow nothing; the picture stands still. */
  stop(): void;
}

interface Surroundings {
  desk: Desk;
  painter: Painter;
  change(changed: Partial<Status>): void;
  /** The picture that is seen; it belongs to whoever shows it. */
  show(bitmap: ImageBitmap): void;
  attempt<R>(call: (model: { sam2: Sam2 }) => Promise<R>): Promise<R | undefined>;
}

export function liveSession({ desk, painter, change, show, attempt }: Surroundings): Live {
  let camera: Camera | undefined;
  let following: AbortController | undefined;
  /** by object, the prompt that was told last */
  let told: Record<number, string> = {};
  const isSeen = () => camera !== undefined && desk.doc.source?.id === camera.source.id;

  async function watch(): Promise<void> {
    while (isSeen() && !following) {
      await reveal(await camera!.now(), () => isSeen() && !following);
    }
  }

  /** Show it, unless it is not wanted any more. */
  async function reveal(bitmap: ImageBitmap, isWanted: () => boolean): Promise<void> {
    const copy = await createImageBitmap(bitmap);
    if (isWanted()) {
      camera!.hold(copy);
      show(bitmap);
    } else for (const one of [bitmap, copy]) one.close();
  }

  async function follow(): Promise<void> {
    if (following || !hasNews()) return;
    following = new AbortController();
    const still = await camera!.picture(0);
    told = {};
    const { signal } = following;
    change({ isAsking: true });
    let newest: ImageBitmap | undefined;
    async function* pictures(first: ImageBitmap): AsyncGenerator<ImageBitmap> {
      yield first;
      while (!signal.aborted) {
        newest?.close();
        newest = await camera!.now();
        yield newest;
      }
    }
    await attempt(async ({ sam2 }) => {
      const predictor = new VideoPredictor(sam2, { addAllFramesToCorrectAsCond: true });
      const state = await predictor.initState(pictures(still), { signal });
      try {
        for (let frame = 0; ;) {
          await say(predictor, state, frame, signal);
          change({ isAsking: false });
          for await (const result of predictor.propagateInVideo(state, { signal })) {
            if (newest && result.frame > frame) await reveal(await createImageBitmap(newest), isSeen);
            frame = result.frame;
            await write(result, state);
            signal.throwIfAborted();
            if (!isSeen() || desk.doc.objects.length === 0) return;
            if (hasNews()) break; // what was said on this picture is answered on it
          }
        }
      } finally {
        await state.dispose().catch(() => {}); // its model may be gone
        still.close();
        newest?.close();
      }
    });
    following = undefined;
    change({ isAsking: false });
    if (desk.doc.objects.length === 0) void watch().catch(() => {}); // a camera that is gone is told of by itself
  }

  /** Was something said that the predictor was not told? */
  function hasNews(): boolean {
    return desk.doc.objects.some(({ id, on }) => isNews(id, on[0]));
  }

  function isNews(id: number, seen: Appearance | undefined): boolean {
    return !isEmptyPrompt(seen?.prompt) && keyOf(seen?.prompt) !== told[id];
  }

  async function say(predictor: VideoPredictor, state: VideoState, frame: number, signal: AbortSignal): Promise<void> {
    for (const { id, on } of desk.doc.objects.toReversed()) {
      if (!isNews(id, on[0])) continue;
      const prompt = on[0].prompt!;
      await predictor.addNewPointsOrBox(state, { frame, object: id, ...modelPrompt(prompt), signal });
      told[id] = keyOf(prompt);
    }
  }

  async function write({ objects }: FrameResult, { width, height }: VideoState): Promise<void> {
    const masks = objects.map(({ mask }) => mask);
    const transfer = masks.map(({ buffer }) => buffer as ArrayBuffer);
    const rles = await painter.ask("encode", { masks, size: { width, height } }, transfer);
    const found = objects.map(({ id, score = 0 }, i): [number, Found] => [
      id,
      { by: "track", of: "", masks: [rles[i]], scores: [score], choice: 0 },
    ]);
    desk.perform("followed", { found: Object.fromEntries(found), told });
  }

  return {
    begin(opened) {
      camera = opened;
      void watch().catch(() => {}); // a camera that is gone is told of by itself
    },
    follow,
    stop: () => following?.abort(),
  };
}
