/** What can be done in a video: a part of the one table of actions.ts. */
import type { Action, Effect } from "./action.ts";
import { type Document, type Found, keyOf } from "./document.ts";
import { isSaid, leastSure } from "./tracks.ts";

/** What tracking found on a frame, of objects by id. */
export interface Tracked {
  run: string;
  frame: number;
  found: Readonly<Record<number, Found>>;
}

/** What the camera shows now, of objects by id. */
export interface Followed {
  found: Readonly<Record<number, Found>>;
  /** prompts that are answered by it, by `keyOf` */
  told: Readonly<Record<number, string>>;
}

const STRIDE = 10;

export const VIDEO_ACTIONS = {
  play: asking("play", "Play or pause", ["p", " "]),
  previousFrame: going("One frame back", ["ArrowLeft"], (frame) => frame - 1),
  nextFrame: going("One frame on", ["ArrowRight"], (frame) => frame + 1),
  strideBack: going(`${STRIDE} frames back`, ["Shift+ArrowLeft"], (frame) => frame - STRIDE),
  strideOn: going(`${STRIDE} frames on`, ["Shift+ArrowRight"], (frame) => frame + STRIDE),
  firstFrame: going("To the first frame", ["Home"], () => 0),
  lastFrame: going("To the last frame", ["End"], (_, { source }) => source!.frames - 1),
  nextUnsure: going("To the next frame to check", ["u"], (frame, doc) => {
    const frames = leastSure(doc).sort((a, b) => a - b);
    return frames.find((other) => other > frame) ?? frames[0] ?? frame;
  }),
  trackForward: asking("trackForward", "Track from here on", ["t"], isTrackable),
  trackBackward: asking("trackBackward", "Track from here back", ["Shift+t"], isTrackable),
  stopTracking: asking("stop", "Stop tracking", [], () => true),
  /** The first of what a run of tracking finds: undo takes back the whole run. */
  beginRun: {
    label: "Track",
    group: "Video",
    undoable: true,
    perform: (doc, tracked) => ({ doc: { ...withTracked(doc, tracked), run: tracked.run } }),
  } as Action<Tracked>,
  /** What it finds next. */
  tracked: {
    label: "Track",
    group: "Video",
    isPartOf: (doc, { run }) => doc.run === run,
    perform: (doc, tracked) => ({ doc: withTracked(doc, tracked) }),
  } as Action<Tracked>,
  /** The camera's next picture: what was said of the one before is over. */
  followed: {
    label: "Follow",
    group: "Video",
    perform: (doc, { found, told }) => ({
      doc: {
        ...doc,
        objects: doc.objects.map((object) => {
          const { prompt } = object.on[0] ?? {};
          const isTold = !prompt || keyOf(prompt) === told[object.id];
          return { ...object, on: { 0: { found: found[object.id], ...(!isTold && { prompt }) } } };
        }),
      },
    }),
  } as Action<Followed>,
} as const;

function isVideo({ source }: Document): boolean {
  return source?.kind === "video";
}

function isTrackable(doc: Document): boolean {
  return isVideo(doc) && doc.objects.some(({ on }) => Object.values(on).some(isSaid));
}

function asking(effect: Effect, label: string, keys: readonly string[], isEnabled = isVideo): Action {
  return { label, group: "Video", keys, isEnabled, perform: (doc) => ({ doc, effect }) };
}

function going(label: string, keys: readonly string[], to: (frame: number, doc: Document) => number): Action {
  return {
    label,
    group: "Video",
    keys,
    isEnabled: isVideo,
    perform: (doc) => ({ doc: { ...doc, frame: Math.min(doc.source!.frames - 1, Math.max(0, to(doc.frame, doc))) } }),
  };
}

/** What a visitor has said, or locked, stays as it is. */
function withTracked(doc: Document, { frame, found }: Tracked): Document {
  const objects = doc.objects.map((object) => {
    const seen = object.on[frame] ?? {};
    const next = found[object.id];
    if (!next || object.locked || isSaid(seen)) return object;
    return { ...object, on: { ...object.on, [frame]: { ...seen, found: next } } };
  });
  return { ...doc, objects };
}
