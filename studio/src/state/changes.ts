/** How actions change the document: one object of it, what it is on a frame, what is prompted there. */
import type { Outcome } from "./action.ts";
import {
  type Appearance,
  COLOURS,
  type Document,
  isEmptyPrompt,
  type Prompt,
  selectedObject,
  type StudioObject,
} from "./document.ts";

export function isSelected(doc: Document): boolean {
  return selectedObject(doc) !== undefined;
}

export function withObject(doc: Document, id: number, change: (object: StudioObject) => StudioObject): Document {
  return { ...doc, objects: doc.objects.map((one) => (one.id === id ? change(one) : one)) };
}

/** An object with another appearance on a frame; one that says nothing is left out. */
export function appearing(object: StudioObject, frame: number, change: (seen: Appearance) => Appearance): StudioObject {
  const changed = change(object.on[frame] ?? {});
  const { [frame]: _, ...others } = object.on;
  const isNothing = Object.values(changed).every((value) => value === undefined);
  return { ...object, on: isNothing ? others : { ...others, [frame]: changed } };
}

/** With one object more, which is selected. */
export function created(doc: Document, on: StudioObject["on"], name?: string): [Document, StudioObject] {
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
export function changing(doc: Document, change: (seen: Appearance) => Appearance): Outcome {
  const object = selectedObject(doc);
  if (object?.locked) return { doc, say: `${object.name} is locked.` };
  if (object) return { doc: withObject(doc, object.id, (one) => appearing(one, doc.frame, change)) };
  const [next, made] = created(doc, { [doc.frame]: change({}) });
  return { doc: next, say: `${made.name} is new.` };
}

/** A prompt without anything takes its answer with it, and an object that is left with nothing goes too. */
export function prompting(doc: Document, change: (prompt: Prompt) => Prompt): Outcome {
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

/** "1 object", "3 objects" */
export function counted(objects: number): string {
  return `${objects} ${objects === 1 ? "object" : "objects"}`;
}
