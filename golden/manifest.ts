import type { Sam2Config } from "../src/model/config.ts";
import manifest from "./manifest.json" with { type: "json" };

/** One tensor of the reference, channels last; `samples` holds maxValues of its values. */
export interface GoldenLayer {
  path: string;
  class: string;
  shape: number[];
  layout: string;
  stored: string;
  mean: number;
  std: number;
  min: number;
  max: number;
}

/** One run of the reference, as manifest.json tells of it. */
export interface GoldenEntry {
  model: Sam2Config;
  maxValues: number;
  run: string;
  image?: { seed: number; width: number; height: number };
  images?: { seed: number; width: number; height: number }[];
  multimask?: boolean;
  prompt?: {
    point_coords?: [number, number][];
    point_labels?: (0 | 1)[];
    box?: [number, number, number, number];
    mask?: number;
    multimask: boolean;
  };
  best?: number;
  /** memory encoder: seed of the mask, is it binarised, object score */
  mask?: number;
  binarize?: boolean;
  score?: number;
  video?: GoldenVideo;
  /** memory attention: the frame, and the frames whose memories it may see */
  bank?: { frame: number; numFrames: number; reverse: boolean; cond: number[]; nonCond: number[] };
  /** memory encoder and attention: seed of the frame's features, where they are not stored */
  features?: number;
  /** the package, where it is not sam2 */
  reference?: string;
  inputs: string[];
  layers: GoldenLayer[];
}

/** A scenario that the official video predictor went through, as the manifest tells of it. */
export interface GoldenVideo {
  /** added to the bias of the object score */
  scoreShift: number;
  seed: number;
  frames: number;
  width: number;
  height: number;
  options: { [name in OptionName]?: boolean };
  steps: Step[];
}
type OptionName = "non_overlap_masks" | "add_all_frames_to_correct_as_cond" | "clear_non_cond_mem_around_input";

export type Step = { frames_answered: number[]; objects: number[] } & (
  | {
      do: "points";
      frame: number;
      object: number;
      points?: [number, number][];
      labels?: (0 | 1)[];
      box?: Box;
      clear_old_points?: boolean;
    }
  | { do: "mask"; frame: number; object: number; disc: [cx: number, cy: number, r: number] }
  | { do: "propagate"; start: number | null; frames: number | null; reverse: boolean }
  | { do: "clear"; frame: number; object: number }
  | { do: "remove"; object: number }
);
type Box = [number, number, number, number];

export const entries = manifest.cases as unknown as Record<string, GoldenEntry>;

/** Names of the cases that start with `prefix`; a model's image encoder first, whose result the others take over. */
export function goldenCases(prefix = ""): string[] {
  const encoderFirst = (a: string, b: string) =>
    Number(b.endsWith(".image_encoder")) - Number(a.endsWith(".image_encoder"));
  return Object.keys(entries)
    .filter((name) => name.startsWith(prefix) && !entries[name].video)
    .sort(encoderFirst);
}

/** Names of the video scenarios that start with `prefix`. */
export function goldenClips(prefix = ""): string[] {
  return Object.keys(entries).filter((name) => name.startsWith(prefix) && entries[name].video);
}
