// Every export of kernels.wasm (portable) and kernels_fma.wasm (relaxed fused multiply-add): one source, the same names.

/** First byte above the kernels' constants; the heap starts here. */
export function heap_base(): usize {
  return __heap_base;
}
