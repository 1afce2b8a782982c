import type { RemoteFile } from "../platform/types.ts";

/** A checkpoint that Meta publishes. */
export interface OfficialCheckpoint extends RemoteFile {
  /** "tiny", "2.0:tiny", … */
  readonly name: string;
}

const META = "https://dl.fbaipublicfiles.com/segment_anything_2";
const HUB = "https://huggingface.co/facebook";

const EDGETAM = { name: "edgetam", file: "edgetam.pt", url: `${HUB}/EdgeTAM/resolve/main/edgetam.pt` };

/**
 * The eight checkpoints of SAM 2, those of 2.1 first, and EdgeTAM. Pages take them from the Hub, which lets them.
 *
 * @source checkpoints/download_ckpts.sh; sam2/build_sam.py, HF_MODEL_ID_TO_FILENAMES
 */
export const OFFICIAL_CHECKPOINTS: readonly OfficialCheckpoint[] = [
  ...[
    { prefix: "", folder: "092824", stem: "sam2.1_hiera" },
    { prefix: "2.0:", folder: "072824", stem: "sam2_hiera" },
  ].flatMap(({ prefix, folder, stem }) =>
    ["tiny", "small", "base_plus", "large"].map((variant) => {
      const file = `${stem}_${variant}.pt`;
      const repository = `${stem}_${variant}`.replaceAll("_", "-");
      return {
        name: `${prefix}${variant}`,
        file,
        url: `${META}/${folder}/${file}`,
        pageUrl: `${HUB}/${repository}/resolve/main/${file}`,
      };
    }),
  ),
  { ...EDGETAM, pageUrl: EDGETAM.url },
];

/** For messages. */
export const MODEL_NAMES = ["nano", ...OFFICIAL_CHECKPOINTS.map(({ name }) => name)].join(", ");

/** By its name, or by a published one: "tiny", "2.1:tiny", "sam2.1_hiera_tiny" and "facebook/sam2.1-hiera-tiny" are the same. */
export function officialCheckpoint(name: string): OfficialCheckpoint | undefined {
  const published = name
    .replace(/^facebook\//, "")
    .replaceAll("-", "_")
    .toLowerCase();
  return OFFICIAL_CHECKPOINTS.find(
    (checkpoint) => checkpoint.name === name.replace(/^2\.1:/, "") || checkpoint.file === `${published}.pt`,
  );
}
