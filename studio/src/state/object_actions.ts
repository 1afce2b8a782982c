/** What is done with objects: a part of the one table of actions.ts. */
import { type Action, action, type Outcome } from "./action.ts";
import { appearing, counted, created, isSelected, withObject } from "./changes.ts";
import {
  type Appearance,
  COLOURS,
  type Document,
  type Found,
  keyOf,
  type Prompt,
  type StudioObject,
} from "./document.ts";

/** What may be done to the selected object, if no other is named. */
const OF_SELECTED = { group: "Objects", undoable: true, isEnabled: isSelected } as const;

export const OBJECT_ACTIONS = {
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
    ...OF_SELECTED,
    label: "Delete",
    keys: ["Delete", "Backspace"],
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
};

function toggle(
  field: "visible" | "locked",
  label: string,
  keys: readonly string[],
  [on, off]: [string, string],
): Action<{ id: number } | void> {
  return {
    ...OF_SELECTED,
    label,
    keys,
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
    ...OF_SELECTED,
    label,
    keys,
    perform: (doc, args) => {
      const from = doc.objects.findIndex(({ id }) => id === (args?.id ?? doc.selected));
      const to = from + by;
      if (from < 0 || to < 0 || to >= doc.objects.length) return { doc };
      const objects = doc.objects.toSpliced(from, 1).toSpliced(to, 0, doc.objects[from]);
      return { doc: { ...doc, objects }, say: `${doc.objects[from].name} is number ${to + 1}.` };
    },
  };
}

function hasObjects({ objects }: Document): boolean {
  return objects.length > 0;
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
