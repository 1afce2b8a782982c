// node.ts JOB: one stage in Node; prints a line of JSON.
import { nodePlatform } from "../../src/platform/node.ts";
import { setPlatform } from "../../src/platform/platform.ts";
import { carryOut, type Job } from "./job.ts";
import { type Ort, onnxruntime } from "./onnxruntime.ts";
import { ours } from "./ours.ts";

const job: Job = JSON.parse(process.argv[2]);
setPlatform(nodePlatform);
nodePlatform.prepareWasm(); // the same flags of the engine for onnxruntime-web
const stage = job.peer === "sam2-ts" ? await ours(job) : await onnxruntime((await import(job.peer)) as Ort, job);
const result = await carryOut(stage, job);
const line = JSON.stringify({ ...result, peakBytes: process.resourceUsage().maxRSS * 1024 });
process.stdout.write(line, () => process.exit()); // helper threads of onnxruntime-web would go on
