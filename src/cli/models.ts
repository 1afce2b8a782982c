import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkWhole } from "../io/checkpoint.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import { officialCheckpoint } from "../io/official.ts";
import { notify } from "../platform/notices.ts";
import { cachedFile } from "../platform/node_download.ts";
import { type Io, progressBar, Status } from "./io.ts";

export interface LocateOptions {
  quiet?: boolean;
  /** download nothing */
  offline?: boolean;
}

/**
 * The file of a model: a name becomes a path, to which it is downloaded unless it is there; anything else, and whatever
 * exists under that name, is a path or an address already.
 */
export async function locateModel(model: string, { quiet, offline }: LocateOptions, io: Io): Promise<string> {
  if (existsSync(model)) return model;
  if (model === DEMO_MODEL.name) return fileURLToPath(DEMO_MODEL.url);
  const official = officialCheckpoint(model);
  if (!official) return model;
  const status = new Status(io, quiet);
  const env = offline ? { ...io.env, SAM2_OFFLINE: "1" } : io.env;
  const onProgress = progressBar(official.file, status);
  try {
    return await cachedFile(official, { env, signal: io.signal, onProgress, check: checkWhole });
  } finally {
    status.clear();
  }
}

/** The file of --model; without one it is nano's, and that is said. */
export async function chosenModel(options: LocateOptions & { model?: string }, io: Io): Promise<string> {
  const { model } = options;
  if (model === undefined) notify(DEMO_MODEL.notice);
  return locateModel(model ?? DEMO_MODEL.name, options, io);
}
