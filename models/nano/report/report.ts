/** The demo's report: one HTML file that needs nothing else. */
import { readFileSync } from "node:fs";
import { webpEncoder } from "../../../src/io/webp_animation.ts";
import type { Asked, Figures, Tracked } from "../figures.ts";
import { everythingSection } from "./everything.ts";
import { absences, outline, plotJ, plotScore, promptMarks, scoreRange } from "./draw.ts";
import { dataUri, escaped, json, number, scientific } from "./html.ts";
import { farthest, layerTable, totalOf } from "./layer_table.ts";

const SCENE_QUALITY = 82;
const FRAME_QUALITY = 62;
/** Nothing may be loaded: what the page needs is in it. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const ICON =
  "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%232563eb'/%3E%3Cpath d='M8 4.5v7M4.5 8h7' stroke='white' stroke-width='2'/%3E%3C/svg%3E";

export async function reportPage(figures: Figures): Promise<string> {
  const part = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>sam2-ts demo report</title>
<link rel="icon" href="data:image/svg+xml,${ICON}">
<style>
${part("page.css")}</style>
</head>
<body>
${header(figures)}
<main>
${await sceneSection(figures)}
${everythingSection(figures)}
${await clipSection(figures)}
${layerSection(figures)}
${originSection(figures)}
</main>
<script>
${part("page.js")}</script>
</body>
</html>
`;
}

function header({ asked, clip, layers, ms, model }: Figures): string {
  const [click, box] = ["click", "box"].map((name) => asked.find((one) => one.name === name)!);
  const [before, after] = [asked.find(({ name }) => name === "another click")!, asked.at(-1)!];
  const far = farthest(layers);
  const parameters = number(model.parameters, (model.parameters / 1e6).toFixed(1), "parameters");
  const frames = clip.frames.length;
  const tile = (label: string, value: string, note: string) =>
    `<div><dt>${label}</dt><dd>${value}</dd><dd>${note}</dd></div>`;
  return `<header>
<p class="overline">sam2-ts · demo report</p>
<h1>Three questions about a picture, and ${frames} frames of a clip</h1>
<p class="lead">${model.name}, the Segment Anything 2 of ${parameters} million parameters that comes with the package, was asked for shapes
in a drawn scene; then it followed two shapes through a clip in which one is wholly covered for a while. Both are drawn from
seeds that training never saw, so the truth is known to the pixel.</p>
<dl class="tiles">
${tile("one click", number(click.iou, click.iou.toFixed(3), "click"), "IoU with the truth")}
${tile("a box", number(box.iou, box.iou.toFixed(3), "box"), "IoU with the truth")}
${tile("a click, corrected", number(after.iou, after.iou.toFixed(3), "corrected"), `IoU; ${before.iou.toFixed(3)} before`)}
${tile("two objects tracked", clip.objects.map(({ summary: { j } }) => number(j, j.toFixed(2), "j")).join(" · "), "mean J over the clip")}
${tile("a frame of the clip", `${number(ms.track / frames, (ms.track / frames).toFixed(0), "frame")} ms`, "both objects, clicks included")}
${far ? tile("distance from PyTorch", `${number(far.share, scientific(far.share), "farthest")} σ`, `the farthest of ${far.compared} layers`) : ""}
</dl>
</header>`;
}

const TITLES: Record<string, string> = {
  click: "One click",
  box: "A box",
  "another click": "Another click",
  "correction 1": "… corrected once",
  "correction 2": "… and once more",
};

async function sceneSection({ scene, asked, ms }: Figures): Promise<string> {
  const { width: size, seed } = scene;
  const picture = dataUri("image/webp", (await webpEncoder(SCENE_QUALITY))(scene));
  const frame = `M0 0H${size}V${size}H0z`;
  const figure = (one: Asked) => {
    const title = TITLES[one.name];
    const found = outline(one.mask, size);
    const iou = number(one.iou, one.iou.toFixed(3), "iou");
    return `<figure data-name="${one.name}">
<svg viewBox="0 0 ${size} ${size}" role="img" aria-label="${title}: the mask that was found, IoU ${one.iou.toFixed(3)} with the truth. ${saidOf(one)}.">
<use href="#scene"/><path class="outside" d="${frame}${found}"/><path class="found" d="${found}"/>
<path class="truth" d="${outline(one.truth, size)}"/>${promptMarks(one.prompt)}</svg>
<figcaption><strong>${title}</strong><span class="score">IoU ${iou}</span><span class="detail">${saidOf(one)}</span></figcaption>
</figure>`;
  };
  const row = (one: Asked) =>
    `<tr data-name="${one.name}"><th scope="row">${one.name}</th><td>${saidOf(one)}</td>
<td>${number(one.iou, one.iou.toFixed(3), "iou")}</td><td>${number(one.guess, one.guess.toFixed(3), "guess")}</td><td>${number(one.ms, one.ms.toFixed(0), "ms")}</td></tr>`;
  return `<section aria-labelledby="scene-title">
<svg class="shared" aria-hidden="true"><defs><image id="scene" href="${picture}" width="${size}" height="${size}"/></defs></svg>
<h2 id="scene-title">The picture</h2>
<p>What was found keeps its colours, all else is dimmed. The model looked at the scene once, for ${number(ms.encode, ms.encode.toFixed(0), "encode")} ms; each question
is then a matter for the decoder alone. A correction is a click where the mask before was most wrong.</p>
<p class="legend"><span><i class="key found-key"></i>found</span><label><input type="checkbox" id="show-truth" checked><i class="key truth-key"></i>truth</label>
<span><i class="key positive-key"></i>click on it</span><span><i class="key negative-key"></i>click beside it</span></p>
<div class="gallery">
<figure><svg viewBox="0 0 ${size} ${size}" role="img" aria-label="The drawn scene as the model gets it."><use href="#scene"/></svg>
<figcaption><strong>The scene</strong><span class="score">${size} × ${size}</span><span class="detail">drawn from seed ${seed}</span></figcaption></figure>
${asked.map(figure).join("\n")}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Answers in figures"><table class="answers">
<thead><tr><th scope="col">question</th><th scope="col">what was said</th><th scope="col">IoU</th><th scope="col">the model expects</th><th scope="col">ms</th></tr></thead>
<tbody>${asked.map(row).join("\n")}</tbody></table></div>
</section>`;
}

/** A prompt in words: its latest part. */
function saidOf({ prompt: { points = [], labels = [], box } }: Asked): string {
  if (box) return `a box from (${box[0]}, ${box[1]}) to (${box[2]}, ${box[3]})`;
  const [x, y] = points.at(-1)!;
  if (points.length === 1) return `a click at (${x}, ${y})`;
  return `${labels.at(-1) === 1 ? "“this too”" : "“not this”"} at (${x}, ${y})`;
}

