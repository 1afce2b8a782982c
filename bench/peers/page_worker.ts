// One stage in a worker of a page: a page's main thread may not wait for other threads.
import { usePagePlatform } from "../page_platform.ts";
import { carryOut, type Job } from "./job.ts";
import { type Ort, onnxruntime } from "./onnxruntime.ts";
import { ours } from "./ours.ts";

/** As chromium.ts serves them. transformers.js imports `onnxruntime-web/webgpu`, for WebAssembly too. */
const ORT: Record<string, string> = {
  "onnxruntime-web": "/onnxruntime-web/ort.wasm.min.mjs",
  "onnxruntime-web-of-transformers": "/onnxruntime-web-of-transformers/ort.webgpu.min.mjs",
};

usePagePlatform();
addEventListener("message", async ({ data: job }: MessageEvent<Job>) => {
  try {
    const open = async () => onnxruntime((await import(/* @vite-ignore */ ORT[job.peer])) as Ort, job);
    const stage = await (job.peer === "sam2-ts" ? ours(job) : open());
    postMessage(await carryOut(stage, job));
  } catch (error) {
    reportError(error);
  }
});
