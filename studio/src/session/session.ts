/**
 * Between the document and the model: prompts that have no answer yet are asked, hovering is previewed, effects of actions
 * are carried out. One queue, in the model's worker; of previews only the newest counts.
 */
import type { CheckpointSource } from "sam2-ts";
import { painter as startPainter, type Painter } from "../masks/painter.ts";
import type { Stroke } from "../masks/protocol.ts";
import type { Camera } from "../media/camera.ts";
import type { Media } from "../media/media.ts";
import type { Effect } from "../state/actions.ts";
import type { Desk } from "../state/desk.ts";
import { type Document, isAmbiguous, isUnanswered, keyOf, type Prompt, type Source } from "../state/document.ts";
import { type Store, store } from "../state/store.ts";
import { copy, save } from "../take_home/save.ts";
import { drawn } from "./drawn.ts";
import { everythingSession } from "./everything.ts";
import { keeper } from "./keeper.ts";
import { Latest } from "./latest.ts";
import { liveSession } from "./live.ts";
import { type Loaded, loadedModel, type Options } from "./loaded_model.ts";
import { modelPrompt } from "./model_prompt.ts";
import { NANO } from "./models.ts";
import { playhead } from "./playhead.ts";
import { best, previews } from "./previews.ts";
import { isAbort, sentence } from "./problems.ts";
import { remember, remembered } from "./remembered.ts";
import { speed } from "./speed.ts";
import { AT_FIRST, NOTHING_FOUND, type Shown, type Status } from "./status.ts";
import { type Trace, tracer } from "./trace.ts";
import { videoSession } from "./video.ts";

/** Pictures that undo brings back at once; others begin anew. */
const MOST_MEDIA = 6;
/** Was the visitor told that nano knows drawings only? */
const OFFERED = "sam2-offered";
/** A frame that is seen for so long is worth a look of the model. */
const REST_MS = 250;

export interface Session {
  status: Store<Status>;
  painter: Painter;
  /** the picture that is seen */
  shown: Store<Shown | undefined>;
  openMedia(media: Media): void;
  /** What was open at the last visit. */
  restore(media: Media, doc: Document): void;
  openProject(media: Media, doc: Document): void;
  /** of the document's source */
  media(): Media | undefined;
  /** @param side `imageSize` of the model, if it is not to be its own. @returns is it in use now? */
  useModel(name: string, source: CheckpointSource, side?: number): Promise<boolean>;
  /** A short run, unless a picture was looked at already: what other models and sizes take follows from it. */
  measure(): Promise<void>;
  /** Preview what a click or box would give; undefined takes the preview away. */
  preview(prompt: Prompt | undefined): void;
  /** Draw the masks; `scale` is how many pixels of the screen a pixel of the picture takes. */
  draw(scale: number): void;
  /** Where masks and previews are drawn. */
  handCanvases(objects: OffscreenCanvas, preview: OffscreenCanvas): void;
  brush(stroke: Stroke): Promise<void>;
  /** Which of everything lies there? @units 0…1 of the picture */
  pointAt(x: number, y: number): void;
  takePointed(): void;
  takeAll(): void;
  /** Look inside the model. */
  trace: Trace;
  /** The visitor has chosen, or does not want another model. */
  answerOffer(): void;
  clear(field: "problem" | "notice"): void;
  tell(field: "problem" | "notice", text: string): void;
}

