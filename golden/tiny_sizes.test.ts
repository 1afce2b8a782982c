// SAM 2.1 tiny at sizes that it was not trained for, 256, 640 and 768: stage by stage, and a clip of tracked frames with memory,
// against PyTorch.
import { goldenCases, goldenClips } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await goldenSuites(goldenCases("tiny_256."), 1e-3);
await goldenSuites(goldenCases("tiny_640."), 1e-3);
await goldenSuites(goldenCases("tiny_768."), 1e-3);
await clipSuites(["tiny_256.", "tiny_640.", "tiny_768."].flatMap(goldenClips), ["auto"]);
