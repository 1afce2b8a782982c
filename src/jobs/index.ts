/**
 * Many jobs, each done once: on the cores of this machine by a {@link Pool}, or on several machines by a
 * {@link QueueRunner} and {@link createWorker}. For Node.
 *
 * @packageDocumentation
 */
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";

setPlatform(nodePlatform);

export { type BatchInput, type InputOptions, openInput } from "./batch_input.ts";
export type { ReadFile } from "./entries.ts";
export type { FrameLine, ObjectLine } from "./frame_line.ts";
export { type ImageContext, ImageModel, type JobContext, runImageJob } from "./image_job.ts";
export type {
  ImageResult,
  MaskResult,
  PromptResult,
  PromptsResult,
  RecordResult,
  RecordsResult,
  ResultHead,
  ResultModel,
} from "./image_result.ts";
export { type EverythingRequest, type ImageJob, type ImageRequest, type Job, parseJob, type VideoJob } from "./job.ts";
export { nodeSource } from "./node_source.ts";
export { Pool, type PoolOptions } from "./pool.ts";
export type { ProcessOptions } from "./pool_messages.ts";
export type { JobResult } from "./process.ts";
export type { MaskField } from "./mask_source.ts";
export type { JsonPrompt } from "./prompts.ts";
export { type QueueOptions, QueueRunner } from "./queue.ts";
export { createWorker, type QueueWorker, type WorkerOptions } from "./queue_worker.ts";
export { type GivenJob, type Outcome, runJobs, type RunJobsOptions } from "./run_jobs.ts";
export type { Ending, RunContext, Runner } from "./runner.ts";
export { type BatchSummary, Store } from "./store.ts";
export type { ModelIdentity, Source, Task, TaskFile } from "./task.ts";
export type { JsonTrackPrompt } from "./track_prompts.ts";
export { runVideoJob, type SavedState, type VideoContext } from "./video_job.ts";
