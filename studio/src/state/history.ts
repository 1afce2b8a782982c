/** Undo and redo: documents of the past and of the future. Whether an action is undone is a property of the action. */
import type { Document } from "./document.ts";

export interface History {
  past: readonly Document[];
  present: Document;
  future: readonly Document[];
}

/** Steps that can be undone; older ones are forgotten. */
export const MOST_STEPS = 200;

export function begin(present: Document): History {
  return { past: [], present, future: [] };
}

/** The next document; one that is undoable can be left again. */
export function advance(history: History, next: Document, isUndoable: boolean): History {
  if (next === history.present) return history;
  if (!isUndoable) return { ...history, present: next };
  return { past: [...history.past, history.present].slice(-MOST_STEPS), present: next, future: [] };
}

/** What belongs to a step that was begun earlier: it is written into all documents since then, so that none lacks it. */
export function join(history: History, change: (doc: Document) => Document): History {
  return { ...history, past: history.past.map(change), present: change(history.present) };
}

export function undo(history: History): History {
  const { past, present, future } = history;
  const before = past.at(-1);
  if (!before) return history;
  return { past: past.slice(0, -1), present: travelled(present, before), future: [present, ...future] };
}

export function redo(history: History): History {
  const { past, present, future } = history;
  const [after, ...others] = future;
  if (!after) return history;
  return { past: [...past, present], present: travelled(present, after), future: others };
}

/** What was made is as it was, on the frame where it changed; tool and panel stay where they are, the view on one picture. */
function travelled(here: Document, there: Document): Document {
  const { source, objects, nextId, selected, frame, run } = there;
  const view = source === here.source ? here.view : there.view;
  return { ...here, source, objects, nextId, selected, frame, run, view };
}
