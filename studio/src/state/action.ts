/** What an action is. */
import type { Document, Tool } from "./document.ts";

/** What the world outside is asked for. */
export type Effect =
  | "choosePicture"
  | "chooseModel"
  | "findEverything"
  | "stop"
  | "saveCutout"
  | "copyCutout"
  | "saveMask"
  | "copyMask"
  | "saveProject"
  | "undo"
  | "redo"
  | "trackForward"
  | "trackBackward"
  | "play"
  | "chooseFolder"
  | "openScene"
  | "openClip";

export interface Outcome {
  doc: Document;
  effect?: Effect;
  /** what happened, for those who do not see it */
  say?: string;
}

export type Group = "Picture" | "Video" | "Prompts" | "Brush" | "Objects" | "View" | "Other";

export interface Action<A = void> {
  label: string;
  /** where the help lists it; actions without keys are not listed */
  group: Group;
  /** as `keyOfEvent` gives them */
  keys?: readonly string[];
  /** is it a step that undo takes back? */
  undoable?: boolean;
  /** does it complete a step that this document holds already? */
  isPartOf?(doc: Document, args: A): boolean;
  isEnabled?(doc: Document): boolean;
  perform(doc: Document, args: A): Outcome;
}

/** So that the arguments of actions in a table are known. */
export const action = <A = void>(made: Action<A>): Action<A> => made;

export function tool(name: Tool, label: string, group: Group, keys: readonly string[]): Action {
  return {
    label,
    group,
    keys,
    perform: (doc) => ({ doc: { ...doc, tool: name }, say: `${label}.` }),
  };
}
