/** Everything in a picture: found once, chosen by thresholds that answer at once, pointed at and taken. */
import type { AutomaticMaskGenerator, MaskRecord, Rle } from "sam2-ts";
import type { Painter } from "../masks/painter.ts";
import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import type { Thresholds } from "../state/document.ts";
import type { Store } from "../state/store.ts";
import { Latest } from "./latest.ts";
import { NOTHING_FOUND, type Status } from "./status.ts";

export interface EverythingSession {
  find(): Promise<void>;
  stop(): void;
  /** Other thresholds: what passes them. */
  select(thresholds: Thresholds): void;
  /** Which of it lies there? @units 0…1 of the picture */
  pointAt(x: number, y: number): void;
  takePointed(): void;
  takeAll(): void;
}

interface Surroundings {
  desk: Desk;
  status: Store<Status>;
  painter: Painter;
  change(changed: Partial<Status>): void;
  /** of the document's source */
  media(): Media | undefined;
  attempt<R>(call: (model: { generator: AutomaticMaskGenerator }) => Promise<R>): Promise<R | undefined>;
  draw(): void;
  /** of an outline, pixels of the picture */
  lineWidth(): number;
}

export function everythingSession(surroundings: Surroundings): EverythingSession {
  const { desk, status, painter, change, media, attempt, draw, lineWidth } = surroundings;
  let finding: AbortController | undefined;
  /** where the pointer is, which may rest there while masks change */
  let pointer: [x: number, y: number] | undefined;
  const changeIt = (changed: Partial<Status["everything"]>) =>
    change({ everything: { ...status.get().everything, ...changed } });

  const selecting = new Latest<Thresholds>(async (thresholds) => {
    const records = await attempt(({ generator }) => generator.select({ ...thresholds, outputMode: "coco_rle" }));
    if (!records) return;
    changeIt({ records, labels: undefined, pointed: undefined });
    draw();
  });

  painter.onLabels = (labels) => {
    changeIt({ labels });
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
    changeIt({ pointed: next });
    if (next === undefined) painter.tell({ type: "clearPreview" });
    else {
      const parts = { base: records[next].segmentation as Rle };
      painter.tell({ type: "previewMask", parts, colour: "#ffffff", line: lineWidth() });
    }
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

  return {
    async find() {
      const { frame } = desk.doc;
      const opened = media();
      const { model, everything } = status.get();
      if (!opened || model.state !== "ready" || everything.state !== "none") return;
      finding = new AbortController();
      const { signal } = finding;
      pointer = undefined;
      changeIt({ state: "running", fraction: 0 });
      const done = await attempt(async ({ generator }) => {
        const image = await opened.input(frame, signal);
        await generator.prepare(image, { signal, onProgress: ({ fraction = 0 }) => changeIt({ fraction }) });
        return true;
      });
      if (!done) return changeIt(NOTHING_FOUND);
      changeIt({ state: "ready" });
      await selecting.ask(desk.doc.thresholds);
    },
    stop: () => finding?.abort(),
    select(thresholds) {
      if (status.get().everything.state === "ready") void selecting.ask(thresholds);
    },
    pointAt,
    takePointed() {
      const { records, pointed } = status.get().everything;
      if (pointed !== undefined) take(records[pointed]);
    },
    takeAll() {
      for (const record of status.get().everything.records.toReversed()) take(record);
    },
  };
}
