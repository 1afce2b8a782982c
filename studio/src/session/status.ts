/** What goes on, for the views to show: nothing of it is part of the document. */
import type { MaskRecord } from "sam2-ts";
import type { LabelMap } from "../masks/protocol.ts";
import type { Measured } from "./models.ts";

export interface ModelStatus {
  name: string;
  label: string;
  state: "loading" | "ready" | "failed";
  /** `config.imageSize` of one that is ready, pixels */
  side?: number;
}

/** A model that is on its way while another one still answers. */
export interface Coming {
  name: string;
  label: string;
  stage: "download" | "load";
  /** undefined if the server does not tell */
  fraction: number | undefined;
}

export interface Everything {
  state: "none" | "running" | "ready";
  /** 0…1 */
  fraction: number;
  /** that pass the thresholds, with COCO's run lengths */
  records: readonly MaskRecord[];
  labels?: LabelMap;
  /** index of the record under the pointer */
  pointed?: number;
}

/** How far a run of tracking has come. */
export interface Tracking {
  direction: "forward" | "backward";
  /** that it was begun for, and that are done */
  frames: number;
  done: number;
  /** the latest that is done */
  frame: number;
  /** measured; undefined before the second frame */
  msPerFrame?: number;
}

export interface Status {
  model: ModelStatus;
  coming?: Coming;
  /** "looking": the model works on it, so that clicks wait */
  picture: "none" | "opening" | "looking" | "ready";
  /** 0…1 of "looking" */
  fraction: number;
  /** is a prompt being answered? */
  isAsking: boolean;
  everything: Everything;
  /** of a video; absent while nothing is tracked */
  tracking?: Tracking;
  isPlaying: boolean;
  threads: number;
  /** one sentence: what went wrong, and what to do */
  problem?: string;
  /** one sentence that asks for nothing */
  notice?: string;
  /** what a picture took here, of each model the latest size, the newest first */
  measured: readonly Measured[];
  /** is the visitor to be told that nano knows drawings only? */
  offersModels: boolean;
}

/** A picture, and which frame it is. */
export interface Shown {
  /** the canvas takes it: then it is empty */
  bitmap: ImageBitmap;
  source: string;
  frame: number;
  /** @units s from the first */
  time: number;
}

export const NOTHING_FOUND: Everything = { state: "none", fraction: 0, records: [] };

export const AT_FIRST: Status = {
  model: { name: "nano", label: "nano", state: "loading" },
  picture: "none",
  fraction: 0,
  isAsking: false,
  isPlaying: false,
  everything: NOTHING_FOUND,
  threads: 1,
  measured: [],
  offersModels: false,
};
