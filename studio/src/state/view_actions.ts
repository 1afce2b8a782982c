/** Where the visitor looks: a part of the one table of actions.ts. */
import { type Action, action, tool } from "./action.ts";
import { type View, WHOLE } from "./document.ts";

const MOST_ZOOM = 40;

export const VIEW_ACTIONS = {
  look: action<View>({
    label: "Look",
    group: "View",
    perform: (doc, view) => ({ doc: { ...doc, view: bounded(view) } }),
  }),
  zoomIn: zoom(1.5, "Zoom in", ["+", "="]),
  zoomOut: zoom(1 / 1.5, "Zoom out", ["-"]),
  zoomWhole: action({
    label: "Show all of it",
    group: "View",
    keys: ["0"],
    perform: (doc) => ({ doc: { ...doc, view: WHOLE } }),
  }),
  toolPan: tool("pan", "Move the view", "View", ["h"]),
  panLeft: pan(-1, 0, "Shift+ArrowLeft", "Move the view to the left"),
  panRight: pan(1, 0, "Shift+ArrowRight", "Move the view to the right"),
  frame: action<{ frame: number }>({
    label: "Go to a frame",
    group: "View",
    perform: (doc, { frame }) => ({
      doc: { ...doc, frame: Math.min(Math.max(0, frame), (doc.source?.frames ?? 1) - 1) },
    }),
  }),
};

function zoom(by: number, label: string, keys: readonly string[]): Action {
  return {
    label,
    group: "View",
    keys,
    perform: (doc) => ({ doc: { ...doc, view: bounded({ ...doc.view, zoom: doc.view.zoom * by }) } }),
  };
}

function pan(dx: number, dy: number, key: string, label: string): Action {
  const STEP = 0.15;
  return {
    label,
    group: "View",
    keys: [key],
    perform: (doc) => {
      const { zoom, centre } = doc.view;
      const moved = [centre[0] + (STEP * dx) / zoom, centre[1] + (STEP * dy) / zoom] as const;
      return { doc: { ...doc, view: bounded({ zoom, centre: moved }) } };
    },
  };
}

function bounded({ zoom, centre }: View): View {
  if (!(zoom > 1)) return WHOLE;
  const within = (at: number) => Math.min(1, Math.max(0, at));
  return { zoom: Math.min(MOST_ZOOM, zoom), centre: [within(centre[0]), within(centre[1])] };
}
