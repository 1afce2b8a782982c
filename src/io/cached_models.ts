import { UsageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { kindOf } from "./kind_of.ts";
import { OFFICIAL_CHECKPOINTS, officialCheckpoint } from "./official.ts";

/** A checkpoint that was downloaded by its name. */
export interface CachedModel {
  /** as `Sam2.fromPretrained` takes it */
  name: string;
  /** of the file; of one that is not whole yet, those that have come */
  bytes: number;
}

/** The models that `Sam2.fromPretrained` has downloaded by name and keeps: in the cache folder, in a page in its storage. */
export async function cachedModels(): Promise<CachedModel[]> {
  const sizes = await Promise.all(OFFICIAL_CHECKPOINTS.map((checkpoint) => platform.cachedBytes(checkpoint)));
  return OFFICIAL_CHECKPOINTS.flatMap(({ name }, i) => (sizes[i] === undefined ? [] : [{ name, bytes: sizes[i] }]));
}

/**
 * Remove a model from the cache; one that is loaded goes on. Nothing happens if it is not there.
 *
 * @throws UsageError if no model has this name
 */
export async function deleteCachedModel(name: string): Promise<void> {
  const checkpoint = typeof name === "string" ? officialCheckpoint(name) : undefined;
  if (!checkpoint) {
    const names = OFFICIAL_CHECKPOINTS.map((official) => official.name).join(", ");
    throw new UsageError(
      "deleteCachedModel",
      names,
      typeof name === "string" ? `"${name}"` : kindOf(name),
      "name one of these",
    );
  }
  await platform.removeCached(checkpoint);
}
