// EdgeTAM at 256×256 and 768×768: an image stage by stage, its memory's layers, and a film of two objects, against PyTorch.
import { goldenCases, goldenClips } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

const NAMES = ["edgetam_256.", "edgetam_768."];
await goldenSuites(NAMES.flatMap(goldenCases), 1e-3);
await clipSuites(NAMES.flatMap(goldenClips), ["auto"]);
