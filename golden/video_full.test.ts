// SAM 2 and 2.1 tiny at 1024×1024 through the first frames of a clip, against the official video predictor.
import { goldenClips } from "./manifest.ts";
import { clipSuites } from "./video_suite.ts";

await clipSuites(goldenClips("tiny."), ["auto"]);
