/**
 * Between the document and the model: prompts that have no answer yet are asked, hovering is previewed, effects of actions
 * are carried out. One queue, in the model's worker; of previews only the newest counts.
 */
import {
  AutomaticMaskGenerator,
  type CheckpointSource,
  EngineError,
  ImagePredictor,
  type MaskRecord,
  type Rle,
  Sam2,
} from "sam2-ts";
import { painter as startPainter, type Painter } from "../masks/painter.ts";
import type { Layer, Stroke } from "../masks/protocol.ts";
import type { Camera } from "../media/camera.ts";
import type { Media } from "../media/media.ts";
import type { Effect } from "../state/actions.ts";
import type { Desk } from "../state/desk.ts";
import {
  appearanceOf,
  type Document,
  COLOURS,
  colourOf,
  isAmbiguous,
  isEmptyPrompt,
  isUnanswered,
  keyOf,
  partsOf,
  type Prompt,
  selectedObject,
  type Source,
  type Thresholds,
} from "../state/document.ts";
import { type Store, store } from "../state/store.ts";
import { copy, save } from "../take_home/save.ts";
import { keep } from "./keep.ts";
import { liveSession } from "./live.ts";
import { Latest } from "./latest.ts";
import { modelPrompt } from "./model_prompt.ts";
import { expectedMs, type Measured, NANO, namedModel } from "./models.ts";
import { playhead } from "./playhead.ts";
import { remember, remembered } from "./remembered.ts";
import { AT_FIRST, NOTHING_FOUND, type Status } from "./status.ts";
import { type Trace, tracer } from "./trace.ts";
import { videoSession } from "./video.ts";

/** Pictures that undo can bring back. */
const MOST_MEDIA = 6;
/** Was the visitor told that nano knows drawings only? */
const OFFERED = "sam2-offered";
/** After the last change, until it is kept. */
const KEEP_MS = 400;
/** A model that takes longer for a picture previews nothing in videos. */
const QUICK_MS = 400;
/** A frame that is seen for so long is worth a look of the model. */
const REST_MS = 250;
/** So many times a model that stopped is asked again by itself. */
const MOST_DEATHS = 3;
/** A side of the grid of points for everything: nano's answers are few and quick, others take long. */
const GRID = { nano: 16, others: 24 };

export interface Options {
  kernels?: "auto" | "portable";
  threads?: number;
}

interface Loaded {
  name: string;
  source: CheckpointSource;
  /** as it was asked for */
  side: number | undefined;
  sam2: Sam2;
  predictor: ImagePredictor;
  generator: AutomaticMaskGenerator;
}

