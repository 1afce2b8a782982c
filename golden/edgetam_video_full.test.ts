// EdgeTAM at 1024×1024 through a clip of twelve frames with two objects, forward and back, against its video predictor.
import { goldenClips } from "./manifest.ts";
import { clipSuites } from "./video_suite.ts";

await clipSuites(goldenClips("edgetam."), ["auto"]);
