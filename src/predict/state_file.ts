import { StateError } from "../errors.ts";
import { crc32 } from "../io/crc32.ts";
import { sha256 } from "../io/sha256.ts";
import { memoryTokens, type Sam2Config } from "../model/config.ts";
import type { Frames } from "../video/frames.ts";
import { FrameSet } from "./frame_set.ts";
import { type FrameOutput, type StoredPoints, TrackedObject, VideoState } from "./video_state.ts";

// "SAM2VID\n" · u32 version · u32 length of the header · header: JSON · arrays, each padded to 4 bytes · SHA-256 of all that
const MAGIC = "SAM2VID\n";
const VERSION = 4;
const HEAD = 16;
const DIGEST = 32;

/** What a state belongs to: it goes on with the same model, options and video alone. */
export interface StateOwner {
  /** of the checkpoint */
  digest: string;
  config: Sam2Config;
  options: object;
}

interface Header {
  model: string;
  imageSize: number;
  digest: string;
  options: object;
  video: { width: number; height: number; frames: number | null };
  keepAll: boolean;
  keepMasks?: number;
  start: number;
  position: number;
  note: string;
  /** how many; their numbers and checksums are the first arrays */
  seen: number;
  objects: StoredObject[];
}

interface StoredObject {
  id: number;
  prompts: [frame: number, prompt: "mask" | { coords: number[]; labels: number[] }][];
  forward: Runs;
  backward: Runs;
  forgotten: Runs;
  outputs: Record<Shelf, StoredOutput[]>;
}

type Runs = FrameSet["runs"];
type Shelf = (typeof SHELVES)[number];
const SHELVES = ["cond", "nonCond", "newCond", "newNonCond"] as const;

interface StoredOutput {
  frame: number;
  score: number;
  hasMasks: boolean;
  hasMap: boolean;
  prompted: boolean;
}

/**
 * Everything that is known of a video, but its frames, and but the masks that are kept for corrections far from where
 * tracking stands, which would make the file large. `note` is kept for the caller.
 */
export async function encodeState(state: VideoState, owner: StateOwner, note: string): Promise<Uint8Array> {
  const seen = [Uint32Array.from(state.seen.keys()), Uint32Array.from(state.seen.values())];
  const arrays: (Float32Array | Uint16Array | Uint32Array)[] = seen;
  const shelve = (outputs: ReadonlyMap<number, FrameOutput>, shelf: Shelf) =>
    [...outputs].map(([frame, { score, predMasks: masks, objPtr, maskmemFeatures, prompted }]): StoredOutput => {
      const predMasks = shelf === "nonCond" && !maskmemFeatures ? undefined : masks;
      arrays.push(objPtr);
      if (predMasks) arrays.push(predMasks);
      if (maskmemFeatures) arrays.push(maskmemFeatures);
      return { frame, score, hasMasks: predMasks !== undefined, hasMap: maskmemFeatures !== undefined, prompted };
    });
  const header: Header = {
    model: owner.config.name,
    imageSize: owner.config.imageSize,
    digest: owner.digest,
    options: owner.options,
    video: videoOf(state.frames),
    keepAll: state.keepAll,
    keepMasks: state.keepMasks,
    start: state.start,
    position: state.position,
    note,
    seen: state.seen.size,
    objects: [...state.objects].map(([id, object]) => ({
      id,
      prompts: [...object.prompts].map(([frame, prompt]) => [
        frame,
        prompt === "mask" ? prompt : { coords: [...prompt.coords], labels: prompt.labels },
      ]),
      forward: object.forward.runs,
      backward: object.backward.runs,
      forgotten: object.forgotten.runs,
      outputs: Object.fromEntries(
        SHELVES.map((shelf) => [shelf, shelve(object[shelf], shelf)]),
      ) as StoredObject["outputs"],
    })),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const size = arrays.reduce((sum, array) => sum + padded(array.byteLength), HEAD + padded(text.length));
  const file = new Uint8Array(size + DIGEST);
  file.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(file.buffer);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, text.length, true);
  file.set(text, HEAD);
  let at = HEAD + padded(text.length);
  for (const array of arrays) {
    file.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += padded(array.byteLength);
  }
  file.set(await sha256(file.subarray(0, size)), size);
  return file;
}

/**
 * @param where what to call the state in an error, e.g. its path
 * @throws StateError if it is damaged, or does not belong to this model, these options or this video
 */
