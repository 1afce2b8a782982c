import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Sam2Error } from "../errors.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import { officialCheckpoint } from "../io/official.ts";
import type { Io } from "./io.ts";

/** Where downloads are kept: $SAM2_CACHE, or the system's folder for such things. */
export function cacheFolder(env: Io["env"], system: NodeJS.Platform = process.platform): string {
  if (env.SAM2_CACHE) return env.SAM2_CACHE;
  if (system === "win32") return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "sam2-ts");
  if (system === "darwin") return join(homedir(), "Library", "Caches", "sam2-ts");
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sam2-ts");
}

/**
 * The file of a model: a name becomes a path, anything else is a path or an address already.
 *
 * @throws Sam2Error if it must be downloaded first
 */
export function locateModel(model: string, env: Io["env"]): string {
  if (model === DEMO_MODEL.name) return fileURLToPath(DEMO_MODEL.url);
  const official = officialCheckpoint(model);
  if (!official) return model;
  const path = join(cacheFolder(env), official.file);
  if (!existsSync(path)) {
    throw new Sam2Error(model, `its checkpoint at ${path}`, "none", `run: sam2 download ${model}`);
  }
  return path;
}

/** The file of --model; without one it is nano's, and stderr says so. */
export function chosenModel({ model, quiet }: { model?: string; quiet?: boolean }, io: Io): string {
  if (model === undefined && !quiet) io.stderr.write(`sam2: ${DEMO_MODEL.notice}\n`);
  return locateModel(model ?? DEMO_MODEL.name, io.env);
}
