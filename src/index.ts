/**
 * Segment Anything 2 in TypeScript and WebAssembly: load a model with {@link Sam2.fromPretrained}, then ask an
 * {@link ImagePredictor}, an {@link AutomaticMaskGenerator} or a {@link VideoPredictor}.
 *
 * Coordinates are (x, y) in pixels of the original image, the origin is its top left corner. Masks and pixels are stored
 * row by row, tensors channels last. What is thrown on purpose is a {@link Sam2Error}, which says what was expected, what
 * came, and what to do; an aborted call rejects with the reason of its signal.
 *
 * @packageDocumentation
 */
export type { CallOptions } from "./engine/engine.ts";
export { AutomaticMaskGenerator } from "./engine/automatic_mask_generator.ts";
export { ImagePredictor } from "./engine/image_predictor.ts";
export { type LoadOptions, Sam2 } from "./engine/sam2.ts";
export { VideoPredictor } from "./engine/video_predictor.ts";
export { VideoState } from "./engine/video_state.ts";
export * from "./errors.ts";
export { boundaryF } from "./evaluate/boundary.ts";
export { jaccard } from "./evaluate/jaccard.ts";
export { type CachedModel, cachedModels, deleteCachedModel } from "./io/cached_models.ts";
export type { CheckpointSource } from "./io/checkpoint.ts";
export type { AnnotatedImage, AnnotatedObject } from "./io/formats/annotations.ts";
export { type CocoOptions, type CocoSegmentation, readCocoSegmentation } from "./io/formats/coco.ts";
export { ANNOTATION_FORMATS, type AnnotationFormat, writeAnnotations } from "./io/formats/write.ts";
export { pcaColours, signedColours } from "./io/feature_colours.ts";
export { type DecodeOptions, decodeImage, type RgbImage, toRgb } from "./io/image.ts";
export type { Drawable } from "./io/canvas.ts";
export type { ImageInput, NdImage, PixelArray, SharpOutput } from "./io/image_input.ts";
export { DAVIS_PALETTE, encodeCutoutPng, encodeMaskPng, encodePalettePng, type Mask, maskBounds } from "./io/masks.ts";
export { type MaskFile, maskOfId, readMaskFile } from "./io/mask_file.ts";
export { type DrawnPrompt, overlay } from "./io/overlay.ts";
export type { Pixels } from "./io/pixels.ts";
export { encodePng } from "./io/png.ts";
export { maskToPolygons } from "./io/polygons.ts";
export { decodeRle, encodeRle, type Rle, rleArea, rleBbox, type UncompressedRle } from "./io/rle.ts";
export type { EdgeTamConfig, HieraConfig, Sam2Config, VariantName, Version } from "./model/config.ts";
export type { AutomaticMaskGeneratorOptions, MaskThresholds } from "./predict/automatic_mask_options.ts";
export type { MaskRecord } from "./predict/mask_records.ts";
export type { IndexedFrames } from "./video/list.ts";
export type { FrameInput } from "./video/open.ts";
export type { FrameReader, FrameStream } from "./video/stream.ts";
export type { VideoFrameLike } from "./video/video_frame.ts";
export type { ImagePredictorOptions, Prediction, PredictOptions, TraceOptions } from "./predict/image_predictor.ts";
export type { MaskArray } from "./predict/mask_arrays.ts";
export type { Progress } from "./predict/progress.ts";
export type { Prompt } from "./predict/prompt.ts";
export type { LayerTrace } from "./predict/trace.ts";
export type { KernelChoice } from "./runtime/create.ts";
export type {
  FrameResult,
  InitOptions,
  LoadStateOptions,
  NewMask,
  NewPoints,
  ObjectResult,
  Place,
  PropagateOptions,
  VideoPredictorOptions,
} from "./predict/video_predictor.ts";
