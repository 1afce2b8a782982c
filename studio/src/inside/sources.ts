/** Which lines of the source a layer runs. */
import type { LayerTrace } from "sam2-ts";
import type { Node } from "./tree.ts";

export interface LayerSource {
  /** of the reference; empty if the function makes layers of several classes */
  class: string;
  /** the function that makes the layer */
  builder: string;
  file: string;
  /** of the file, from 1 */
  line: number;
  /** what it computes, in the words of the source */
  about: string;
  code: string;
}

/** Of the build, see layer_sources.ts. */
declare const __LAYER_SOURCES__: LayerSource[];

/** The source of a layer; of several of its class, the one in the file of the layer around it. */
export function sourceOf(node: Node, sources: readonly LayerSource[] = __LAYER_SOURCES__): LayerSource | undefined {
  const { layer, parent } = node;
  if (!layer) return undefined;
  const [base] = layer.class.split("+");
  const builder = base === "Conv2d" ? convolution(layer) : BUILDERS[base];
  const found = sources.filter((one) => (builder ? one.builder === builder : one.class === base));
  const around = parent && sourceOf(parent, sources)?.file;
  return found.find(({ file }) => file === around) ?? found[0];
}

/** Of classes that share a function. */
const BUILDERS: Record<string, string> = { Linear: "affineLayer", LayerNorm: "layerNorm", LayerNorm2d: "layerNorm" };

/** Three functions make a Conv2d; how many weights it has tells which. */
function convolution({ inputs, output, parameters }: LayerTrace): string {
  const products = inputs[0].at(-1)! * (output as number[]).at(-1)!;
  if (parameters < products) return "depthwiseConv2d";
  return parameters <= products + (output as number[]).at(-1)! ? "conv1x1" : "conv2d";
}