async function clipSection({ clip: { frames, objects, seed, msPerFrame }, ms }: Figures): Promise<string> {
  const encode = await webpEncoder(FRAME_QUALITY);
  const size = frames[0].width;
  const [first, ...rest] = frames.map((frame) => dataUri("image/webp", encode(frame)));
  const played = {
    msPerFrame,
    frames: rest, // the first one is on the page already
    objects: objects.map(({ found, truth, j, score, present }) => ({
      found: found.map((mask) => outline(mask, size)),
      truth: truth.map((mask) => outline(mask, size)),
      j,
      score,
      present,
    })),
  };
  const last = frames.length - 1;
  const layer = objects
    .map(
      ({ found, truth, click: [x, y] }, k) =>
        `<g class="object-${k + 1}"><path class="truth" d="${outline(truth[0], size)}"/><path class="mask" d="${outline(found[0], size)}"/>
<g class="point positive" transform="translate(${x} ${y}) scale(.7)"><circle r="12"/><path d="M-6 0h12M0-6v12"/></g></g>`,
    )
    .join("");
  return `<section aria-labelledby="clip-title" id="clip">
<h2 id="clip-title">The clip</h2>
<p>One click on each object in frame 0, then ${last} frames on memory alone: ${number(ms.track, (ms.track / 1000).toFixed(1), "track")} s in all. J is the IoU of a
frame's mask with the truth; of an object out of sight, 1 if nothing was found. The sign of the object score says whether the
object is in sight: bars without colour are wrong.</p>
<div class="film">
<div class="player">
<div class="screen"><img src="${first}" width="${size}" height="${size}" alt="Frame 0 of the clip, drawn from seed ${seed}"><canvas width="${size}" height="${size}" aria-hidden="true"></canvas>
<svg viewBox="0 0 ${size} ${size}" role="img" aria-label="Masks of the two objects over the frame">${layer}</svg></div>
<div class="controls">
<button type="button" id="play">play</button>
<input type="range" id="seek" min="0" max="${last}" value="0" aria-label="frame">
<output id="now" for="seek">0 / ${last}</output>
</div>
<p class="legend"><label><input type="checkbox" id="clip-masks" checked><i class="key mask-key"></i>found</label><label><input type="checkbox" id="clip-truth" checked><i class="key truth-key"></i>truth</label></p>
<noscript><p>The clip plays with JavaScript; beside this report, clip.webp plays without.</p></noscript>
</div>
<div class="objects">
${objects.map((track, k) => objectCard(track, k)).join("\n")}
</div>
</div>
${json("film", played)}
</section>`;
}

