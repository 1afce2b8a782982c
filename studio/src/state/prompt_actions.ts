/** What is said of an object, by prompts and by hand: a part of the one table of actions.ts. */
import type { Rle } from "sam2-ts";
import { type Action, action, tool } from "./action.ts";
import { changing, prompting } from "./changes.ts";
import { type Box, type Click, selectedObject } from "./document.ts";

export const PROMPT_ACTIONS = {
  toolClick: tool("click", "Click", "Prompts", ["c"]),
  flipLabel: action({
    label: "Add or take away",
    group: "Prompts",
    keys: ["x"],
    perform: (doc) => {
      const label = doc.label === 1 ? 0 : 1;
      return { doc: { ...doc, label, tool: "click" }, say: label === 1 ? "Clicks add." : "Clicks take away." };
    },
  }),
  click: action<Click>({
    label: "Click",
    group: "Prompts",
    undoable: true,
    perform: (doc, click) => prompting(doc, (prompt) => ({ ...prompt, clicks: [...prompt.clicks, click] })),
  }),
  moveClick: action<{ index: number; x: number; y: number }>({
    label: "Move a click",
    group: "Prompts",
    undoable: true,
    perform: (doc, { index, x, y }) =>
      prompting(doc, (prompt) => ({
        ...prompt,
        clicks: prompt.clicks.with(index, { ...prompt.clicks[index], x, y }),
      })),
  }),
  removeClick: action<{ index: number }>({
    label: "Remove a click",
    group: "Prompts",
    undoable: true,
    perform: (doc, { index }) => prompting(doc, (prompt) => ({ ...prompt, clicks: prompt.clicks.toSpliced(index, 1) })),
  }),
  box: action<{ box: Box | undefined }>({
    label: "Draw a box",
    group: "Prompts",
    undoable: true,
    perform: (doc, { box }) => prompting(doc, (prompt) => ({ ...prompt, box })),
  }),
  choose1: choice(0),
  choose2: choice(1),
  choose3: choice(2),
  newObject: action({
    label: "Next object",
    group: "Prompts",
    keys: ["n", "Enter"],
    isEnabled: (doc) => doc.selected !== undefined,
    perform: (doc) => ({
      doc: { ...doc, selected: undefined, label: 1, tool: doc.tool === "pan" ? "pan" : "click" },
      say: "The next click starts a new object.",
    }),
  }),

  toolAdd: tool("add", "Brush: add pixels", "Brush", ["b"]),
  toolErase: tool("erase", "Brush: erase pixels", "Brush", ["e"]),
  smallerBrush: action({
    label: "Smaller brush",
    group: "Brush",
    keys: ["["],
    perform: (doc) => ({ doc: { ...doc, radius: Math.max(1, Math.round(doc.radius / 1.3)) } }),
  }),
  largerBrush: action({
    label: "Larger brush",
    group: "Brush",
    keys: ["]"],
    perform: (doc) => ({ doc: { ...doc, radius: Math.min(500, Math.ceil(doc.radius * 1.3)) } }),
  }),
  brush: action<{ added: Rle | undefined; erased: Rle | undefined }>({
    label: "Brush",
    group: "Brush",
    undoable: true,
    perform: (doc, { added, erased }) => changing(doc, (seen) => ({ ...seen, added, erased })),
  }),
};

function choice(index: number): Action {
  return {
    label: `Take the ${["first", "second", "third"][index]} of three masks`,
    group: "Prompts",
    keys: [`${index + 1}`],
    undoable: true,
    perform: (doc) => {
      const found = selectedObject(doc)?.on[doc.frame]?.found;
      if (!found || index >= found.masks.length || index === found.choice) return { doc };
      return {
        ...changing(doc, (seen) => ({ ...seen, found: { ...found, choice: index } })),
        say: `Mask ${index + 1}.`,
      };
    },
  };
}
