// The document, its actions and its history, without a page.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Action, ACTIONS, actionOfKey, keyOfEvent } from "./actions.ts";
import { desk as deskOf } from "./desk.ts";
import { COLOURS, type Document, EMPTY, type Found, isUnanswered, keyOf, partsOf, type Source } from "./document.ts";
import { MOST_STEPS } from "./history.ts";

const PHOTO: Source = {
  id: "one",
  kind: "photo",
  name: "photo.png",
  width: 100,
  height: 80,
  frames: 1,
  isDrawn: false,
};
const rle = (counts: string) => ({ size: [80, 100] as [number, number], counts });

function begun() {
  const desk = deskOf(EMPTY);
  desk.perform("open", PHOTO);
  return desk;
}

/** The model's answer to what was prompted last. */
function answer(doc: Document, masks = ["a"]): { id: number; frame: number; found: Found } {
  const object = doc.objects[0];
  const of = keyOf(object.on[doc.frame].prompt);
  const found: Found = { by: "prompt", of, masks: masks.map(rle), scores: masks.map(() => 0.9), choice: 0 };
  return { id: object.id, frame: doc.frame, found };
}

const State = suite("studio's state");

State("the first click makes an object, the next one belongs to it, and after Enter it makes another", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  desk.perform("click", { x: 3, y: 4, label: 0 });
  assert.is(desk.doc.objects.length, 1);
  assert.is(keyOf(desk.doc.objects[0].on[0].prompt), "1,2,1 3,4,0");
  desk.perform("newObject");
  desk.perform("click", { x: 5, y: 6, label: 1 });
  assert.equal(
    desk.doc.objects.map(({ name }) => name),
    ["Object 2", "Object 1"],
  );
});

State("an answer counts if its prompt is still the object's, and not when it was changed meanwhile", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  const late = answer(desk.doc);
  desk.perform("click", { x: 3, y: 4, label: 1 });
  desk.perform("found", late);
  assert.is(desk.doc.objects[0].on[0].found, undefined);
  desk.perform("found", answer(desk.doc));
  assert.not(isUnanswered(desk.doc.objects[0].on[0]));
});

State("undo goes to before the prompt, with the mask that was there, and redo brings prompt and mask back", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  desk.perform("found", answer(desk.doc, ["first"]));
  desk.perform("click", { x: 3, y: 4, label: 1 });
  desk.perform("found", answer(desk.doc, ["second"]));
  desk.perform("undo");
  assert.is(partsOf(desk.doc.objects[0].on[0])?.base?.counts, "first");
  desk.perform("redo");
  assert.is(partsOf(desk.doc.objects[0].on[0])?.base?.counts, "second");
  desk.perform("undo");
  desk.perform("undo");
  assert.is(desk.doc.objects.length, 0);
});

State("every action that is undoable and changes the document is taken back by one undo", () => {
  const desk = begun();
  for (const label of [1, 0] as const) desk.perform("click", { x: 1, y: 2, label });
  desk.perform("found", answer(desk.doc, ["a", "b", "c"]));
  desk.perform("take", { found: answer(desk.doc).found });
  desk.perform("select", { id: 1 });
  const args: Record<string, unknown> = {
    open: { ...PHOTO, id: "two" },
    openProject: { ...desk.doc, source: { ...PHOTO, id: "three" }, objects: [] },
    bring: { from: "a.json", objects: [{ name: "Cup", on: { 0: { found: answer(desk.doc).found } } }], without: 0 },
    click: { x: 9, y: 9, label: 1 },
    moveClick: { index: 0, x: 8, y: 8 },
    removeClick: { index: 0 },
    box: { box: [1, 2, 30, 40] },
    brush: { added: rle("x"), erased: undefined },
    rename: { id: 1, name: "Cup" },
    recolour: { id: 1 },
    take: { found: answer(desk.doc).found },
    moveUp: { id: 1 },
    beginRun: { run: "run", frame: 5, found: { 1: { ...answer(desk.doc).found, by: "track" } } },
  };
  const undoable = Object.entries(ACTIONS as Record<string, Action<never>>).filter(([, one]) => one.undoable);
  assert.ok(undoable.length >= 14);
  for (const [name] of undoable) {
    const before = desk.doc;
    desk.perform(name as "box", args[name] as never);
    if (["choose1", "moveDown"].includes(name)) continue; // it is so already
    assert.is.not(desk.doc.objects === before.objects && desk.doc.source === before.source, true, name);
    desk.perform("undo");
    assert.equal(desk.doc.objects, before.objects, name);
    assert.is(desk.doc.source, before.source, name);
  }
});

