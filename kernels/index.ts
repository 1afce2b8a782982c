// Every export of kernels.wasm (portable) and kernels_fma.wasm (relaxed fused multiply-add): one source, the same names.

/** First byte above the kernels' constants; the heap starts here. */
export function heap_base(): usize {
  return __heap_base;
}

export { gemm_f32, gemm_f32_6x8, gemm_f32_6x16, gemm_f32_pack } from "./gemm";
export { conv2d_f32 } from "./conv2d";
export { attention_f32 } from "./attention";
export { peak_f32_128, peak_f32_256 } from "./peak";
