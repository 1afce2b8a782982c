import { Control, type HelperStart, type TileKernel } from "./control.ts";

/**
 * A helper thread: an instance of the module on the shared memory, which says when it is ready and then runs tiles until
 * the thread is stopped.
 */
export function help({ module, memory, control, scratch }: HelperStart, post: (message: "ready") => void): never {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const kernels = WebAssembly.Module.exports(module).map(({ name }) => exports[name] as TileKernel);
  post("ready");
  return new Control(control).serve(kernels, scratch);
}
