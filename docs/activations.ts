/** What nano computes on the tour's picture and clip, copied off its heap: the data of the figures. */
import { iou } from "../models/nano/scoring.ts";
import { visibleMaps, visiblePointers } from "../src/model/memory_bank.ts";
import type { PromptEmbeddings } from "../src/model/prompt_encoder.ts";
import { type LayerEvent, watch } from "../src/nn/layer.ts";
import { resize } from "../src/nn/resize.ts";
import { promptPoints } from "../src/predict/prompt.ts";
import { preprocess } from "../src/predict/preprocess.ts";
import { type FrameResult, VideoPredictor } from "../src/predict/video_predictor.ts";
import { machine } from "../src/runtime/machine.ts";
import type { Shape } from "../src/tensor/shape.ts";
import { at, reshape, select, type Tensor, values } from "../src/tensor/view.ts";
import { clickedScene, clip, loadNano } from "./nano.ts";

/** Values that live on after the layer. */
export interface Kept {
  shape: Shape;
  data: Float32Array;
}

/** softmax(scale·q·kᵀ) of every head and query that is asked for. */
export interface AttentionWeights {
  heads: number;
  queries: number;
  /** over the keys */
  of(head: number, query: number): Float64Array;
}

function keep(tensor: Tensor): Kept {
  return { shape: [...tensor.shape], data: values(tensor).slice() };
}

/** Copies queries and keys when an attention is about to run; the layer around it names them when it ends. */
class AttentionLog {
  readonly byPath = new Map<string, AttentionWeights>();
  #latest?: AttentionWeights;

  readonly note = (q: Tensor, k: Tensor, scale: number): void => {
    const rows = (t: Tensor) =>
      Array.from({ length: t.shape[1] }, (_, h) =>
        Array.from({ length: t.shape[2] }, (_, n) => Array.from({ length: t.shape[3] }, (_, c) => at(t, 0, h, n, c))),
      );
    const [Q, K] = [rows(q), rows(k)];
    this.#latest = {
      heads: Q.length,
      queries: Q[0].length,
      of(head, query) {
        const scores = K[head].map((key) => scale * key.reduce((sum, value, c) => sum + value * Q[head][query][c], 0));
        const most = Math.max(...scores);
        const weights = Float64Array.from(scores, (score) => Math.exp(score - most));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        return weights.map((weight) => weight / total);
      },
    };
  };

  readonly see = ({ path, class: name }: LayerEvent): void => {
    if (name.endsWith("Attention") && this.#latest && /attn/.test(path)) this.byPath.set(path, this.#latest);
  };
}

/** One click on the tour's picture. */
export async function photoActivations() {
  const log = new AttentionLog();
  const sam2 = await loadNano({ onAttention: log.note });
  const { picture, target, click } = clickedScene();
  const { imageSize: S } = sam2.config;
  const outputs = new Map<string, Kept[]>();
  const windows: { path: string; count?: number; size?: number; H: number }[] = [];
  let position: Kept | undefined;
  let prompts: { sparse: Kept } | undefined;
  let found: Uint8Array[] = [];
  const heads: { masks?: Kept; ious?: Kept } = {};

  await watch(
    (event) => {
      log.see(event);
      const { path, class: name, args, output } = event;
      if (name === "PatchEmbed") position = keep((args[1] as { residual: Tensor }).residual);
      if (name === "MultiScaleAttention") {
        const [x, plan] = args as [Tensor, { windows?: { count: number; size: number } }];
        windows.push({ path, H: x.shape[1], count: plan.windows?.count, size: plan.windows?.size });
      }
      if (name === "PromptEncoder") prompts = { sparse: keep((output as PromptEmbeddings).sparse) };
      if (["Hiera", "FpnNeck"].includes(name)) outputs.set(path, (output as Tensor[]).map(keep));
      if (name === "Sequential") outputs.set(path, [keep(output as Tensor)]);
      if (name === "MaskDecoder") {
        const decoded = output as { masks: Tensor; ious: Tensor };
        Object.assign(heads, { masks: keep(decoded.masks), ious: keep(decoded.ious) });
      }
    },
    () =>
      sam2.run(({ forwardImage, withoutMemory, predictMasks }) => {
        const features = withoutMemory(forwardImage(preprocess(picture, S)));
        const { width, height } = picture;
        const points = promptPoints(
          { points: [click] },
          { width, height, imageSize: S, normalizeCoords: true },
          machine.heap,
        );
        const { masks } = predictMasks(features, points, undefined, true);
        found = [0, 1, 2].map((k) => {
          const logits = reshape(select(select(masks, 0, 0), 0, k), [1, S / 4, S / 4, 1]);
          return Uint8Array.from(values(resize(logits, height, width, "bilinear")), (logit) => Number(logit > 0));
        });
      }),
  );
  const ious = [...heads.ious!.data];
  return {
    sam2,
    digest: sam2.digest,
    picture,
    target,
    click,
    position: position!,
    windows,
    tokens: prompts!.sparse.shape,
    stages: outputs.get("image_encoder.trunk")!,
    levels: outputs.get("image_encoder.neck")!,
    upscaled: outputs.get("sam_mask_decoder.output_upscaling")![0],
    masks: heads.masks!,
    /** the masks at the size of the picture */
    found,
    ious,
    best: ious.indexOf(Math.max(...ious)),
    attention: log.byPath,
  };
}

/** The hero of the tour's clip, followed from one click. */
export async function clipActivations() {
  const log = new AttentionLog();
  const sam2 = await loadNano({ onAttention: log.note });
  const { frames, truth, click } = clip();
  const predictor = new VideoPredictor(sam2);
  const state = await predictor.initState(frames);
  const results: (FrameResult["objects"][number] & { iou: number })[] = [];
  /** of the latest frame */
  const encoder = new Map<string, Kept>();

  await watch(
    (event) => {
      log.see(event);
      const { path, args, output } = event;
      if (path === "memory_encoder") encoder.set("mask", keep(args[1] as Tensor));
      if (/^memory_encoder(\.mask_downsampler|\.pix_feat_proj)?$/.test(path)) encoder.set(path, keep(output as Tensor));
    },
    async () => {
      await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [click] });
      for await (const { frame, objects } of predictor.propagateInVideo(state)) {
        results.push({ ...objects[0], iou: iou(objects[0].mask, truth[frame]) });
      }
    },
  );
  const last = frames.length - 1;
  const { bank, cond, nonCond } = state.objects.get(1)!;
  const at = { frame: last, numFrames: frames.length, reverse: false };
  const all = [...cond, ...nonCond];
  const maps = visibleMaps(bank, at, sam2.config.numMaskmem).map(({ tPos, memory }) => ({
    tPos,
    frame: all.find(([, one]) => one === memory)![0],
  }));
  return {
    config: sam2.config,
    frames,
    click,
    results,
    last,
    maps,
    pointers: visiblePointers(bank, at).length,
    encoder,
    attention: log.byPath,
  };
}