function objectCard(track: Tracked, k: number): string {
  const { code, name, summary: of, j } = track;
  const { top, bottom } = scoreRange(track);
  const last = j.length - 1;
  const gone = absences(track);
  const inWords = gone.map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)).join(", ");
  const marks = gone
    .filter(([from, to]) => to - from >= 2)
    .map(
      ([from, to]) =>
        `<span class="gone-mark" style="left:${(((from + to + 1) / 2 / j.length) * 100).toFixed(1)}%">gone</span>`,
    );
  const after = Number.isNaN(of.j_after_absence)
    ? ""
    : `<div><dt>J after it was gone</dt><dd>${number(of.j_after_absence, of.j_after_absence.toFixed(3), "after")}</dd></div>`;
  return `<article class="object-${k + 1}" data-object="${code}" aria-labelledby="object-${code}">
<h3 id="object-${code}"><i class="swatch"></i>object ${code}, ${name === "ellipse" ? "an" : "a"} ${name}</h3>
<dl class="facts"><div><dt>mean J</dt><dd>${number(of.j, of.j.toFixed(3), "j")}</dd></div>${after}
<div><dt>sign of the score right</dt><dd>${number(of.sign, `${(100 * of.sign).toFixed(0)} %`, "sign")}</dd></div>
<div><dt>not in sight</dt><dd>${gone.length === 0 ? "never" : `frame${inWords.includes(" ") ? "s" : ""} ${inWords}`}</dd></div></dl>
<p class="readout" aria-live="off"></p>
<div class="plot"><span class="axis">J</span><span class="scale"><b>1</b><b>0</b></span><div class="canvas tall">${plotJ(track)}${marks.join("")}<i class="playhead"></i></div></div>
<div class="plot"><span class="axis">score</span><span class="scale"><b>+${top}</b><b>−${bottom}</b></span><div class="canvas">${plotScore(track)}<i class="playhead"></i></div></div>
<div class="frames" aria-hidden="true"><b>0</b><b>frame</b><b>${last}</b></div>
</article>`;
}

function layerSection({ layers, model }: Figures): string {
  const far = farthest(layers);
  const total = totalOf(layers);
  const parity = far
    ? `Of the ${number(far.compared, `${far.compared}`, "compared")} that were compared with PyTorch, the farthest is
<code>${far.path}</code>: its largest difference |Δ| is ${scientific(far.share)} of σ, the standard deviation of PyTorch's values.`
    : "There is no comparison with PyTorch: golden/nano_layers.json is of other weights.";
  return `<section aria-labelledby="layers-title">
<h2 id="layers-title">The layers</h2>
<p>The scene and its first click on their way through ${model.name}, as <code>sam2 trace</code> shows it: ${layers.length} layers,
${total.gmac.toFixed(2)} billion multiply-adds, ${total.ms.toFixed(0)} ms; those of the memory serve clips alone. ${parity}</p>
<p class="controls"><button type="button" id="open-all">open all</button><button type="button" id="close-all">close all</button></p>
<div class="scroll tall" tabindex="0" role="region" aria-label="Layers">${layerTable(layers)}</div>
</section>`;
}

function originSection({ scene, clip, machine, model, ms }: Figures): string {
  const row = (term: string, text: string) => `<div><dt>${term}</dt><dd>${text}</dd></div>`;
  return `<section aria-labelledby="origin-title">
<h2 id="origin-title">How this came about</h2>
<dl class="origin">
${row("model", `${model.name}, ${(model.bytes / 1e6).toFixed(2)} MB, works at ${model.imageSize} × ${model.imageSize}; digest <code>${model.digest}</code>`)}
${row("picture", `seed ${scene.seed} of <code>models/nano/scenes.ts</code>, ${scene.width} × ${scene.height}`)}
${row("clip", `seed ${clip.seed}, frames 0 to ${clip.frames.length - 1}, ${clip.frames[0].width} × ${clip.frames[0].height}`)}
${row("machine", `${escaped(machine.cpu)}, ${machine.threads} threads, Node ${machine.node}`)}
${row("kernels", machine.chosen.map(escaped).join("<br>"))}
${row("time", `${number(ms.total, (ms.total / 1000).toFixed(1), "total")} s for all of it; ${number(ms.load, ms.load.toFixed(0), "load")} ms of that to load the model`)}
</dl>
<p>${model.name} has never seen a photo. For yours, get an official model:</p>
<pre tabindex="0"><code>npx sam2-ts download tiny
npx sam2-ts segment photo.jpg --point 500,375 --model tiny
npx sam2-ts everything photo.jpg --model tiny
npx sam2-ts track frames --object 1 --point 210,350 --model tiny</code></pre>
</section>`;
}
