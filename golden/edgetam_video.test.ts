// EdgeTAM through clips of twelve frames with two objects, forward and back, against its video predictor.
import { goldenClips } from "./manifest.ts";
import { TABLES } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await clipSuites(goldenClips("edge_small."), TABLES);
