import { Sam2Error } from "../errors.ts";
import { type IdPicture, type MaskFolder, readIdPicture } from "../io/formats/davis.ts";
import { idsIn, mean, VideoScore } from "./video_score.ts";

/** One object's means over the frames of its video, in percent. */
export interface Score {
  /** value of its pixels, or number of its folder */
  id: number | string;
  j: number;
  f: number;
}

/** One video's scores. */
export interface VideoScores {
  name: string;
  objects: Score[];
}

/** What is compared. */
export interface Pair {
  predicted: MaskFolder;
  truth: MaskFolder;
  /** else the first and the last are left out, as DAVIS and SA-V do, since the first is given */
  allFrames: boolean;
}

/** Frames that are not counted unless all are. */
const SKIPPED = 2;

/**
 * J and F of every object of a video's truth. Either side may hold pictures of ids or a folder an object.
 *
 * @throws Sam2Error for a frame or an object's folder that was not predicted, another size, or too few frames
 * @source sav_dataset/utils/sav_benchmark.py, VideoEvaluator
 */
export async function evaluateVideo({ predicted, truth, allFrames }: Pair): Promise<VideoScores> {
  const counted = (frames: readonly string[], path: string) => {
    if (frames.length > (allFrames ? 0 : SKIPPED)) return allFrames ? frames : frames.slice(1, -1);
    const todo = "the first and the last are not counted: use --all-frames";
    throw new Sam2Error(path, "more than two frames", `${frames.length}`, todo);
  };
  const { name } = truth;
  if (truth.frames.length > 0) {
    const score = new VideoScore();
    for (const frame of counted(truth.frames, truth.path)) {
      const wanted = await readIdPicture(`${truth.path}/${frame}`);
      score.add(expectSize(await predictedIds(predicted, frame), wanted, `${predicted.path}/${frame}`), wanted);
    }
    return { name, objects: score.objects() };
  }
  const objects: Score[] = [];
  for (const { folder, frames } of truth.objects) {
    const score = new VideoScore();
    const of = objectOf(predicted, folder);
    for (const frame of counted(frames, `${truth.path}/${folder}`)) {
      const wanted = await oneObject(`${truth.path}/${folder}/${frame}`);
      score.add(expectSize(await of(frame), wanted, `${predicted.path}/${folder}/${frame}`), wanted);
    }
    const [found] = score.objects();
    if (!found) {
      const where = `${truth.path}/${folder}`;
      throw new Sam2Error(where, "the object on a frame that counts", "none", "leave its folder out");
    }
    objects.push({ ...found, id: idOf(folder) });
  }
  return { name, objects };
}

/** Means over all objects of all videos, in percent. */
export function overall(videos: readonly VideoScores[]): { jf: number; j: number; f: number } {
  const objects = videos.flatMap((video) => video.objects);
  const j = mean(objects.map((object) => object.j));
  const f = mean(objects.map((object) => object.f));
  return { jf: (j + f) / 2, j, f };
}

/** SA-V's folders are 000, 001, …, those of `sam2 track` 1, 2, … */
function idOf(folder: string): number | string {
  return /^\d+$/.test(folder) ? Number(folder) : folder;
}

async function predictedIds({ path, frames, objects }: MaskFolder, frame: string): Promise<IdPicture> {
  if (frames.length > 0) return readIdPicture(expectFrame(path, frames, frame));
  let all: IdPicture | undefined;
  for (const { folder, frames } of objects) {
    const id = Number(folder);
    const file = expectFrame(`${path}/${folder}`, frames, frame);
    if (!Number.isSafeInteger(id) || id < 1 || id > 65535) {
      throw new Sam2Error(`${path}/${folder}`, "a folder named by the object's id", folder, "rename it: 1, 2, …");
    }
    const { width, height, ids } = await oneObject(file);
    all ??= { width, height, ids: new Uint16Array(width * height) };
    expectSize(all, { width, height }, file);
    for (let i = 0; i < ids.length; i++) if (ids[i]) all.ids[i] = id;
  }
  return all!;
}

/** How an object's frames are read: 1 where it is. */
function objectOf({ path, frames, objects }: MaskFolder, folder: string): (frame: string) => Promise<IdPicture> {
  const own = objects.find((object) => idOf(object.folder) === idOf(folder));
  if (own) return (frame) => oneObject(expectFrame(`${path}/${own.folder}`, own.frames, frame));
  const id = idOf(folder);
  if (frames.length === 0 || objects.length > 0 || id === 0 || typeof id === "string") {
    throw new Sam2Error(`${path}/${folder}`, "a folder for this object of the truth", "none", "predict it too");
  }
  return async (frame) => {
    const { width, height, ids } = await readIdPicture(expectFrame(path, frames, frame));
    return { width, height, ids: Uint8Array.from(ids, (value) => (value === id ? 1 : 0)) };
  };
}

async function oneObject(path: string): Promise<IdPicture> {
  const picture = await readIdPicture(path);
  const ids = idsIn(picture);
  if (ids.length > 1) {
    const todo = "a folder an object holds one object a picture: put pictures of ids into the video's own folder";
    throw new Sam2Error(path, "one object", `ids ${ids.slice(0, 9).join(", ")}`, todo);
  }
  return { ...picture, ids: Uint8Array.from(picture.ids, (value) => (value ? 1 : 0)) };
}

function expectFrame(folder: string, frames: readonly string[], frame: string): string {
  if (frames.includes(frame)) return `${folder}/${frame}`;
  throw new Sam2Error(`${folder}/${frame}`, "a mask for every frame of the truth", "none", "predict all frames");
}

function expectSize<T extends { width: number; height: number }>(
  picture: T,
  { width, height }: { width: number; height: number },
  where: string,
): T {
  if (picture.width === width && picture.height === height) return picture;
  const got = `${picture.width}×${picture.height}`;
  throw new Sam2Error(where, `a predicted mask of ${width}×${height} pixels`, got, "predict at the size of the truth");
}
