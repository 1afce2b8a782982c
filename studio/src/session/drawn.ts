/** What the painter draws of the document, and what it makes of the masks there. */
import type { Rle } from "sam2-ts";
import type { Painter } from "../masks/painter.ts";
import type { Layer, Stroke } from "../masks/protocol.ts";
import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import { appearanceOf, COLOURS, colourOf, partsOf, selectedObject } from "../state/document.ts";
import type { Store } from "../state/store.ts";
import type { Shown, Status } from "./status.ts";

export interface Drawn {
  /** Draw the masks; `scale` is how many pixels of the screen a pixel of the picture takes, the latest if it is not said. */
  draw(scale?: number): void;
  /** Where masks and previews are drawn, for a painter that is new. */
  handCanvases(objects: OffscreenCanvas, preview: OffscreenCanvas): void;
  /** As wide as two pixels of the screen. @units pixels of the picture */
  lineWidth(): number;
  brush(stroke: Stroke): Promise<void>;
  /** The selected object alone, as PNG; undefined if there is none */
  cutout(): Promise<{ blob: Blob; name: string } | undefined>;
}

interface Surroundings {
  desk: Desk;
  painter: Painter;
  status: Store<Status>;
  shown: Store<Shown | undefined>;
  /** of the document's source */
  media(): Media | undefined;
}

export function drawn({ desk, painter, status, shown, media }: Surroundings): Drawn {
  let scale = 1;
  const lineWidth = () => 2 / scale;

  function draw(newScale = scale): void {
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

  return {
    draw,
    lineWidth,
    handCanvases(objects, preview) {
      painter.tell({ type: "canvases", objects, preview }, [objects, preview]);
      const { source } = desk.doc;
      if (!source) return;
      const { width, height } = source;
      painter.tell({ type: "size", size: { width, height } });
      draw();
    },
    async brush(stroke) {
      const { source, frame } = desk.doc;
      if (!source) return;
      const { width, height } = source;
      const { added, erased } = appearanceOf(selectedObject(desk.doc), frame) ?? {};
      const result = await painter.ask("stroke", { parts: { added, erased }, stroke, size: { width, height } });
      desk.perform("brush", { added: result.added, erased: result.erased });
    },
    async cutout() {
      const object = selectedObject(desk.doc);
      const parts = partsOf(appearanceOf(object, desk.doc.frame) ?? {});
      const opened = media();
      if (!object || !parts || !opened) return undefined;
      const picture = await opened.picture(desk.doc.frame);
      const blob = await painter.ask("cutout", { picture, parts }, [picture]);
      return blob && { blob, name: object.name };
    },
  };
}
