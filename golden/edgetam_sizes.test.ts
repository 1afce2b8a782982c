// EdgeTAM at 256×256 and 768×768: an image stage by stage, its memory's layers, and a film of two objects, against PyTorch.
import { goldenCases, goldenClips } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await goldenSuites(goldenCases("edgetam_256."), 1e-3);
await goldenSuites(goldenCases("edgetam_768."), 1e-3);
await clipSuites(["edgetam_256.", "edgetam_768."].flatMap(goldenClips), ["auto"]);