/** A picture, and which frame it is. */
export interface Shown {
  /** the canvas takes it: then it is empty */
  bitmap: ImageBitmap;
  source: string;
  frame: number;
  /** @units s from the first */
  time: number;
}

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
  let all: AbortController | undefined;
  let model: Loaded | undefined;
  /** the latest load counts */
  let loads = 0;
  /** of the model's worker, since the document changed */
  let deaths = 0;
  /** `source.id` and frame that the model has looked at, or looks at */
  let looked = "";
  let hasLooked = false;
  let scale = 1;

  const change = (changed: Partial<Status>) => status.set({ ...status.get(), ...changed });
  const everything = (changed: Partial<Status["everything"]>) =>
    change({ everything: { ...status.get().everything, ...changed } });
  const problem = (error: unknown) => {
    if (isAbort(error)) return;
    change({ problem: sentence(error) });
  };

  // ---- the model

  async function useModel(name: string, source: CheckpointSource, side?: number): Promise<boolean> {
    const load = ++loads;
    const label = namedModel(name)?.label ?? name;
    const isFirst = model === undefined;
    change({ coming: { name, label, stage: "load", fraction: undefined } });
    change(isFirst ? { model: { name, label, state: "loading" } } : { problem: undefined });
    try {
      const sam2 = await Sam2.fromPretrained(source, {
        ...options,
        imageSize: side,
        onProgress: ({ stage, fraction }) =>
          change({ coming: { name, label, stage: stage === "download" ? "download" : "load", fraction } }),
      });
      if (load !== loads) {
        await sam2.dispose(); // another one was chosen meanwhile
        return false;
      }
      const before = model;
      const pointsPerSide = name === NANO ? GRID.nano : GRID.others;
      model = {
        name,
        source,
        side,
        sam2,
        predictor: new ImagePredictor(sam2),
        generator: new AutomaticMaskGenerator(sam2, { pointsPerSide }),
      };
      looked = "";
      change({
        model: { name, label, state: "ready", side: sam2.config.imageSize },
        coming: undefined,
        threads: sam2.threads,
        everything: NOTHING_FOUND,
      });
      await before?.sam2.dispose();
      if (!isFirst) desk.perform("askAgain");
      if (deaths < MOST_DEATHS) void lookAtPicture();
      return true;
    } catch (error) {
      if (load !== loads) return false;
      change({ coming: undefined });
      if (isFirst) change({ model: { name, label, state: "failed" } });
      problem(error);
      return false;
    }
  }

  /** After a worker died: the same model anew, and the same picture, unless that is what it dies of. */
  async function recover(dead: Loaded): Promise<void> {
    if (model !== dead) return;
    model = undefined;
    looked = "";
    deaths++;
    if (deaths === MOST_DEATHS) change({ picture: "none" });
    if (!(await useModel(dead.name, dead.source, dead.side))) return;
    if (deaths < MOST_DEATHS) change({ notice: "The model stopped and was started again. Nothing is lost." });
    else
      problem(new Error("The model stops here each time. Nothing is lost; try another model, or a smaller picture."));
  }

  /** What a model's call came to; undefined if it was aborted or failed. */
  async function attempt<R>(call: (model: Loaded) => Promise<R>): Promise<R | undefined> {
    const used = model;
    if (!used) return undefined;
    try {
      return await call(used);
    } catch (error) {
      if (used !== model || isAbort(error)) return undefined;
      if (error instanceof EngineError) await recover(used);
      else problem(error);
      return undefined;
    }
  }

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
    for (const [id, old] of [...media].slice(0, -MOST_MEDIA)) {
      old.close();
      media.delete(id);
    }
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
    draw(scale);
  }

  /** To a painter that is new. */
  function handCanvases(objects: OffscreenCanvas, preview: OffscreenCanvas): void {
    painter.tell({ type: "canvases", objects, preview }, [objects, preview]);
    const { source } = desk.doc;
    if (!source) return;
    const { width, height } = source;
    painter.tell({ type: "size", size: { width, height } });
    draw(scale);
  }

  /** Let the model look at what is seen, unless it has. */
  async function lookAtPicture(): Promise<void> {
    const { source, frame } = desk.doc;
    const opened = source && media.get(source.id);
    if (!opened || !model) return;
    const place = `${source.id} ${frame}`;
    if (looked === place) return;
    if (source.kind === "camera") {
      change({ picture: "ready", everything: NOTHING_FOUND });
      return live.follow();
    }
    const isVideo = source.kind === "video";
    if (isVideo) {
      change({ picture: "ready", everything: NOTHING_FOUND });
      void video.answer();
      if (!isQuick() || video.isTracking || status.get().isPlaying) return;
    }
    looked = place;
    hasLooked = false;
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
      looked = "";
      if (model) change({ picture: "none" });
      return;
    }
    hasLooked = true;
    if (isVideo) return;
    const ms = performance.now() - start;
    change({ picture: "ready", measured: withTime(model!, ms) });
    answer();
  }

  /** May a frame be looked at just to preview masks on it? */
  function isQuick(): boolean {
    const { name, sam2 } = model!;
    const ms = expectedMs(name, sam2.config.imageSize, status.get().measured);
    return ms === undefined ? name === NANO : ms < QUICK_MS;
  }

  /** With what a picture took; the first takes longer. */
  function withTime({ name, sam2 }: Loaded, ms: number): Measured[] {
    const side = sam2.config.imageSize;
    const { measured } = status.get();
    const before = measured.find((one) => one.name === name && one.side === side)?.ms ?? ms;
    return [{ name, side, ms: Math.min(ms, before) }, ...measured.filter((one) => one.name !== name)];
  }

  async function measure(): Promise<void> {
    if (status.get().measured.length > 0) return;
    await attempt(async (used) => {
      const predictor = new ImagePredictor(used.sam2);
      for (let run = 0, ms = 0; run < 2 && ms < QUICK_MS; run++) {
        const start = performance.now();
        await predictor.setImage({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) });
        ms = performance.now() - start;
        change({ measured: withTime(used, ms) });
      }
      await predictor.resetPredictor();
    });
  }

  // ---- a video

  const mediaInUse = () => media.get(desk.doc.source?.id ?? "");
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
    if (source?.kind === "video") return model && video.answer();
    if (source?.kind === "camera") return model && live.follow();
    const object = objects.find((one) => one.on[frame] && isUnanswered(one.on[frame]));
    ask?.abort();
    if (object && status.get().picture === "none") return lookAtPicture(); // it could not be looked at before
    if (!object || status.get().picture !== "ready") {
      if (status.get().isAsking) change({ isAsking: false });
      return;
    }
    ask = new AbortController();
    const { signal } = ask;
    hover.drop();
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

  // ---- previews

  let wanted: Prompt | undefined;
  const hover = new Latest<Prompt>(async (prompt) => {
    if (status.get().picture !== "ready" || status.get().isAsking || !hasLooked) return;
    const { source, frame } = desk.doc;
    if (looked !== `${source?.id} ${frame}`) return;
    const found = await attempt(({ predictor }) =>
      predictor.predict(modelPrompt(prompt), { multimaskOutput: isAmbiguous(prompt), returnMasks: false }),
    );
    if (!found || !wanted) return;
    const logits = found.lowResMasks[best([...found.iouPredictions])];
    painter.tell({ type: "preview", logits, side: found.lowResSize, colour: nextColour(), line: lineWidth() }, [
      logits.buffer,
    ]);
  });

  function preview(prompt: Prompt | undefined): void {
    wanted = isEmptyPrompt(prompt) ? undefined : prompt;
    if (wanted) void hover.ask(wanted);
    else {
      hover.drop();
      painter.tell({ type: "clearPreview" });
    }
  }

  function nextColour(): string {
    const object = selectedObject(desk.doc);
    return object ? colourOf(object) : COLOURS[(desk.doc.nextId - 1) % COLOURS.length].css;
  }

  // ---- masks

  /** As wide as two pixels of the screen. @units pixels of the picture */
  function lineWidth(): number {
    return 2 / scale;
  }

  function draw(newScale: number): void {
    scale = newScale;
    const { objects, selected, panel } = desk.doc;
    const frame = shown.get()?.frame ?? desk.doc.frame; // a mask is seen on its own picture
    const { records, state } = status.get().everything;
    if (panel === "everything" && state === "ready") {
      const masks = records.map(({ segmentation }) => segmentation as Rle);
      painter.tell({ type: "drawAll", masks, colours: COLOURS.map(({ css }) => css) });
      return;
    }
    const layers = objects.flatMap((object): Layer[] => {
      const parts = object.visible && partsOf(object.on[frame] ?? {});
      return parts ? [{ parts, colour: colourOf(object), isSelected: object.id === selected }] : [];
    });
    painter.tell({ type: "draw", layers, line: lineWidth() });
  }

  async function brush(stroke: Stroke): Promise<void> {
    const { source, frame } = desk.doc;
    if (!source) return;
    const { width, height } = source;
    const parts = appearanceOf(selectedObject(desk.doc), frame) ?? {};
    const { added, erased } = parts;
    const result = await painter.ask("stroke", { parts: { added, erased }, stroke, size: { width, height } });
    desk.perform("brush", { added: result.added, erased: result.erased });
  }

  // ---- everything

  /** where the pointer is, which may rest there while masks change */
  let pointer: [x: number, y: number] | undefined;

  async function findEverything(): Promise<void> {
    const { source, frame } = desk.doc;
    const opened = source && media.get(source.id);
    const { state } = status.get().everything;
    if (!opened || !model || state !== "none") return;
    all = new AbortController();
    const { signal } = all;
    pointer = undefined;
    everything({ state: "running", fraction: 0 });
    const done = await attempt(async ({ generator }) => {
      const image = await opened.input(frame, signal);
      await generator.prepare(image, { signal, onProgress: ({ fraction = 0 }) => everything({ fraction }) });
      return true;
    });
    if (!done) return everything(NOTHING_FOUND);
    everything({ state: "ready" });
    await selecting.ask(desk.doc.thresholds);
  }

  const selecting = new Latest<Thresholds>(async (thresholds) => {
    const records = await attempt(({ generator }) => generator.select({ ...thresholds, outputMode: "coco_rle" }));
    if (!records) return;
    everything({ records, labels: undefined, pointed: undefined });
    draw(scale);
  });

  painter.onLabels = (labels) => {
    everything({ labels });
    if (pointer) pointAt(...pointer);
  };

  function pointAt(x: number, y: number): void {
    pointer = [x, y];
    const { labels: map, records, pointed } = status.get().everything;
    if (!map) return;
    const { labels, size } = map;
    const [column, row] = [Math.floor(x * size.width), Math.floor(y * size.height)];
    const isInside = column >= 0 && row >= 0 && column < size.width && row < size.height;
    const label = isInside ? labels[row * size.width + column] : 0;
    const next = label === 0 || label > records.length ? undefined : label - 1; // the map may be of the masks before
    if (next === pointed) return;
    everything({ pointed: next });
    if (next === undefined) painter.tell({ type: "clearPreview" });
    else {
      const parts = { base: records[next].segmentation as Rle };
      painter.tell({ type: "previewMask", parts, colour: "#ffffff", line: lineWidth() });
    }
  }

  function takePointed(): void {
    const { records, pointed } = status.get().everything;
    if (pointed === undefined) return;
    take(records[pointed]);
  }

  function take({ segmentation, predictedIou, pointCoords }: MaskRecord): void {
    const clicks = pointCoords.map(([x, y]) => ({ x, y, label: 1 }) as const);
    const found = {
      by: "everything",
      of: "",
      masks: [segmentation as Rle],
      scores: [predictedIou],
      choice: 0,
    } as const;
    desk.perform("take", { found, prompt: { clicks } });
  }

  function takeAll(): void {
    for (const record of status.get().everything.records.toReversed()) take(record);
  }

  // ---- effects of actions

  async function cutout(): Promise<{ blob: Blob; name: string } | undefined> {
    const object = selectedObject(desk.doc);
    const parts = partsOf(appearanceOf(object, desk.doc.frame) ?? {});
    const opened = mediaInUse();
    if (!object || !parts || !opened) return undefined;
    const picture = await opened.picture(desk.doc.frame);
    const blob = await painter.ask("cutout", { picture, parts }, [picture]);
    return blob && { blob, name: object.name };
  }

  const EFFECTS: Partial<Record<Effect, () => void>> = {
    findEverything: () => void findEverything(),
    play: () => void head.play(),
    trackForward: () => void head.track("forward").then(lookSoon),
    trackBackward: () => void head.track("backward").then(lookSoon),
    stop() {
      all?.abort();
      head.stop();
      live.stop();
      draw(scale);
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

  let keeping: ReturnType<typeof setTimeout> | undefined;
  function keepSoon(): void {
    clearTimeout(keeping);
    keeping = setTimeout(() => void keeper.ask(), KEEP_MS);
  }

  /** the source that is known not to be kept: it is told of once */
  let unkept = "";
  const keeper = new Latest<void>(async () => {
    const opened = mediaInUse();
    if (!opened) return;
    const { id } = opened.source;
    try {
      await keep(desk.doc, opened);
      unkept = "";
    } catch (error) {
      if (unkept === id || desk.doc.objects.length === 0) return;
      change({ notice: (error as Error).message });
      unkept = id;
    }
  });

  let before = desk.doc;
  desk.history.subscribe(() => {
    const doc = desk.doc;
    const old = before;
    before = doc;
    if (doc.source !== old.source || doc.objects !== old.objects) deaths = 0;
    if (doc.source?.id !== old.source?.id || doc.run !== old.run) video.settle(doc);
    if (doc.source?.id === old.source?.id && doc.frame !== old.frame) {
      head.moved(doc.frame);
      preview(undefined);
      void showing.ask();
      lookSoon();
    } else if (doc.source?.id !== old.source?.id) {
      change({ picture: "opening", everything: NOTHING_FOUND });
      preview(undefined);
      void showing.ask();
      void lookAtPicture();
    } else if (doc.objects !== old.objects) void answer();
    if (doc.objects !== old.objects || doc.selected !== old.selected || doc.panel !== old.panel) {
      preview(undefined);
      draw(scale);
    }
    if (doc !== old) keepSoon();
    if (doc.thresholds !== old.thresholds && status.get().everything.state === "ready")
      void selecting.ask(doc.thresholds);
  });

  return {
    status,
    painter,
    shown,
    openMedia,
    restore,
    openProject,
    media: mediaInUse,
    useModel,
    measure,
    preview,
    draw,
    handCanvases,
    brush,
    pointAt,
    takePointed,
    takeAll,
    trace: tracer({ desk, media: mediaInUse, attempt }),
    answerOffer,
    clear: (field) => change({ [field]: undefined }),
    tell: (field, text) => change({ [field]: text }),
  };
}

function best(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores));
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The package's errors name a place, what was expected and what to do; a visitor wants a sentence. */
function sentence(error: unknown): string {
  const { message } = error as Error;
  const isWord = /^[a-z]+[\s:]/.test(message); // and no name of a file
  const begun = isWord ? `${message.slice(0, 1).toUpperCase()}${message.slice(1)}` : message;
  return `${begun}${/[.!?]$/.test(message) ? "" : "."}`;
}
