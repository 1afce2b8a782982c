/**
 * Pointer, wheel and keys on the stage. A gesture that is under way is a draft, which the stage shows; when it ends it becomes
 * an action.
 */
import type { Session } from "../session/session.ts";
import type { Desk } from "../state/desk.ts";
import { appearanceOf, type Document, type Prompt, selectedObject } from "../state/document.ts";
import { boxBetween, draftedPrompt, type Gesture, layoutOf, type Pointed } from "./geometry.ts";

interface Surroundings {
  desk: Desk;
  session: Session;
  /** Show what is under way. */
  onDraft(draft: Gesture | undefined): void;
  onCross(at: Pointed | undefined): void;
}

/** A press that moves farther is a drag. @units CSS pixels */
const DRAG = { mouse: 4, touch: 10 };
/** Around a point that is meant. @units CSS pixels */
const NEAR = { mouse: 11, touch: 22 };
const SMALLEST_BOX = 3;

/** @returns what ends it */
export function gestures(element: HTMLElement, { desk, session, onDraft, onCross }: Surroundings): () => void {
  const pointers = new Map<number, PointerEvent>();
  let start: PointerEvent | undefined;
  let draft: Gesture | undefined;
  let cross: Pointed | undefined;
  let holdsSpace = false;

  const setDraft = (next: Gesture | undefined) => onDraft((draft = next));
  const setCross = (next: Pointed | undefined) => onCross((cross = next));
  const stage = () => ({ width: element.clientWidth, height: element.clientHeight });
  const layoutNow = () => layoutOf(desk.doc.view, desk.doc.source!, stage());
  const kindOf = ({ pointerType }: PointerEvent) => (pointerType === "touch" ? "touch" : "mouse");

  const onStage = (event: MouseEvent) => {
    const { left, top } = element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top] as const;
  };
  /** Where on the picture; within it, if `isWithin`. */
  const onPicture = (event: MouseEvent, isWithin = true): Pointed => {
    const { left, top, scale } = layoutNow();
    const [x, y] = onStage(event);
    const at = [(x - left) / scale, (y - top) / scale] as const;
    if (!isWithin) return at;
    const { width, height } = desk.doc.source!;
    return [Math.min(width, Math.max(0, at[0])), Math.min(height, Math.max(0, at[1]))];
  };
  const isOutside = (event: MouseEvent) => {
    const { width, height } = desk.doc.source!;
    const [x, y] = onPicture(event, false);
    return x < 0 || y < 0 || x > width || y > height;
  };
  /** The point of the selected object under the pointer. */
  const clickAt = (event: PointerEvent): number | undefined => {
    const clicks = promptOf(desk.doc)?.clicks ?? [];
    const [x, y] = onPicture(event, false);
    const near = NEAR[kindOf(event)] / layoutNow().scale;
    const index = clicks.findLastIndex((click) => Math.hypot(click.x - x, click.y - y) <= near);
    return index < 0 ? undefined : index;
  };
  const labelOf = (event: MouseEvent): 0 | 1 => {
    const { label } = desk.doc;
    const isOther = event.button === 2 || event.altKey || (event.buttons & 2) !== 0;
    return isOther ? (label === 1 ? 0 : 1) : label;
  };

  /** Move what is under `from` to under `to`, scaled about it. @units CSS pixels of the stage */
  const look = (from: readonly [number, number], to: readonly [number, number], by: number) => {
    const { source, view } = desk.doc;
    if (!source) return;
    const [layout, { width, height }] = [layoutNow(), stage()];
    const zoom = Math.max(1, view.zoom * by);
    const scale = layout.scale * (zoom / view.zoom);
    const at = (axis: 0 | 1) => {
      const [corner, size, length] =
        axis === 0 ? [layout.left, source.width, width] : [layout.top, source.height, height];
      const pixel = (from[axis] - corner) / layout.scale;
      return (length / 2 - to[axis] + pixel * scale) / (size * scale);
    };
    desk.perform("look", { zoom, centre: [at(0), at(1)] });
  };

  const pressed = (event: PointerEvent) => {
    const { doc } = desk;
    if (!doc.source) return;
    pointers.set(event.pointerId, event);
    element.setPointerCapture(event.pointerId);
    setCross(undefined);
    if (pointers.size === 2) {
      session.preview(undefined);
      setDraft({ type: "pinch" });
      return;
    }
    if (pointers.size > 2) return;
    start = event;
    if (event.button === 1 || holdsSpace || doc.tool === "pan") setDraft({ type: "pan" });
    else if (doc.panel === "everything") setDraft({ type: "press", from: onPicture(event), label: 1 });
    else if (doc.tool === "click") {
      setDraft({ type: "press", from: onPicture(event, false), index: clickAt(event), label: labelOf(event) });
    } else if (event.button === 0 && !selectedObject(doc)?.locked) {
      session.preview(undefined);
      setDraft({ type: "stroke", points: [onPicture(event, false)], erases: (doc.tool === "erase") !== event.altKey });
    }
  };

  const moved = (event: PointerEvent) => {
    const { doc } = desk;
    if (!doc.source) return;
    const before = pointers.get(event.pointerId);
    if (draft?.type === "pinch") {
      if (!before) return;
      const others = [...pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
      const other = onStage(others[0] ?? event);
      const [from, to] = [onStage(before), onStage(event)];
      const spread = (a: readonly [number, number]) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
      const middle = (a: readonly [number, number]) => [(a[0] + other[0]) / 2, (a[1] + other[1]) / 2] as const;
      look(middle(from), middle(to), spread(to) / spread(from));
      pointers.set(event.pointerId, event);
      return;
    }
    if (before) pointers.set(event.pointerId, event);
    switch (draft?.type) {
      case "pan":
        look(onStage(before ?? event), onStage(event), 1);
        return;
      case "press": {
        const far = Math.hypot(event.clientX - start!.clientX, event.clientY - start!.clientY);
        if (far < DRAG[kindOf(event)] || doc.panel === "everything") return;
        const { index, from, label } = draft;
        if (index !== undefined) setDraft({ type: "move", index, to: onPicture(event) });
        else if (label === doc.label && start!.button === 0)
          setDraft({ type: "box", from: within(from, doc), to: onPicture(event) });
        return;
      }
      case "move":
        setDraft({ ...draft, to: onPicture(event) });
        session.preview(draftedPrompt(promptOf(doc), draft));
        return;
      case "box":
        setDraft({ ...draft, to: onPicture(event) });
        if (isBox(draft)) session.preview(draftedPrompt(promptOf(doc), draft));
        return;
      case "stroke":
        setDraft({ ...draft, points: [...draft.points, onPicture(event, false)] });
        return;
      default:
        hover(event);
    }
  };

  const hover = (event: PointerEvent) => {
    const { doc } = desk;
    if (event.pointerType === "touch" || !doc.source) return;
    const at = onPicture(event, false);
    if (doc.panel === "everything") {
      session.pointAt(at[0] / doc.source.width, at[1] / doc.source.height);
      return;
    }
    const isBrush = doc.tool === "add" || doc.tool === "erase";
    setDraft(isBrush ? { type: "hover", at, radius: doc.radius } : undefined);
    if (doc.tool !== "click" || isOutside(event) || clickAt(event) !== undefined || selectedObject(doc)?.locked) {
      session.preview(undefined);
      return;
    }
    const prompt = promptOf(doc) ?? { clicks: [] };
    const label = labelOf(event);
    if (label === 0 && prompt.clicks.length === 0 && !prompt.box) return session.preview(undefined);
    session.preview({ ...prompt, clicks: [...prompt.clicks, { x: at[0], y: at[1], label }] });
  };

  const released = (event: PointerEvent) => {
    const { doc } = desk;
    if (!pointers.delete(event.pointerId) || !doc.source) return;
    const ended = draft;
    if (ended?.type === "pinch") {
      if (pointers.size === 0) setDraft(undefined);
      return;
    }
    setDraft(undefined);
    session.preview(undefined);
    if (event.type === "pointercancel") return;
    switch (ended?.type) {
      case "press": {
        if (doc.panel === "everything") {
          session.pointAt(ended.from[0] / doc.source.width, ended.from[1] / doc.source.height);
          session.takePointed();
          return;
        }
        if (ended.index !== undefined) return desk.perform("removeClick", { index: ended.index });
        if (isOutside(event)) return desk.perform("select", { id: undefined });
        const [x, y] = rounded(onPicture(event));
        const isFirst = !promptOf(doc);
        if (ended.label === 0 && isFirst)
          return session.tell("notice", "First click on the object; then take away from it.");
        return desk.perform("click", { x, y, label: ended.label });
      }
      case "move": {
        const [x, y] = rounded(ended.to);
        return desk.perform("moveClick", { index: ended.index, x, y });
      }
      case "box":
        if (isBox(ended)) desk.perform("box", { box: boxBetween(rounded(ended.from), rounded(ended.to)) });
        return;
      case "stroke":
        void session.brush({ points: ended.points, radius: doc.radius, erases: ended.erases });
    }
  };

  const left = () => {
    if (!draft || draft.type === "hover") setDraft(undefined);
    session.preview(undefined);
    if (desk.doc.panel === "everything") session.pointAt(-1, -1);
  };

  const wheeled = (event: WheelEvent) => {
    event.preventDefault();
    const at = onStage(event);
    const isMouse = event.deltaMode !== 0 || (event.deltaX === 0 && Math.abs(event.deltaY) >= 50);
    if (event.ctrlKey || event.metaKey || (isMouse && !event.shiftKey)) {
      const speed = event.ctrlKey && !isMouse ? 0.01 : 0.0018;
      look(at, at, Math.exp(-event.deltaY * (event.deltaMode === 1 ? 16 : 1) * speed));
      return;
    }
    const [dx, dy] = event.shiftKey && event.deltaX === 0 ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    look(at, [at[0] - dx, at[1] - dy], 1);
  };

  /** Arrows move a cross, Space clicks there: all of it without a pointer. */
  const keyDown = (event: KeyboardEvent) => {
    const { doc } = desk;
    if (!doc.source || event.ctrlKey || event.metaKey) return;
    const { width, height } = doc.source;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step && !event.shiftKey) {
      event.preventDefault();
      const { left, top, scale } = layoutNow();
      const by = (event.repeat ? 16 : 6) / scale;
      const from = cross ?? [doc.view.centre[0] * width, doc.view.centre[1] * height];
      const at = within([from[0] + step[0] * by, from[1] + step[1] * by], doc);
      setCross(at);
      if (doc.panel === "everything") session.pointAt(at[0] / width, at[1] / height);
      else
        session.preview({
          clicks: [...(promptOf(doc)?.clicks ?? []), { x: at[0], y: at[1], label: doc.label }],
          box: promptOf(doc)?.box,
        });
      const [x, y] = [left + at[0] * scale, top + at[1] * scale];
      if (x < 0 || y < 0 || x > element.clientWidth || y > element.clientHeight) {
        desk.perform("look", { zoom: doc.view.zoom, centre: [at[0] / width, at[1] / height] });
      }
    } else if (event.key === " " && cross) {
      event.preventDefault();
      if (doc.panel === "everything") return session.takePointed();
      const [x, y] = rounded(cross);
      desk.perform("click", { x, y, label: event.shiftKey ? 0 : doc.label });
    } else if (event.key === " ") {
      event.preventDefault();
      holdsSpace = true;
      element.classList.add("holds");
    }
  };
  const keyUp = ({ key }: KeyboardEvent) => {
    if (key !== " ") return;
    holdsSpace = false;
    element.classList.remove("holds");
  };

  const listeners: [string, (event: never) => void, AddEventListenerOptions?][] = [
    ["pointerdown", pressed],
    ["pointermove", moved],
    ["pointerup", released],
    ["pointercancel", released],
    ["pointerleave", left],
    ["wheel", wheeled, { passive: false }],
    ["contextmenu", (event: Event) => event.preventDefault()],
    ["keydown", keyDown],
    ["keyup", keyUp],
  ];
  for (const [name, listen, options] of listeners) element.addEventListener(name, listen as EventListener, options);
  return () => {
    for (const [name, listen] of listeners) element.removeEventListener(name, listen as EventListener);
  };
}

function promptOf(doc: Document): Prompt | undefined {
  return appearanceOf(selectedObject(doc), doc.frame)?.prompt;
}

function within([x, y]: Pointed, { source }: Document): Pointed {
  return [Math.min(source!.width, Math.max(0, x)), Math.min(source!.height, Math.max(0, y))];
}

/** A tenth of a pixel is finer than anybody points. */
function rounded([x, y]: Pointed): Pointed {
  return [Math.round(10 * x) / 10, Math.round(10 * y) / 10];
}

function isBox({ from, to }: { from: Pointed; to: Pointed }): boolean {
  return Math.abs(from[0] - to[0]) >= SMALLEST_BOX && Math.abs(from[1] - to[1]) >= SMALLEST_BOX;
}
