/**
 * Everything that can be done, one table: the tool bar, the keyboard and the help are made from it, and nothing else changes
 * the document. An action is a pure function of the document; what it asks of the world outside is named as an effect, which
 * session/ carries out.
 */
import { type Action, action } from "./action.ts";
import type { Dialog, Document } from "./document.ts";
import { OBJECT_ACTIONS } from "./object_actions.ts";
import { EVERYTHING_ACTIONS, HOME_ACTIONS, PICTURE_ACTIONS } from "./picture_actions.ts";
import { PROMPT_ACTIONS } from "./prompt_actions.ts";
import { VIDEO_ACTIONS } from "./video_actions.ts";
import { VIEW_ACTIONS } from "./view_actions.ts";

export type { Action, Effect, Group } from "./action.ts";

export const ACTIONS = {
  ...PICTURE_ACTIONS,
  ...PROMPT_ACTIONS,
  ...OBJECT_ACTIONS,
  ...VIDEO_ACTIONS,
  ...VIEW_ACTIONS,
  ...EVERYTHING_ACTIONS,
  ...HOME_ACTIONS,
  undo: action({ label: "Undo", group: "Other", keys: ["Ctrl+z"], perform: (doc) => ({ doc, effect: "undo" }) }),
  redo: action({
    label: "Redo",
    group: "Other",
    keys: ["Ctrl+Shift+z", "Ctrl+y"],
    perform: (doc) => ({ doc, effect: "redo" }),
  }),
  /** Out of whatever one is in, a step at a time. */
  escape: action({
    label: "Stop, or let go",
    group: "Other",
    keys: ["Escape"],
    perform: (doc) => {
      if (doc.dialog) return { doc: { ...doc, dialog: undefined } };
      if (doc.panel === "everything") return { doc: { ...doc, panel: "objects" }, effect: "stop" };
      return { doc: { ...doc, selected: undefined, tool: "click", label: 1 }, effect: "stop" };
    },
  }),
  dialog: action<{ dialog: Dialog | undefined }>({
    label: "Dialog",
    group: "Other",
    perform: (doc, { dialog }) => ({ doc: { ...doc, dialog } }),
  }),
  models: action({
    label: "Choose a model",
    group: "Other",
    keys: ["m"],
    perform: (doc) => ({ doc: { ...doc, dialog: "models" } }),
  }),
  lookInside: action({
    label: "Look inside the model",
    group: "Other",
    keys: ["i"],
    isEnabled: ({ source }) => source !== undefined && source.kind !== "camera",
    perform: (doc) => ({ doc: { ...doc, dialog: "inside" } }),
  }),
  chooseModel: action({
    label: "Open a checkpoint",
    group: "Other",
    perform: (doc) => ({ doc, effect: "chooseModel" }),
  }),
  help: action({
    label: "All keys",
    group: "Other",
    keys: ["?"],
    perform: (doc) => ({ doc: { ...doc, dialog: doc.dialog === "help" ? undefined : "help" } }),
  }),
};

export type ActionName = keyof typeof ACTIONS;
export type ArgsOf<N extends ActionName> = (typeof ACTIONS)[N] extends Action<infer A> ? A : never;
/** Actions that need nothing but the document: those of keys and plain buttons. */
export type PlainAction = { [N in ActionName]: void extends ArgsOf<N> ? N : never }[ActionName];

export function isEnabled(name: ActionName, doc: Document): boolean {
  return (ACTIONS[name] as Action<never>).isEnabled?.(doc) ?? true;
}

/** The action of a key, as `keyOfEvent` gives it: the first that can be done. */
export function actionOfKey(key: string, doc: Document): PlainAction | undefined {
  const names = Object.keys(ACTIONS) as ActionName[];
  const isMeant = (name: ActionName) => (ACTIONS[name] as Action<never>).keys?.includes(key) && isEnabled(name, doc);
  return names.find(isMeant) as PlainAction | undefined;
}

/** "Ctrl+Shift+z", "?", "Delete": what was pressed; a Mac's command key is Ctrl. */
export function keyOfEvent(event: {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}): string {
  const { key, shiftKey, altKey } = event;
  const plain = key.length === 1 ? key.toLowerCase() : key;
  const hasCase = key.length > 1 || key.toLowerCase() !== key.toUpperCase(); // a shifted "/" is a "?" already
  const parts = [(event.ctrlKey || event.metaKey) && "Ctrl", altKey && "Alt", shiftKey && hasCase && "Shift", plain];
  return parts.filter(Boolean).join("+");
}
