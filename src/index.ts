/**
 * Segment Anything 2 in TypeScript and WebAssembly.
 *
 * @packageDocumentation
 */
export * from "./errors.ts";
export type { CheckpointSource } from "./io/checkpoint.ts";
export { type DecodeOptions, decodeImage, type RgbImage, toRgb } from "./io/image.ts";
export type { ImageInput } from "./io/image_input.ts";
export type { Sam2Config, VariantName, Version } from "./model/config.ts";
export {
  ImagePredictor,
  type ImagePredictorOptions,
  type Prediction,
  type PredictOptions,
} from "./predict/image_predictor.ts";
export type { Prompt } from "./predict/prompt.ts";
export { type LoadOptions, Sam2 } from "./predict/sam2.ts";
