/** Everything in the scene: its masks against the truth, as two sliders choose. page.js moves them. */
import { bestIous, POINTS_PER_SIDE, START } from "../everything.ts";
import type { Figures } from "../figures.ts";
import { outline } from "./draw.ts";
import { json, number } from "./html.ts";

export function everythingSection({ scene, everything }: Figures): string {
  const { truths, masks, predIouThreshs, stabilityThreshs, selected, ms } = everything;
  const size = scene.width;
  const [i, j] = START;
  const shown = selected[i][j];
  const paths = masks.map(({ mask }, k) => {
    const hidden = shown.includes(k) ? "" : " hidden";
    return `<path class="colour-${k % 7}" d="${outline(mask, size)}"${hidden}/>`;
  });
  const ious = bestIous(everything, shown);
  const rows = truths.map(
    ({ code }, k) =>
      `<tr><th scope="row">object ${code}</th><td>${number(ious[k], ious[k].toFixed(3), `object-${code}`)}</td></tr>`,
  );
  const slider = (id: string, label: string, values: readonly number[], at: number) =>
    `<label for="${id}">${label}</label><input type="range" id="${id}" min="0" max="${values.length - 1}" value="${at}"><output for="${id}">${values[at].toFixed(2)}</output>`;
  const data = { predIouThreshs, stabilityThreshs, selected, ious: masks.map((mask) => mask.ious) };
  return `<section aria-labelledby="everything-title" id="everything">
<h2 id="everything-title">Everything</h2>
<p>Without a prompt: ${POINTS_PER_SIDE} × ${POINTS_PER_SIDE} clicks, three masks each, ${number(ms, (ms / 1000).toFixed(1), "ms")} s. Of these stay those that the model
expects to be good and that hardly change with the threshold of their logits, and of masks with much the same box the best. The sliders
choose anew from what was found then.</p>
<div class="film">
<figure><svg viewBox="0 0 ${size} ${size}" role="img" aria-label="The scene under the masks that stay"><use href="#scene"/><g class="masks">
${paths.join("\n")}</g>
${truths.map(({ mask }) => `<path class="truth" d="${outline(mask, size)}"/>`).join("\n")}</svg></figure>
<div>
<div class="sliders">
${slider("pred-iou", "predicted IoU above", predIouThreshs, i)}
${slider("stability", "stability at least", stabilityThreshs, j)}
</div>
<p class="legend"><span><i class="key colours-key"></i>found</span><label><input type="checkbox" id="everything-truth" checked><i class="key truth-key"></i>truth</label></p>
<p class="readout" aria-live="polite"></p>
<div class="scroll"><table class="best"><thead><tr><th scope="col">drawn</th><th scope="col">IoU of its best mask</th></tr></thead><tbody>
${rows.join("\n")}</tbody></table></div>
<noscript><p>The sliders need JavaScript.</p></noscript>
</div>
</div>
${json("found", data)}
</section>`;
}
