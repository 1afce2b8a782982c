/** The features of the frame that was looked at last: encoded once, for all that is asked of it. */
import { crc32 } from "../io/crc32.ts";
import type { RgbImage } from "../io/image.ts";
import type { BackboneFeatures } from "../model/sam2.ts";
import type { Tracker } from "../model/tracker.ts";
import { machine } from "../runtime/machine.ts";
import { type Tensor, values } from "../tensor/view.ts";
import { preprocessFrame } from "./preprocess.ts";
import type { Graph, Sam2 } from "./sam2.ts";
import type { VideoState } from "./video_state.ts";

/** A frame that is to be encoded, unless its features are at hand. */
export type FrameImage = { image: RgbImage } | "encoded";

/** The image of a frame, unless its features are at hand; `step` is 1 or −1, where the next frame will be. */
export async function frameImage(
  state: VideoState,
  frame: number,
  step: number,
  signal?: AbortSignal,
): Promise<FrameImage> {
  if (state.features?.frame === frame) return "encoded";
  const image = await state.frames.read(frame, step, signal);
  return image ? { image } : "encoded";
}

/** Run the graph on the features of a frame. `attended` is its attention to itself, computed when first asked for. */
export function runOnFrame<R>(
  sam2: Sam2,
  state: VideoState,
  frame: number,
  source: FrameImage,
  signal: AbortSignal | undefined,
  forward: (features: BackboneFeatures, tracker: Tracker, attended: () => Tensor) => R,
): R {
  const result = sam2.run((graph) => {
    const features = source === "encoded" ? storedFeatures(sam2, state) : encode(state, frame, source.image, graph);
    let attended: Tensor | undefined;
    return forward(features, graph.tracker!, () => {
      attended ??= attendedFeatures(sam2, state, features, graph.tracker!);
      return attended;
    });
  }, signal);
  state.seen.set(frame, state.features!.checksum);
  return result;
}

function storedFeatures({ config }: Sam2, { features }: VideoState): BackboneFeatures {
  const { imageSize: S, dModel: D } = config;
  const { visionFeatures, highResFeats } = features!;
  const [high0, high1] = highResFeats;
  return {
    visionFeatures: machine.heap.from(visionFeatures, [1, S / 16, S / 16, D]),
    highResFeats: [
      machine.heap.from(high0, [1, S / 4, S / 4, D / 8]),
      machine.heap.from(high1, [1, S / 8, S / 8, D / 4]),
    ],
  };
}

function encode(state: VideoState, frame: number, image: RgbImage, { config, forwardImage }: Graph): BackboneFeatures {
  const features = machine.heap.scope(() => forwardImage(preprocessFrame(image, config.imageSize)));
  const [high0, high1] = features.highResFeats;
  const old = state.features; // its arrays serve again
  state.features = undefined;
  state.features = {
    frame,
    checksum: crc32(image.data),
    visionFeatures: keep(features.visionFeatures, old?.visionFeatures),
    highResFeats: [keep(high0, old?.highResFeats[0]), keep(high1, old?.highResFeats[1])],
  };
  return features;
}

function attendedFeatures({ config }: Sam2, state: VideoState, features: BackboneFeatures, tracker: Tracker): Tensor {
  const stored = state.features!;
  if (stored.attended) return machine.heap.from(stored.attended, [1, (config.imageSize / 16) ** 2, config.dModel]);
  const attended = machine.heap.scope(() => tracker.lookAround(features));
  stored.attended = keep(attended);
  return attended;
}

/** Copy a tensor off the heap. */
function keep(t: Tensor, into: Float32Array = new Float32Array(values(t).length)): Float32Array {
  into.set(values(t));
  return into;
}
