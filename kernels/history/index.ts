// Kernels that were replaced, beside those that replaced them: build/history/, which is not shipped.

/** First byte above the kernels' constants. */
export function heap_base(): usize {
  return __heap_base;
}

export { gemm_f32_6x8_v1, gemm_f32_6x8_v2, gemm_f32_6x16_v1, gemm_f32_6x16_v2 } from "./gemm";
export { gemm_f32_6x8, gemm_f32_6x16, pack_panel } from "../gemm";
export { attention_f32_v1, attention_f32_v2 } from "./attention";
export { attention_f32 } from "../attention";
