// SAM 2.1 tiny at 512×512: an image stage by stage, and a clip of tracked frames with memory, against PyTorch.
import { goldenCases, goldenClips } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await goldenSuites(goldenCases("tiny_512."), 1e-3);
await clipSuites(goldenClips("tiny_512."), ["auto"]);
