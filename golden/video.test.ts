// Whole scenarios against the official video predictor: clicks, boxes, masks, corrections, objects that come late, go, or
// hide, several conditioning frames, a pass backward.
import { goldenClips } from "./manifest.ts";
import { TABLES } from "./suite.ts";
import { clipSuites } from "./video_suite.ts";

await clipSuites(goldenClips("small_"), TABLES);