export async function decodeState(
  file: Uint8Array,
  owner: StateOwner,
  frames: Frames,
  where: string,
): Promise<{ state: VideoState; note: string }> {
  const header = await readHeader(file, where);
  const { model, imageSize, digest, options, video } = header;
  const same = (what: string, saved: string, now: string) => {
    if (saved !== now)
      throw new StateError(where, `a state for ${what} ${now}`, saved, "go on with what it was saved with");
  };
  same("the model", `${model}, digest ${digest}`, `${owner.config.name}, digest ${owner.digest}`);
  const { imageSize: S, dModel: D, memDim: M } = owner.config;
  same("the image size", `${imageSize}`, `${S}`);
  same("the options", JSON.stringify(options), JSON.stringify(owner.options));
  const now = videoOf(frames);
  const known = now.frames !== null && video.frames !== null; // a file tells its length only at its end
  const [wanted, got] = [now, video].map((v) => `${known ? `${v.frames} ` : ""}frames of ${v.width}×${v.height}`);
  same("a video of", got, wanted);

  const mapBytes = 2 * memoryTokens(owner.config) * M; // bfloat16
  let at = HEAD + padded(new DataView(file.buffer, file.byteOffset).getUint32(12, true));
  const take = (bytes: number): ArrayBuffer => {
    const part = new Uint8Array(bytes);
    part.set(file.subarray(at, at + bytes));
    at += padded(bytes);
    return part.buffer;
  };
  const state = new VideoState(frames, header);
  state.start = header.start;
  state.position = header.position;
  const [numbers, checksums] = [new Uint32Array(take(4 * header.seen)), new Uint32Array(take(4 * header.seen))];
  for (const [i, frame] of numbers.entries()) state.seen.set(frame, checksums[i]);
  for (const { id, prompts, forward, backward, forgotten, outputs } of header.objects) {
    const object = new TrackedObject(new FrameSet(forward), new FrameSet(backward), new FrameSet(forgotten));
    for (const [frame, prompt] of prompts) object.prompts.set(frame, prompt === "mask" ? prompt : storedPoints(prompt));
    for (const shelf of SHELVES) {
      for (const { frame, score, hasMasks, hasMap, prompted } of outputs[shelf]) {
        const objPtr = new Float32Array(take(4 * D));
        const predMasks = hasMasks ? new Float32Array(take(4 * (S / 4) ** 2)) : undefined;
        const maskmemFeatures = hasMap ? new Uint16Array(take(mapBytes)) : undefined;
        object[shelf].set(frame, { score, objPtr, predMasks, maskmemFeatures, prompted });
      }
    }
    state.objects.set(id, object);
  }
  return { state, note: header.note };
}

/**
 * Read all frames that were seen again, in order.
 *
 * @throws StateError if one of them is another picture now
 */
export async function expectSameFrames(
  { frames, seen }: VideoState,
  where: string,
  signal?: AbortSignal,
): Promise<void> {
  for (const frame of [...seen.keys()].sort((a, b) => a - b)) {
    const image = await frames.read(frame, 1, signal);
    if (image && crc32(image.data) === seen.get(frame)) continue;
    const got = `${image ? "another" : "no"} frame ${frame}`;
    throw new StateError(where, "the video that it was saved with", got, "give the same video, or another state");
  }
}

async function readHeader(file: Uint8Array, where: string): Promise<Header> {
  const damaged = (expected: string, got: string): never => {
    throw new StateError(where, expected, got, "the file is damaged: keep it aside and start again, or use a copy");
  };
  const magic = new TextDecoder().decode(file.subarray(0, MAGIC.length));
  if (file.length < HEAD + DIGEST || magic !== MAGIC) damaged("a saved tracking state", "another kind of file");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const body = file.subarray(0, file.length - DIGEST);
  const digest = await sha256(body);
  if (!digest.every((byte, i) => byte === file[body.length + i])) damaged("bytes that fit their SHA-256", "others");
  const version = view.getUint32(8, true);
  if (version !== VERSION) {
    throw new StateError(where, `version ${VERSION}`, `${version}`, "go on with the release that saved it");
  }
  const text = file.subarray(HEAD, HEAD + view.getUint32(12, true));
  return JSON.parse(new TextDecoder().decode(text)) as Header;
}

function videoOf({ width, height, count }: Frames): Header["video"] {
  return { width, height, frames: Number.isFinite(count) ? count : null };
}

function storedPoints({ coords, labels }: { coords: number[]; labels: number[] }): StoredPoints {
  return { coords: Float32Array.from(coords), labels };
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
