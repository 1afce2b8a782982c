// The bench in a worker of a page: a page's main thread may not wait for other threads.
import { usePagePlatform } from "./page_platform.ts";
import { type Job, run } from "./run.ts";

usePagePlatform();
addEventListener("message", async ({ data: job }: MessageEvent<Job>) => {
  try {
    postMessage({ results: await run(job, (line) => postMessage({ line })) });
  } catch (error) {
    reportError(error);
  }
});
