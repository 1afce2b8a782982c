// Every export of kernels.wasm (portable) and kernels_fma.wasm (relaxed fused multiply-add): one source, the same names.

/** First byte above the kernels' constants; the heap starts here. */
export function heap_base(): usize {
  return __heap_base;
}

export { gemm_f32, gemm_f32_4x8, gemm_f32_4x16, gemm_f32_6x8, gemm_f32_6x16, gemm_f32_pack, gemm_f32_pack_scratch, gelu_f32_6x16, mlp_f32, mlp_f32_scratch } from "./gemm";
export { conv2d_f32, conv2d_f32_scratch } from "./conv2d";
export { attention_f32, attention_f32_pack, attention_f32_scratch } from "./attention";
export {
  axial_attention_f32, axial_attention_f32_scratch, axial_f32_1x8, axial_f32_1x16, axial_f32_4x8, axial_f32_4x16, axial_f32_6x8, axial_f32_6x16,
  axial_scores_f32_1x8, axial_scores_f32_1x16, axial_scores_f32_2x8, axial_scores_f32_2x16, axial_scores_f32_3x8,
  axial_scores_f32_3x16, axial_scores_f32_4x8, axial_scores_f32_4x16,
} from "./axial";
export { peak_f32_128, peak_f32_256 } from "./peak";
export { above_u8, add_f32, affine_f32, cos_f32, exp2_f32, exp_f32, gelu_f32, mul_f32, pixels_f32, relu_f32, sigmoid_f32, sin_f32 } from "./elementwise";
export { layernorm_f32 } from "./norm";
export { softmax_f32 } from "./softmax";
export { places_f32, places_f32_scratch, places_merge_f32 } from "./places";
export { look_f32, look_f32_scratch } from "./look";
export { tell_f32, tell_f32_scratch } from "./tell";
export { paint_f32, paint_f32_scratch } from "./paint";
export { mask_bits, mask_bytes } from "./mask";
export { mask_codes, mask_extents } from "./mask_runs";
export { normalize_u8, resample_u8, resample_u8x3 } from "./pixels";
export { maxpool_f32_2x2 } from "./pool";
export { resample_f32 } from "./resample";
export { rope_f32 } from "./rope";
export { copy_f32, transpose_f32 } from "./layout";
export { dwconv_f32 } from "./dwconv";
