/**
 * The figures of the pages, from what nano computes, the output that the pages show below their commands, and the lines of
 * source that they quote.
 *
 *     npx tsx docs/figures.ts      writes docs/figures/*.svg and brings outputs and source lines in docs/*.md up to date
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { clipActivations, photoActivations } from "./activations.ts";
import { renewPages } from "./blocks.ts";
import { diaryBars } from "./diary.ts";
import { architecture, memoryBanks, trainingSequence } from "./figures_of_architecture.ts";
import { clipStrip, memoryAttention, memoryEncoder } from "./figures_of_clip.ts";
import { clickAttention, moduleTree, pyramid, threeMasks, windowPlan } from "./figures_of_photo.ts";
import type { Figure } from "./svg.ts";

const FOLDER = new URL("figures/", import.meta.url);

export type Activations = {
  photo: Awaited<ReturnType<typeof photoActivations>>;
  clip: Awaited<ReturnType<typeof clipActivations>>;
};

/** Every figure by its name. */
export async function drawFigures({ photo, clip }: Activations): Promise<Map<string, string>> {
  const figures: [name: string, title: string, figure: Figure][] = [
    ["architecture", "What a photo and a video frame pass through", await architecture()],
    ["tree", "The modules of SAM 2 with the shapes they return", await moduleTree(photo)],
    ["pyramid", "Features of the four stages and of the four levels of the neck, as colours", pyramid(photo)],
    ["windows", "Position embedding, and the windows of each block", windowPlan(photo)],
    ["attention", "What the click's token attends to", clickAttention(photo)],
    ["masks", "Three masks for one click", threeMasks(photo)],
    ["clip", "One object through a clip", clipStrip(clip)],
    ["memory_encoder", "How a frame becomes a memory", memoryEncoder(clip)],
    ["training", "One sequence of training", trainingSequence()],
    ["memory_attention", "What the tokens of a frame attend to in the memory", memoryAttention(clip)],
    ["banks", "Full memory banks of SAM 2.1 tiny and of EdgeTAM", memoryBanks()],
    ["gemm", "The steps of the matrix product's diary", diaryBars()],
  ];
  return new Map(figures.map(([name, title, figure]) => [name, figure.toString(title, `nano ${photo.digest}`)]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(FOLDER, { recursive: true });
  let bytes = 0;
  const activations = { photo: await photoActivations(), clip: await clipActivations() };
  for (const [name, svg] of await drawFigures(activations)) {
    writeFileSync(new URL(`${name}.svg`, FOLDER), svg);
    bytes += svg.length;
    console.log(`docs/figures/${name}.svg  ${Math.ceil(svg.length / 1024)} KiB`);
  }
  console.log(`together ${Math.ceil(bytes / 1024)} KiB`);
  for (const page of await renewPages()) console.log(`docs/${page}: outputs and source lines renewed`);
}