export function session(desk: Desk, options: Options): Session {
  const status = store<Status>(AT_FIRST);
  const shown = store<Shown | undefined>(undefined);
  const painter = startPainter();
  const media = new Map<string, Media>();
  /** calls of the picture in use: aborted when it goes */
  let look = new AbortController();
  let ask: AbortController | undefined;
  /** what the model in use has looked at, or looks at: `source.id` and frame */
  let looked: { place: string; model: Loaded; isDone: boolean } | undefined;

  const change = (changed: Partial<Status>) => status.set({ ...status.get(), ...changed });
  const problem = (error: unknown) => {
    if (isAbort(error)) return;
    change({ problem: sentence(error) });
  };
  const notice = (text: string) => change({ notice: text });
  const mediaInUse = () => media.get(desk.doc.source?.id ?? "");

  const model = loadedModel({
    options,
    change,
    problem,
    notice,
    onUse(isFirst, isToLook) {
      if (!isFirst) desk.perform("askAgain");
      if (isToLook) void lookAtPicture();
    },
  });
  const { attempt } = model;
  const pace = speed({ model, status, change });
  const { draw, lineWidth, handCanvases, brush, cutout } = drawn({ desk, painter, status, shown, media: mediaInUse });

  // ---- the picture

  function openMedia(opened: Media): void {
    hold(opened);
    desk.perform("open", opened.source);
    if (opened.source.kind === "camera") live.begin(opened as Camera);
    const isNew = !opened.source.isDrawn && remembered(OFFERED) === null;
    if (isNew && status.get().model.name === NANO) change({ offersModels: true });
  }

  function restore(opened: Media, doc: Document): void {
    hold(opened);
    desk.perform("restore", doc);
  }

  function openProject(opened: Media, doc: Document): void {
    hold(opened);
    desk.perform("openProject", doc);
  }

  function hold(opened: Media): void {
    media.set(opened.source.id, opened);
    for (const old of [...media.values()].slice(0, -MOST_MEDIA)) old.close();
  }

  function answerOffer(): void {
    remember(OFFERED, "yes");
    change({ offersModels: false });
  }

  /** Of frames that are passed quickly, the newest is seen. */
  const showing = new Latest<void>(async () => {
    const { source, frame } = desk.doc;
    const opened = source && media.get(source.id);
    if (!opened) return;
    const before = shown.get();
    if (before?.source === source.id && before.frame === frame) return;
    try {
      const bitmap = await opened.picture(frame);
      if (desk.doc.source?.id !== source.id) return bitmap.close();
      reveal(bitmap, source, frame, opened.timeOf(frame));
    } catch (error) {
      problem(error);
    }
  });

  function reveal(bitmap: ImageBitmap, { id, width, height }: Source, frame: number, time: number): void {
    const before = shown.get();
    before?.bitmap.close();
    shown.set({ bitmap, source: id, frame, time });
    if (before?.source !== id) painter.tell({ type: "size", size: { width, height } });
    draw();
  }

  /** Let the model look at what is seen, unless it has. */
  async function lookAtPicture(): Promise<void> {
    const { source, frame } = desk.doc;
    const opened = source && media.get(source.id);
    const used = model.current;
    if (!opened || !used) return;
    const place = `${source.id} ${frame}`;
    if (looked?.place === place && looked.model === used) return;
    if (source.kind === "camera") {
      change({ picture: "ready", everything: NOTHING_FOUND });
      return live.follow();
    }
    const isVideo = source.kind === "video";
    if (isVideo) {
      change({ picture: "ready", everything: NOTHING_FOUND });
      void video.answer();
      if (!pace.isQuick() || video.isTracking || status.get().isPlaying) return;
    }
    const own = { place, model: used, isDone: false };
    looked = own;
    look.abort();
    look = new AbortController();
    const { signal } = look;
    if (!isVideo) change({ picture: "looking", fraction: 0, everything: NOTHING_FOUND });
    const start = performance.now();
    const done = await attempt(async ({ predictor }) => {
      const image = await opened.input(frame, signal);
      await predictor.setImage(image, { signal, onProgress: ({ fraction = 0 }) => change({ fraction }) });
      return true;
    });
    if (signal.aborted) return;
    if (!done) {
      looked = undefined;
      if (model.current) change({ picture: "none" });
      return;
    }
    own.isDone = true;
    if (isVideo) return;
    const ms = performance.now() - start;
    change({ picture: "ready", measured: pace.withTime(used, ms) });
    answer();
  }

  // ---- a video

  const video = videoSession({ desk, painter, change, media: mediaInUse, attempt });
  const head = playhead({ desk, video, change, media: mediaInUse, show: () => showing.ask() });

  const live = liveSession({
    desk,
    painter,
    change,
    show: (bitmap) => reveal(bitmap, desk.doc.source!, 0, 0),
    attempt,
  });

  let resting: ReturnType<typeof setTimeout> | undefined;
  function lookSoon(): void {
    clearTimeout(resting);
    resting = setTimeout(() => void lookAtPicture(), REST_MS);
  }

  // ---- prompts

  /** Ask for the first prompt on this frame that has no answer. */
  async function answer(): Promise<void> {
    const { objects, frame, source } = desk.doc;
    if (source?.kind === "video") return model.current && video.answer();
    if (source?.kind === "camera") return model.current && live.follow();
    const object = objects.find((one) => one.on[frame] && isUnanswered(one.on[frame]));
    ask?.abort();
    if (object && status.get().picture === "none") return lookAtPicture(); // it could not be looked at before
    if (!object || status.get().picture !== "ready") {
      if (status.get().isAsking) change({ isAsking: false });
      return;
    }
    ask = new AbortController();
    const { signal } = ask;
    preview.drop();
    const prompt = object.on[frame].prompt!;
    change({ isAsking: true });
    const found = await attempt(async ({ predictor }) => {
      const multimaskOutput = isAmbiguous(prompt);
      const { masks, iouPredictions, width, height } = await predictor.predict(modelPrompt(prompt), {
        multimaskOutput,
        signal,
      });
      const rles = await painter.ask(
        "encode",
        { masks, size: { width, height } },
        masks.map(({ buffer }) => buffer),
      );
      return { masks: rles, scores: [...iouPredictions] };
    });
    if (signal.aborted) return;
    if (!found) return change({ isAsking: false });
    const choice = best(found.scores);
    desk.perform("found", { id: object.id, frame, found: { by: "prompt", of: keyOf(prompt), ...found, choice } });
    await answer();
  }

  const preview = previews({
    desk,
    painter,
    isReady() {
      const { source, frame } = desk.doc;
      const isSeen = looked?.isDone && looked.model === model.current && looked.place === `${source?.id} ${frame}`;
      return isSeen === true && status.get().picture === "ready" && !status.get().isAsking;
    },
    attempt,
    lineWidth,
  });

  const everything = everythingSession({
    desk,
    status,
    painter,
    change,
    media: mediaInUse,
    attempt,
    draw,
    lineWidth,
  });

  // ---- effects of actions

  const EFFECTS: Partial<Record<Effect, () => void>> = {
    findEverything: () => void everything.find(),
    play: () => void head.play(),
    trackForward: () => void head.track("forward").then(lookSoon),
    trackBackward: () => void head.track("backward").then(lookSoon),
    stop() {
      everything.stop();
      head.stop();
      live.stop();
      draw();
    },
    saveCutout: () => void cutout().then((cut) => cut && save(cut.blob, `${cut.name}.png`), problem),
    copyCutout() {
      const png = cutout().then((cut) => cut?.blob ?? Promise.reject(new Error("There is no mask to copy.")));
      copy(png).then(() => change({ notice: "The cut-out is on the clipboard." }), problem);
    },
  };

  const others = desk.onEffect;
  desk.onEffect = (effect) => {
    EFFECTS[effect]?.();
    others?.(effect);
  };

  // ---- following the document

  const keepSoon = keeper({ desk, media: mediaInUse, notice });
  let before = desk.doc;
  desk.history.subscribe(() => {
    const doc = desk.doc;
    const old = before;
    before = doc;
    if (doc.source !== old.source || doc.objects !== old.objects) model.forgive();
    if (doc.source?.id !== old.source?.id || doc.run !== old.run) video.settle(doc);
    if (doc.source?.id === old.source?.id && doc.frame !== old.frame) {
      head.moved(doc.frame);
      preview.show(undefined);
      void showing.ask();
      lookSoon();
    } else if (doc.source?.id !== old.source?.id) {
      change({ picture: "opening", everything: NOTHING_FOUND });
      preview.show(undefined);
      void showing.ask();
      void lookAtPicture();
    } else if (doc.objects !== old.objects) void answer();
    if (doc.objects !== old.objects || doc.selected !== old.selected || doc.panel !== old.panel) {
      preview.show(undefined);
      draw();
    }
    if (doc !== old) keepSoon();
    if (doc.thresholds !== old.thresholds) everything.select(doc.thresholds);
  });

  return {
    status,
    painter,
    shown,
    openMedia,
    restore,
    openProject,
    media: mediaInUse,
    useModel: model.use,
    measure: pace.measure,
    preview: preview.show,
    draw,
    handCanvases,
    brush,
    pointAt: everything.pointAt,
    takePointed: everything.takePointed,
    takeAll: everything.takeAll,
    trace: tracer({ desk, media: mediaInUse, attempt }),
    answerOffer,
    clear: (field) => change({ [field]: undefined }),
    tell: (field, text) => change({ [field]: text }),
  };
}
