/**
 * npm run demo: draw a picture, click on something in it, and write the mask and an overlay to demo-output/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { goldenImage } from "../golden/hash_image.ts";
import { main } from "../src/cli/cli.ts";
import { encodePng } from "../src/io/png.ts";

const FOLDER = "demo-output";
const [width, height] = [640, 480];

mkdirSync(FOLDER, { recursive: true });
const scene = `${FOLDER}/scene.png`;
writeFileSync(scene, encodePng({ width, height, channels: 3, data: goldenImage(1, width, height) }));
process.exitCode = await main(["segment", scene, "--point", "150,100", "--out", FOLDER], {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: new AbortController().signal,
});
