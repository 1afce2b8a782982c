// Label Studio's answer to clicks, boxes and brushes: masks as brushes.
import { encodeBrushRle } from "../../io/formats/brush_rle.ts";
import { decodeRle } from "../../io/rle.ts";
import type { PromptResult } from "../../jobs/image_result.ts";
import type { Images } from "../images.ts";
import type { Region } from "../schemas.ts";
import { type Control, controlFor, type Labelling } from "./labelling.ts";
import { promptsOf } from "./regions.ts";

/**
 * Masks for the regions of one image: of every object the best mask, as a region of the first <BrushLabels>.
 *
 * @throws Problem, PromptError, ImageError, UsageError; the signal's reason if aborted
 */
export async function predictMasks(
  images: Images,
  labelling: Labelling,
  regions: readonly Region[],
  image: { address: string; toName: string; where: string },
  signal: AbortSignal,
): Promise<Region[]> {
  const { address, toName, where } = image;
  const control = controlFor(labelling, "BrushLabels", toName);
  const source = await images.source(address, where, signal);
  const { width, height } = source;
  const wanted = promptsOf(regions, source);
  const sets = wanted.map(({ set }) => set);
  const prompts = await images.answer(source, sets, where, signal);
  return prompts.map((prompt, i) => {
    const { iou, rle } = bestOf(prompt);
    const brush = { format: "rle", rle: encodeBrushRle(decodeRle(rle), width, height) };
    return {
      id: crypto.randomUUID().slice(0, 10),
      from_name: control.name,
      to_name: toName,
      type: "brushlabels",
      original_width: width,
      original_height: height,
      image_rotation: 0,
      value: { ...brush, brushlabels: labelsFor(control, wanted[i].label) },
      score: iou,
      readonly: false,
    };
  });
}

/** The label that was chosen; if the brush has no such label, its first. */
function labelsFor({ labels }: Control, chosen: string | undefined): string[] {
  const label = chosen !== undefined && (labels.length === 0 || labels.includes(chosen)) ? chosen : labels[0];
  return label === undefined ? [] : [label];
}

function bestOf({ masks }: PromptResult) {
  return masks.reduce((best, mask) => (mask.iou > best.iou ? mask : best));
}
