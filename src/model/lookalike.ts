import { formatShape } from "../tensor/shape.ts";
import { edgeTamConfig, modelTitle, VARIANT_NAMES, variantConfig } from "./config.ts";
import { parameters, type Shapes } from "./parameters.ts";

const ELSEWHERE = "load SAM 2 or SAM 2.1: this is another architecture";
const WHOLE = "save the state_dict of the whole model";

/** What people take for a checkpoint of SAM 2, by a name in it; the first that fits. */
const OTHERS: readonly [pattern: RegExp, what: string, todo: string][] = [
  [
    /(^|[._])lora_(A|B|a|b|up|down|embedding)/,
    "weights with LoRA adapters",
    "merge the adapters into the weights first",
  ],
  [/^(detector|detector_model|tracker|tracker_model)\./, "SAM 3", ELSEWHERE],
  [/^image_encoder\.blocks\.0\./, "the first Segment Anything", ELSEWHERE],
  [/^vision_encoder\.layers\.0\./, "the first Segment Anything under transformers' names", ELSEWHERE],
  [/^image_encoder\.layers\.0\./, "MobileSAM", ELSEWHERE],
  [/^(trunk\.)?blocks\.0\./, "an image encoder alone", WHOLE],
  [/^(sam_)?mask_decoder\.|^transformer\.layers\.0\./, "a mask decoder alone", WHOLE],
];

/**
 * What a file without SAM 2's image encoder seems to hold, and what to do about it.
 *
 * @param tensors under Meta's names, as far as they have such names
 */
export function otherModel(tensors: Shapes): { what: string; todo: string } {
  const names = [...tensors.keys()];
  for (const [pattern, what, todo] of OTHERS) {
    if (names.some((name) => pattern.test(name))) return { what: `what looks like ${what}`, todo };
  }
  const what = names.length === 0 ? "no tensor" : `tensors such as ${names.slice(0, 2).join(", ")}`;
  return { what, todo: "check that this is the file that was meant" };
}

/** "SAM 2.1 tiny, of which it has 469 of 471 tensors": the published model that a file is closest to, if any. */
export function nearestVariant(tensors: Shapes): string | undefined {
  const published = [
    ...(["2.1", "2.0"] as const).flatMap((version) => VARIANT_NAMES.map((name) => variantConfig(name, version))),
    edgeTamConfig(),
  ];
  const near = published.map((config) => {
    const wanted = [...parameters(config)];
    const same = wanted.filter(([key, shape]) => {
      const got = tensors.get(key)?.shape;
      return got && formatShape(got) === formatShape(shape);
    }).length;
    const text = `${modelTitle(config)}, of which it has ${same} of ${wanted.length} tensors`;
    return { text, share: same / (wanted.length + tensors.size - same) };
  });
  const [nearest] = near.sort((a, b) => b.share - a.share);
  return nearest.share >= 0.4 ? nearest.text : undefined;
}
