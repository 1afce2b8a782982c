// npm run verify:official [-- photo.jpg]
/**
 * The check that needs the internet and is therefore left out of `npm test`: the official weights on the published
 * integration example, against the published figures. verify_official.test.ts runs all of it on a local server.
 */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../src/cli/cli.ts";
import type { Io } from "../src/cli/io.ts";
import { locateModel } from "../src/cli/models.ts";
import { Sam2Error } from "../src/errors.ts";
import { ImagePredictor, Sam2 } from "../src/index.node.ts";
import { cachedFile } from "../src/platform/node_download.ts";

/** A click on a photo with an official checkpoint, and what the model said of its three masks when it was published. */
export interface PublishedExample {
  /** as `sam2 download` names it */
  model: string;
  /** a path or a URL */
  photo: string;
  /** of the file behind the URL */
  photoSha256?: string;
  point: readonly [x: number, y: number];
  /** predicted IoUs, the highest first */
  iouPredictions: readonly number[];
}

/** @source transformers, tests/models/sam2/test_modeling_sam2.py, test_inference_mask_generation_one_point_multimask */
export const TRUCK: PublishedExample = {
  model: "tiny",
  photo:
    "https://raw.githubusercontent.com/facebookresearch/sam2/2b90b9f5ceec907a1c18123530e92e794ad901a4/notebooks/images/truck.jpg",
  photoSha256: "941715e721c8864324a1425b445ea4dde0498b995c45ddce0141a58971c6ff99",
  point: [500, 375],
  iouPredictions: [0.9547, 0.4932, 0.0427],
};

const TOLERANCE = 1e-3;

/** Download what is not there yet, run the example, print a table. The exit code: 0 if all figures agree. */
export async function verifyOfficial(example: PublishedExample, io: Io): Promise<number> {
  const { model, point, iouPredictions: published } = example;
  const code = await main(["download", model], io);
  if (code !== 0) return code;
  try {
    const photo = await localPhoto(example, io);
    const found = await predict(await locateModel(model, {}, io), photo, point, io);
    const [table, agree] = compare(published, found);
    const title = `${model}, ${basename(photo)}, a click at (${point.join(", ")}): predicted IoUs`;
    io.stdout.write(`\n${title}\n${table}`);
    return agree ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Sam2Error)) throw error;
    io.stderr.write(`sam2: ${error.message}\n`);
    return 1;
  }
}

/** A table of both, and whether they agree. */
export function compare(published: readonly number[], found: ArrayLike<number>): [table: string, agree: boolean] {
  const distances = published.map((iou, i) => Math.abs(iou - found[i]));
  const lines = distances.map((distance, i) => {
    const numbers = [published[i].toFixed(4), found[i].toFixed(4), distance.toExponential(1)];
    return `${numbers.map((text) => text.padStart(11)).join("")}  ${distance <= TOLERANCE ? "✔" : "✘"}`;
  });
  const good = distances.filter((distance) => distance <= TOLERANCE).length;
  const verdict = `${good} of ${published.length} agree within ${TOLERANCE}`;
  return [`  published       here        |Δ|\n${lines.join("\n")}\n${verdict}\n`, good === published.length];
}

/** Three predicted IoUs, the highest first. */
async function predict(
  checkpoint: string,
  photo: string,
  point: PublishedExample["point"],
  { signal }: Io,
): Promise<Float32Array> {
  await using sam2 = await Sam2.fromPretrained(checkpoint, { signal });
  const predictor = new ImagePredictor(sam2);
  await predictor.setImage(photo, { signal });
  const { iouPredictions } = await predictor.predict({ points: [point] }, { multimaskOutput: true, signal });
  return iouPredictions.toSorted().reverse();
}

/** The path of the photo; one from the network is kept beside the checkpoints. */
async function localPhoto({ photo, photoSha256 }: PublishedExample, { env, signal }: Io): Promise<string> {
  if (!/^https?:/.test(photo)) return photo;
  const file = basename(new URL(photo).pathname);
  const remote = { name: file, file, url: photo, pageUrl: photo };
  return cachedFile(remote, {
    env: { ...env, SAM2_DOWNLOAD_URL: undefined },
    signal,
    check({ read, size }) {
      const sha256 = createHash("sha256").update(read(0, size)).digest("hex");
      if (photoSha256 === undefined || sha256 === photoSha256) return;
      throw new Sam2Error(photo, `SHA-256 ${photoSha256}`, sha256, "name a copy: npm run verify:official -- photo.jpg");
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const photo = process.argv[2] ?? TRUCK.photo;
  const { stdout, stderr, env } = process;
  process.exitCode = await verifyOfficial(
    { ...TRUCK, photo },
    { stdout, stderr, env, signal: new AbortController().signal },
  );
}
