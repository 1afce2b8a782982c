/**
 * Everything that can be done, one table: the tool bar, the keyboard and the help are made from it, and nothing else changes
 * the document. An action is a pure function of the document; what it asks of the world outside is named as an effect, which
 * session/ carries out.
 */
import {
  type Appearance,
  type Box,
  type Click,
  COLOURS,
  type Dialog,
  type Document,
  type Found,
  isEmptyPrompt,
  keyOf,
  type Prompt,
  selectedObject,
  type Source,
  type StudioObject,
  type Thresholds,
  type Tool,
  type View,
  WHOLE,
} from "./document.ts";
import type { Rle } from "sam2-ts";
import type { Action, Group, Outcome } from "./action.ts";
import { VIDEO_ACTIONS } from "./video_actions.ts";

export type { Action, Effect, Group } from "./action.ts";

const action = <A = void>(made: Action<A>): Action<A> => made;

const MOST_ZOOM = 40;

export const ACTIONS = {
  // ---- picture
  openDialog: action({
    label: "Open a picture",
    group: "Picture",
    keys: ["o"],
    perform: (doc) => ({ doc: { ...doc, dialog: "open" } }),
  }),
  choosePicture: action({
    label: "Choose a file",
    group: "Picture",
    keys: ["Ctrl+o"],
    perform: (doc) => ({ doc: { ...doc, dialog: undefined }, effect: "choosePicture" }),
  }),
  /** Another picture. What was made of the one before comes back by undo. */
  open: action<Source>({
    label: "Open",
    group: "Picture",
    undoable: true,
    perform: (doc, source) => ({
      doc: {
        ...doc,
        source,
        objects: [],
        nextId: 1,
        selected: undefined,
        frame: 0,
        view: WHOLE,
        panel: "objects",
        dialog: undefined,
      },
      say: `${source.name}, ${source.width} by ${source.height} pixels.`,
    }),
  }),
  chooseFolder: action({
    label: "Open a folder of frames",
    group: "Picture",
    perform: (doc) => ({ doc: { ...doc, dialog: undefined }, effect: "chooseFolder" }),
  }),
  openScene: action({ label: "The drawing", group: "Picture", perform: (doc) => ({ doc, effect: "openScene" }) }),
  openClip: action({ label: "The drawn clip", group: "Picture", perform: (doc) => ({ doc, effect: "openClip" }) }),
  /** A document that was saved. What was made before comes back by undo. */
  openProject: action<Document>({
    label: "Open a project",
    group: "Picture",
    undoable: true,
    perform: (doc, { source, objects, nextId, selected, frame }) => ({
      doc: {
        ...doc,
        source,
        objects,
        nextId,
        selected,
        frame,
        run: undefined,
        view: WHOLE,
        panel: "objects",
        dialog: undefined,
      },
      say: `${source!.name} is open again, with ${counted(objects.length)}.`,
    }),
  }),
  /** A document that was kept. */
  restore: action<Document>({
    label: "Restore",
    group: "Picture",
    perform: (_, kept) => ({ doc: kept }),
  }),

  // ---- prompts
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

  // ---- brush
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

  // ---- objects
  select: action<{ id: number | undefined }>({
    label: "Select",
    group: "Objects",
    perform: (doc, { id }) => withSelected(doc, id),
  }),
  selectNext: action({
    label: "Select the next object",
    group: "Objects",
    keys: ["."],
    isEnabled: hasObjects,
    perform: (doc) => selecting(doc, 1),
  }),
  selectPrevious: action({
    label: "Select the object before",
    group: "Objects",
    keys: [","],
    isEnabled: hasObjects,
    perform: (doc) => selecting(doc, -1),
  }),
  rename: action<{ id: number; name: string }>({
    label: "Rename",
    group: "Objects",
    undoable: true,
    perform: (doc, { id, name }) => {
      const given = name.trim();
      if (given === "" || doc.objects.some((one) => one.id === id && one.name === given)) return { doc };
      return { doc: withObject(doc, id, (one) => ({ ...one, name: given })) };
    },
  }),
  recolour: action<{ id: number }>({
    label: "Next colour",
    group: "Objects",
    undoable: true,
    perform: (doc, { id }) => ({
      doc: withObject(doc, id, (one) => ({ ...one, colour: (one.colour + 1) % COLOURS.length })),
    }),
  }),
  toggleVisible: toggle("visible", "Show or hide", ["v"], ["is shown", "is hidden"]),
  toggleLocked: toggle("locked", "Lock or unlock", ["l"], ["is locked", "is unlocked"]),
  moveUp: reorder(-1, "Move up", ["Shift+ArrowUp"]),
  moveDown: reorder(1, "Move down", ["Shift+ArrowDown"]),
  remove: action<{ id: number } | void>({
    label: "Delete",
    group: "Objects",
    keys: ["Delete", "Backspace"],
    undoable: true,
    isEnabled: isSelected,
    perform: (doc, args) => {
      const id = args?.id ?? doc.selected;
      const object = doc.objects.find((one) => one.id === id);
      if (!object || object.locked) return { doc, say: object && `${object.name} is locked.` };
      const selected = doc.selected === id ? undefined : doc.selected;
      return {
        doc: { ...doc, objects: doc.objects.filter((one) => one !== object), selected },
        say: `${object.name} is deleted.`,
      };
    },
  }),
  /** The model's answer. It changes what is there, so undo goes to before the prompt. */
  found: action<{ id: number; frame: number; found: Found }>({
    label: "Found",
    group: "Objects",
    perform: (doc, { id, frame, found }) => {
      const object = doc.objects.find((one) => one.id === id);
      if (keyOf(object?.on[frame]?.prompt) !== found.of) return { doc }; // the prompt has changed meanwhile
      const corrected = (seen: Appearance) => (seen.found?.by === "track" ? { tracked: seen.found } : {});
      return {
        doc: withObject(doc, id, (one) => appearing(one, frame, (seen) => ({ ...seen, ...corrected(seen), found }))),
      };
    },
  }),
  /** A mask from elsewhere as an object of its own: of everything that was found, of a file. */
  take: action<{ found: Found; prompt?: Prompt; name?: string }>({
    label: "Take",
    group: "Objects",
    undoable: true,
    perform: (doc, { found, prompt, name }) => {
      const [next, object] = created(doc, { [doc.frame]: { found: { ...found, of: keyOf(prompt) }, prompt } }, name);
      return { doc: next, say: `${object.name} is taken.` };
    },
  }),
  /** Masks of a file, an object each, and what is not an object there. */
  bring: action<{ from: string; objects: readonly Pick<StudioObject, "name" | "on">[]; without: number }>({
    label: "Bring",
    group: "Objects",
    undoable: true,
    perform: (doc, { from, objects, without }) => {
      let next = doc;
      for (const { name, on } of objects) [next] = created(next, on, name);
      const left = without > 0 ? ` ${without} of its annotations have no mask.` : "";
      return { doc: next, say: `${counted(objects.length)} from ${from}.${left}` };
    },
  }),
  /** Another model may see more: what was prompted is to be asked for again, but for what is locked. */
  askAgain: action({
    label: "Ask again",
    group: "Objects",
    perform: (doc) => ({
      doc: {
        ...doc,
        objects: doc.objects.map((one) => {
          const { found } = one.on[doc.frame] ?? {};
          if (one.locked || found?.by !== "prompt") return one;
          return appearing(one, doc.frame, (seen) => ({ ...seen, found: { ...found, of: "" } }));
        }),
      },
    }),
  }),

  ...VIDEO_ACTIONS,

  // ---- view
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

  // ---- everything
  findEverything: action({
    label: "Find everything",
    group: "Picture",
    keys: ["a"],
    isEnabled: (doc) => doc.source !== undefined,
    perform: (doc) => ({ doc: { ...doc, panel: "everything", selected: undefined }, effect: "findEverything" }),
  }),
  leaveEverything: action({
    label: "Done",
    group: "Picture",
    perform: (doc) => ({ doc: { ...doc, panel: "objects" }, effect: "stop" }),
  }),
  threshold: action<Partial<Thresholds>>({
    label: "Thresholds",
    group: "Picture",
    perform: (doc, changed) => ({ doc: { ...doc, thresholds: { ...doc.thresholds, ...changed } } }),
  }),

  // ---- taking home
  takeHome: action({
    label: "Take home",
    group: "Picture",
    keys: ["d"],
    perform: (doc) => ({ doc: { ...doc, dialog: "home" } }),
  }),
  saveProject: action({
    label: "Save the project",
    group: "Picture",
    keys: ["Ctrl+s"],
    perform: (doc) => ({ doc: { ...doc, dialog: "home" }, effect: "saveProject" }),
  }),
  copyCutout: action({
    label: "Copy the cut-out",
    group: "Picture",
    keys: ["Ctrl+c"],
    isEnabled: isSelected,
    perform: (doc) => ({ doc, effect: "copyCutout" }),
  }),
  saveCutout: action({
    label: "Save the cut-out",
    group: "Picture",
    keys: ["s"],
    isEnabled: isSelected,
    perform: (doc) => ({ doc, effect: "saveCutout" }),
  }),

  copyMask: action({
    label: "Copy the mask",
    group: "Picture",
    keys: ["Shift+c"],
    isEnabled: isSelected,
    perform: (doc) => ({ doc, effect: "copyMask" }),
  }),
  saveMask: action({
    label: "Save the mask",
    group: "Picture",
    keys: ["Shift+s"],
    isEnabled: isSelected,
    perform: (doc) => ({ doc, effect: "saveMask" }),
  }),

  // ---- other
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

// ---- how actions are made

function tool(name: Tool, label: string, group: Group, keys: readonly string[]): Action {
  return {
    label,
    group,
    keys,
    perform: (doc) => ({ doc: { ...doc, tool: name }, say: `${label}.` }),
  };
}

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

function toggle(
  field: "visible" | "locked",
  label: string,
  keys: readonly string[],
  [on, off]: [string, string],
): Action<{ id: number } | void> {
  return {
    label,
    group: "Objects",
    keys,
    undoable: true,
    isEnabled: isSelected,
    perform: (doc, args) => {
      const id = args?.id ?? doc.selected;
      const object = doc.objects.find((one) => one.id === id);
      if (!object) return { doc };
      return {
        doc: withObject(doc, object.id, (one) => ({ ...one, [field]: !one[field] })),
        say: `${object.name} ${object[field] ? off : on}.`,
      };
    },
  };
}

function reorder(by: -1 | 1, label: string, keys: readonly string[]): Action<{ id: number } | void> {
  return {
    label,
    group: "Objects",
    keys,
    undoable: true,
    isEnabled: isSelected,
    perform: (doc, args) => {
      const from = doc.objects.findIndex(({ id }) => id === (args?.id ?? doc.selected));
      const to = from + by;
      if (from < 0 || to < 0 || to >= doc.objects.length) return { doc };
      const objects = doc.objects.toSpliced(from, 1).toSpliced(to, 0, doc.objects[from]);
      return { doc: { ...doc, objects }, say: `${doc.objects[from].name} is number ${to + 1}.` };
    },
  };
}

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

/** "1 object", "3 objects" */
function counted(objects: number): string {
  return `${objects} ${objects === 1 ? "object" : "objects"}`;
}

// ---- how the document changes

function hasObjects({ objects }: Document): boolean {
  return objects.length > 0;
}

function isSelected(doc: Document): boolean {
  return selectedObject(doc) !== undefined;
}

function withSelected(doc: Document, id: number | undefined): Outcome {
  const object = doc.objects.find((one) => one.id === id);
  return { doc: { ...doc, selected: object?.id }, say: object && `${object.name} is selected.` };
}

function selecting(doc: Document, by: 1 | -1): Outcome {
  const { objects, selected } = doc;
  if (objects.length === 0) return { doc };
  const at = objects.findIndex(({ id }) => id === selected);
  const next = at < 0 ? (by > 0 ? 0 : objects.length - 1) : (at + by + objects.length) % objects.length;
  return withSelected(doc, objects[next].id);
}

function withObject(doc: Document, id: number, change: (object: StudioObject) => StudioObject): Document {
  return { ...doc, objects: doc.objects.map((one) => (one.id === id ? change(one) : one)) };
}

/** An object with another appearance on a frame; one that says nothing is left out. */
function appearing(object: StudioObject, frame: number, change: (seen: Appearance) => Appearance): StudioObject {
  const changed = change(object.on[frame] ?? {});
  const { [frame]: _, ...others } = object.on;
  const isNothing = Object.values(changed).every((value) => value === undefined);
  return { ...object, on: isNothing ? others : { ...others, [frame]: changed } };
}

/** With one object more, which is selected. */
function created(doc: Document, on: StudioObject["on"], name?: string): [Document, StudioObject] {
  const id = doc.nextId;
  const object: StudioObject = {
    id,
    name: name ?? `Object ${id}`,
    colour: (id - 1) % COLOURS.length,
    visible: true,
    locked: false,
    on,
  };
  return [{ ...doc, objects: [object, ...doc.objects], nextId: id + 1, selected: id }, object];
}

/** The selected object's appearance on this frame, or that of a new object. */
function changing(doc: Document, change: (seen: Appearance) => Appearance): Outcome {
  const object = selectedObject(doc);
  if (object?.locked) return { doc, say: `${object.name} is locked.` };
  if (object) return { doc: withObject(doc, object.id, (one) => appearing(one, doc.frame, change)) };
  const [next, made] = created(doc, { [doc.frame]: change({}) });
  return { doc: next, say: `${made.name} is new.` };
}

/** A prompt without anything takes its answer with it, and an object that is left with nothing goes too. */
function prompting(doc: Document, change: (prompt: Prompt) => Prompt): Outcome {
  const outcome = changing(doc, (seen) => {
    const prompt = change(seen.prompt ?? { clicks: [] });
    if (!isEmptyPrompt(prompt)) return { ...seen, prompt };
    return { ...seen, prompt: undefined, found: seen.tracked, tracked: undefined };
  });
  const object = selectedObject(outcome.doc);
  if (!object || Object.keys(object.on).length > 0) return outcome;
  const objects = outcome.doc.objects.filter((one) => one !== object);
  return { doc: { ...outcome.doc, objects, selected: undefined }, say: `${object.name} is gone.` };
}