State("zoom, tools and selection are no steps of undo", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  const steps = desk.history.get().past.length;
  for (const name of ["zoomIn", "toolAdd", "newObject", "flipLabel", "panLeft", "selectNext", "help"] as const) {
    desk.perform(name);
  }
  assert.is(desk.history.get().past.length, steps);
});

State("old steps are forgotten, so that the history is bounded", () => {
  const desk = begun();
  for (let x = 0; x < MOST_STEPS + 20; x++) desk.perform("click", { x, y: 1, label: 1 });
  assert.is(desk.history.get().past.length, MOST_STEPS);
});

State("a locked object takes no click, no brush, and is not deleted", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  desk.perform("toggleLocked");
  const { objects } = desk.doc;
  desk.perform("click", { x: 3, y: 4, label: 1 });
  desk.perform("brush", { added: rle("x"), erased: undefined });
  desk.perform("remove");
  assert.equal(desk.doc.objects, objects);
});

State("removing the last click of an object that has nothing else removes the object", () => {
  const desk = begun();
  desk.perform("click", { x: 1, y: 2, label: 1 });
  desk.perform("removeClick", { index: 0 });
  assert.is(desk.doc.objects.length, 0);
  assert.is(desk.doc.selected, undefined);
});

State("another model is asked again for what was prompted, not for what was taken or is locked", () => {
  const desk = begun();
  for (const locked of [false, true]) {
    desk.perform("newObject");
    desk.perform("click", { x: 1, y: 2, label: 1 });
    desk.perform("found", answer(desk.doc));
    if (locked) desk.perform("toggleLocked");
  }
  desk.perform("take", { found: { ...answer(desk.doc).found, by: "everything" }, prompt: { clicks: [] } });
  desk.perform("askAgain");
  assert.equal(
    desk.doc.objects.map(({ on }) => isUnanswered(on[0])),
    [false, false, true],
  );
});

State("a document survives JSON", () => {
  const desk = begun();
  desk.perform("box", { box: [1, 2, 30, 40] });
  desk.perform("found", answer(desk.doc));
  assert.equal(JSON.parse(JSON.stringify(desk.doc)), JSON.parse(JSON.stringify({ ...desk.doc })));
  const again = deskOf(EMPTY);
  again.perform("restore", JSON.parse(JSON.stringify(desk.doc)));
  assert.equal(partsOf(again.doc.objects[0].on[0])?.base, rle("a"));
  assert.not(isUnanswered(again.doc.objects[0].on[0]));
});

State("what was kept comes back below a dialog that was opened before it came", () => {
  const desk = deskOf(EMPTY);
  desk.perform("models", undefined);
  desk.perform("restore", JSON.parse(JSON.stringify(begun().doc)));
  assert.is(desk.doc.source?.name, PHOTO.name);
  assert.is(desk.doc.dialog, "models");
});

State("no key means two actions, and each is what keyOfEvent gives", () => {
  const photo = begun().doc;
  const video: Document = { ...photo, source: { ...photo.source!, kind: "video", frames: 9 } };
  for (const doc of [photo, video]) {
    const isPossible = ({ group }: Action<never>) => (doc === photo ? group !== "Video" : group !== "View");
    const possible = Object.values(ACTIONS as Record<string, Action<never>>).filter(isPossible);
    const keys = possible.flatMap(({ keys = [] }) => keys);
    assert.is(new Set(keys).size, keys.length);
  }
  assert.is(actionOfKey("Shift+ArrowLeft", photo), "panLeft");
  assert.is(actionOfKey("Shift+ArrowLeft", video), "strideBack");
  const event = { key: "z", ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };
  assert.is(actionOfKey(keyOfEvent({ ...event, metaKey: true }), photo), "undo");
  assert.is(actionOfKey(keyOfEvent({ ...event, key: "Z", ctrlKey: true, shiftKey: true }), photo), "redo");
  assert.is(actionOfKey(keyOfEvent({ ...event, key: "?", shiftKey: true }), photo), "help");
  assert.is(actionOfKey(keyOfEvent({ ...event, key: "2" }), photo), "choose2");
});

State("neighbouring objects have different colours", () => {
  const desk = begun();
  for (let k = 0; k < COLOURS.length; k++) {
    desk.perform("newObject");
    desk.perform("click", { x: 1, y: 2, label: 1 });
  }
  assert.is(new Set(desk.doc.objects.map(({ colour }) => colour)).size, COLOURS.length);
});

State.run();
