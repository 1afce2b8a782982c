/** What is known of objects along a video, for the timeline: pure functions of the document. */
import { type Rle, rleArea } from "sam2-ts";
import {
  type Appearance,
  type Document,
  type Found,
  isEmptyPrompt,
  keyOf,
  type MaskParts,
  partsOf,
  type Prompt,
  type StudioObject,
} from "./document.ts";

/** An object on one frame of the timeline. */
export interface Moment {
  /** does it have pixels there? */
  isSeen: boolean;
  /** 0…1: how sure the model is that it is there, or that it is not; 1 where a visitor said so */
  sure: number;
  isPrompted: boolean;
}

/** What was said of an object on one frame: clicks and a box, on top of what was tracked there; or a whole mask. */
export interface Saying {
  id: number;
  frame: number;
  /** tells sayings apart */
  key: string;
  prompt?: Prompt;
  /** what was tracked there before it was corrected */
  under?: Rle;
  mask?: MaskParts;
}

/** Frames that are nearer to one that is listed already are the same place to look at. */
const APART = 4;
const MOST_UNSURE = 8;
/** Of these the visitor need not hear. */
const SURE = 0.95;

const areas = new WeakMap<Found, number>();

/** @units pixels */
function areaOf(found: Found): number {
  const known = areas.get(found);
  if (known !== undefined) return known;
  const area = rleArea(found.masks[found.choice]);
  areas.set(found, area);
  return area;
}

/** Has a visitor said what it is, so that tracking leaves it alone? */
export function isSaid({ prompt, found, added, erased }: Appearance): boolean {
  if (!isEmptyPrompt(prompt) || added || erased) return true;
  return found !== undefined && found.by !== "track";
}

export function momentOf(seen: Appearance): Moment {
  const { found } = seen;
  const isPrompted = isSaid(seen);
  const isSeen = seen.added !== undefined || (found !== undefined && areaOf(found) > 0);
  if (isPrompted || !found) return { isSeen, sure: 1, isPrompted };
  return { isSeen, sure: surety(found.scores[found.choice]), isPrompted };
}

/** How sure a logit is of its sign: 0 where it is even, towards 1 either way. */
export function surety(logit: number): number {
  return Math.abs(2 / (1 + Math.exp(-logit)) - 1);
}

/** The frames on which the model is least sure of an object, the least sure first; each stands for those around it. */
export function leastSure({ objects }: Document): number[] {
  const worst = new Map<number, number>();
  for (const { on } of objects) {
    for (const frame of framesOf(on)) {
      const { sure } = momentOf(on[frame]);
      if (sure < SURE) worst.set(frame, Math.min(sure, worst.get(frame) ?? 1));
    }
  }
  const listed: number[] = [];
  for (const [frame] of [...worst].sort(([a, x], [b, y]) => x - y || a - b)) {
    if (listed.length === MOST_UNSURE) break;
    if (listed.every((other) => Math.abs(other - frame) >= APART)) listed.push(frame);
  }
  return listed;
}

export function framesOf(on: StudioObject["on"]): number[] {
  return Object.keys(on).map(Number);
}

/** Everything that was said, place by place: what a model that begins anew has to be told. */
export function sayings({ objects }: Document): Saying[] {
  return objects.toReversed().flatMap(({ id, on }) =>
    framesOf(on)
      .filter((frame) => isSaid(on[frame]))
      .map((frame) => sayingOf(id, frame, on[frame])),
  );
}

function sayingOf(id: number, frame: number, seen: Appearance): Saying {
  const { prompt, found, added, erased, tracked } = seen;
  const isPrompt = !isEmptyPrompt(prompt) && !added && !erased && (!found || ["prompt", "track"].includes(found.by));
  if (isPrompt) {
    const under = found?.by === "track" ? found : tracked;
    return { id, frame, key: `prompt ${keyOf(prompt)}`, prompt, under: under?.masks[under.choice] };
  }
  const mask = partsOf(seen) ?? { erased };
  const key = `mask ${[mask.base, added, erased].map((rle) => rle?.counts ?? "").join(" ")}`;
  return { id, frame, key, mask };
}

/** Does a prompt only add to another one, so that the model goes on from its answer? */
export function extendsPrompt(longer: Prompt, shorter: Prompt): boolean {
  if (`${longer.box}` !== `${shorter.box}` || longer.clicks.length < shorter.clicks.length) return false;
  return keyOf({ clicks: longer.clicks.slice(0, shorter.clicks.length) }) === keyOf({ clicks: shorter.clicks });
}

/** "about 40 s left" */
export function timeLeft(frames: number, msPerFrame: number): string {
  const seconds = (frames * msPerFrame) / 1000;
  if (seconds < 10) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 100) return `about ${5 * Math.round(seconds / 5)} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${Math.round(seconds / 3600)} h left`;
}

/** "0:07.4" @units s */
export function clock(time: number): string {
  const tenths = Math.floor(10 * time + 1e-6);
  const [minutes, rest] = [Math.floor(tenths / 600), tenths % 600];
  return `${minutes}:${`${Math.floor(rest / 10)}`.padStart(2, "0")}.${rest % 10}`;
}

/** An object along the video, for `columns` marks beside each other. */
export interface Lane {
  /** per column, the least of its frames; NaN where nothing is known */
  sure: Float32Array;
  /** per column: is it seen on one of its frames? */
  seen: Uint8Array;
  /** frames with prompts */
  prompted: number[];
}

export function laneOf(on: StudioObject["on"], frames: number, columns: number): Lane {
  const lane: Lane = { sure: new Float32Array(columns).fill(Number.NaN), seen: new Uint8Array(columns), prompted: [] };
  for (const frame of framesOf(on)) {
    const { isSeen, sure, isPrompted } = momentOf(on[frame]);
    const column = Math.min(columns - 1, Math.floor((frame * columns) / frames));
    if (!(lane.sure[column] <= sure)) lane.sure[column] = sure;
    if (isSeen) lane.seen[column] = 1;
    if (isPrompted) lane.prompted.push(frame);
  }
  return lane;
}
