// EdgeTAM at 512×512: an image stage by stage, its memory's layers, and a film of two objects, against PyTorch.
import { goldenCases, goldenClips } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await goldenSuites(goldenCases("edgetam_512."), 1e-3);
await clipSuites(goldenClips("edgetam_512."), ["auto"]);
