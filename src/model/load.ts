import { CheckpointError, UsageError } from "../errors.ts";
import type { Checkpoint } from "../io/checkpoint.ts";
import { edgeTamConfig, modelTitle, type Sam2Config, VARIANT_NAMES, variantConfig } from "./config.ts";
import { checkTensors, deriveConfig, isEdgeTamFile, isMemoryTensor, publishedName } from "./derive_config.ts";
import { nearestVariant, otherModel } from "./lookalike.ts";

const NAMED = 5; // names in a message; `sam2 info` lists all of them

export interface ConfigOptions {
  /** published variant whose windows, heads and image size the shapes cannot tell: "tiny", "2.0:large", "tiny_512" (MedSAM2) … */
  config?: string;
  /** side of the square that images are resized to, a multiple of 32 */
  imageSize?: number;
}

/**
 * The configuration that a checkpoint fits, once it is known to hold every tensor of the image path.
 *
 * @throws CheckpointError if it does not fit; UsageError for an unknown name
 */
export function checkpointConfig(checkpoint: Checkpoint, options: ConfigOptions = {}): Sam2Config {
  const config = likelyConfig(checkpoint, options);
  expectTensors(checkpoint, config, "image");
  return config;
}

/**
 * The configuration that a checkpoint seems to fit. What the caller names counts more than what the file states, and
 * that more than what a published variant of these shapes has.
 *
 * @throws CheckpointError if nothing fits; UsageError for an unknown name
 */
export function likelyConfig(checkpoint: Checkpoint, options: ConfigOptions = {}): Sam2Config {
  const isEdgeTam = isEdgeTamFile(checkpoint.tensors);
  if (!isEdgeTam && !checkpoint.tensors.has("image_encoder.trunk.patch_embed.proj.weight")) {
    const { what, todo } = otherModel(checkpoint.tensors);
    throw new CheckpointError(checkpoint.name, "the tensors of SAM 2", what, todo);
  }
  const stated = { ...checkpoint.hyperparameters };
  if (options.config !== undefined) {
    const named = namedHyperparameters(options.config, isEdgeTam);
    const own = isEdgeTam ? named.name : publishedName(checkpoint.tensors);
    if (own !== undefined && own !== named.name) {
      throw new UsageError(
        "config",
        `${own}, whose shapes the file has`,
        `"${options.config}"`,
        "name this one, or leave it out",
      );
    }
    Object.assign(stated, named);
  }
  if (options.imageSize !== undefined) stated.imageSize = options.imageSize;
  return deriveConfig(checkpoint.tensors, stated);
}

function namedHyperparameters(option: string, isEdgeTam: boolean): Record<string, unknown> {
  const [, asked, size] = /^(?:2\.[01]:)?(.+?)(?:_(\d+))?$/.exec(option) ?? [];
  const sizeOf = (trained: number) => (size === undefined ? trained : Number(size));
  if (isEdgeTam) {
    const { name, imageSize } = edgeTamConfig();
    if (asked === name) return { name, imageSize: sizeOf(imageSize) };
    throw new UsageError("config", name, `"${option}"`, "leave it out: the file holds EdgeTAM");
  }
  const variant = VARIANT_NAMES.find((name) => asked === name);
  if (!variant) {
    const todo = "name one of these, and the image size after it if it was trained at another one: tiny_512";
    throw new UsageError("config", VARIANT_NAMES.join(", "), `"${option}"`, todo);
  }
  const { name, imageSize: trained, numHeads, windowSpec, globalAttBlocks } = variantConfig(variant, "2.1");
  const imageSize = sizeOf(trained);
  return { name, imageSize, numHeads, windowSpec, globalAttBlocks };
}

/**
 * Image-only transformers files lack the memory part: they do for "image", not for "video".
 *
 * @throws CheckpointError if a tensor is missing, is unexpected or has another shape: as strict as PyTorch
 */
export function expectTensors(checkpoint: Checkpoint, config: Sam2Config, use: "image" | "video"): void {
  const differences = checkTensors(config, checkpoint.tensors);
  const { unexpected, wrongShape } = differences;
  const missing = differences.missing.filter((name) => use === "video" || !isMemoryTensor(name));
  const problems = [listed("missing", missing), listed("unexpected", unexpected), listed("other shapes:", wrongShape)];
  if (missing.length + unexpected.length + wrongShape.length === 0) return;
  const got = problems.filter((text) => text !== "").join("; ");
  const wanted = `the tensors of ${modelTitle(config)}`;
  throw new CheckpointError(checkpoint.name, wanted, got, advice(checkpoint, missing, unexpected, wrongShape));
}

/** What to do about the differences. */
function advice(
  { tensors, unwrapped }: Checkpoint,
  missing: readonly string[],
  unexpected: readonly string[],
  wrongShape: readonly string[],
): string {
  const isWhole = unexpected.length + wrongShape.length === 0;
  if (isWhole && missing.every(isMemoryTensor)) return "it does for images; to track, load a file of the video model";
  if (unexpected.some((name) => HQ.test(name))) return "it looks like HQ-SAM 2, whose mask decoder has more parts";
  if (unexpected.some((name) => LORA.test(name))) return "merge the LoRA adapters into the weights first";
  const beside =
    unwrapped && unwrapped.leftOut.length > 0 ? `; ${unwrapped.leftOut.length} more stand beside them` : "";
  const nearest = nearestVariant(tensors);
  return `${nearest ? `it looks like ${nearest}` : "it is no published model"}${beside}; see all names with sam2 info`;
}

const HQ = /^sam_mask_decoder\.(hf_|compress_vit_feat|embedding_)/;
const LORA = /(^|[._])lora_/;

function listed(what: string, names: readonly string[]): string {
  if (names.length === 0) return "";
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return `${what} ${names.slice(0, NAMED).join(", ")}${more}`;
}
