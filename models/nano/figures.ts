/** What the demo finds out: its report shows nothing else. */
import type { MachineDescription } from "../../src/runtime/report.ts";
import type { TraceRow } from "../../src/cli/trace_table.ts";
import type { Prompt } from "../../src/index.ts";
import type { summary } from "./evaluate.ts";
import type { Frame, Target } from "./scenes.ts";
import type { Track } from "./scoring.ts";

/** A question to the model, and the answer. */
export interface Asked {
  /** also the name of its files, with _ for blanks */
  name: string;
  prompt: Prompt;
  mask: Uint8Array;
  truth: Uint8Array;
  iou: number;
  /** the IoU that the model expects */
  guess: number;
  ms: number;
}

/** A mask that was found without a prompt. */
export interface FoundMask {
  mask: Uint8Array;
  /** pixels */
  area: number;
  predictedIou: number;
  /** IoU with each object's truth */
  ious: number[];
}

/** All masks of a scene that some choice of thresholds shows. */
export interface Everything {
  truths: Target[];
  /** largest first */
  masks: FoundMask[];
  /** ascending, as is the other */
  predIouThreshs: number[];
  stabilityThreshs: number[];
  /** by predicted IoU, then by stability: indices of the masks that stay, ascending */
  selected: number[][][];
  ms: number;
}

/** An object that was tracked. */
export interface Tracked extends Track {
  name: string;
  summary: ReturnType<typeof summary>;
}

/** All that the demo finds out, and its report shows. */
export interface Figures {
  scene: Frame & { seed: number };
  asked: Asked[];
  everything: Everything;
  clip: { seed: number; frames: Frame[]; msPerFrame: number; objects: Tracked[] };
  layers: TraceRow[];
  ms: { load: number; encode: number; track: number; total: number };
  machine: MachineDescription & { threads: number; chosen: readonly string[] };
  model: { name: string; imageSize: number; parameters: number; bytes: number; digest: string };
}
