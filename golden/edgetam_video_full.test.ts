// EdgeTAM at 1024×1024 through a clip with two objects, until the memory bank is full, against its video predictor.
import { goldenClips } from "./manifest.ts";
import { clipSuites } from "./video_suite.ts";

await clipSuites(goldenClips("edgetam."), ["auto"]);
