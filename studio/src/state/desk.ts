/** Where the document lies: actions are performed here, and remembered. */
import { type Action, type ActionName, ACTIONS, type ArgsOf, type Effect, isEnabled } from "./actions.ts";
import type { Document } from "./document.ts";
import { advance, begin, type History, join, redo, undo } from "./history.ts";
import { type Store, store } from "./store.ts";

export interface Desk {
  history: Store<History>;
  /** what happened last, in words; a new object each time, so that the same words are said twice */
  said: Store<{ text: string }>;
  readonly doc: Document;
  perform<N extends ActionName>(
    name: N,
    ...args: void extends ArgsOf<N> ? [args?: ArgsOf<N>] : [args: ArgsOf<N>]
  ): void;
  /** Whoever carries effects out. */
  onEffect?: (effect: Effect) => void;
}

export function desk(doc: Document): Desk {
  const history = store(begin(doc));
  const said = store({ text: "" });
  const made: Desk = {
    history,
    said,
    get doc() {
      return history.get().present;
    },
    perform(name, args?) {
      const { perform, undoable = false, isPartOf } = ACTIONS[name] as unknown as Action<unknown>;
      if (!isEnabled(name, made.doc) && args === undefined) return;
      const { doc, effect, say } = perform(made.doc, args);
      if (name === "restore") history.set(begin(doc));
      else if (isPartOf) {
        history.set(join(history.get(), (doc) => (isPartOf(doc, args) ? perform(doc, args).doc : doc)));
      } else history.set(advance(history.get(), doc, undoable));
      if (effect === "undo" || effect === "redo") travel(effect);
      else if (effect) made.onEffect?.(effect);
      if (say) said.set({ text: say });
    },
  };

  function travel(where: "undo" | "redo"): void {
    const before = history.get();
    const after = where === "undo" ? undo(before) : redo(before);
    history.set(after);
    const words =
      where === "undo" ? ["Undone.", "There is nothing to undo."] : ["Done again.", "There is nothing to redo."];
    said.set({ text: words[before === after ? 1 : 0] });
  }
  return made;
}
