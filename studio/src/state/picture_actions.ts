/** What is done with pictures as a whole: opened, searched for everything, taken home: a part of the one table of actions.ts. */
import { action } from "./action.ts";
import { counted, isSelected } from "./changes.ts";
import { type Document, type Source, type Thresholds, WHOLE } from "./document.ts";

export const PICTURE_ACTIONS = {
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
  /** A document that was kept. A dialog that the visitor has opened before it came stays. */
  restore: action<Document>({
    label: "Restore",
    group: "Picture",
    perform: ({ dialog }, kept) => ({ doc: { ...kept, dialog } }),
  }),
};

export const EVERYTHING_ACTIONS = {
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
};

export const HOME_ACTIONS = {
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
};
