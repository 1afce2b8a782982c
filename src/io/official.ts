/** A checkpoint that Meta publishes. */
export interface OfficialCheckpoint {
  /** "tiny", "2.0:tiny", … */
  readonly name: string;
  readonly file: string;
  readonly url: string;
}

const SITE = "https://dl.fbaipublicfiles.com/segment_anything_2";

/**
 * The eight checkpoints, those of SAM 2.1 first.
 *
 * @source checkpoints/download_ckpts.sh
 */
export const OFFICIAL_CHECKPOINTS: readonly OfficialCheckpoint[] = [
  { prefix: "", folder: "092824", stem: "sam2.1_hiera" },
  { prefix: "2.0:", folder: "072824", stem: "sam2_hiera" },
].flatMap(({ prefix, folder, stem }) =>
  ["tiny", "small", "base_plus", "large"].map((variant) => {
    const file = `${stem}_${variant}.pt`;
    return { name: `${prefix}${variant}`, file, url: `${SITE}/${folder}/${file}` };
  }),
);

/** "tiny" and "2.1:tiny" are the same. */
export function officialCheckpoint(name: string): OfficialCheckpoint | undefined {
  return OFFICIAL_CHECKPOINTS.find((checkpoint) => checkpoint.name === name.replace(/^2\.1:/, ""));
}
