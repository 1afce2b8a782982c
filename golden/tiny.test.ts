// SAM 2 and 2.1 tiny at 1024×1024, stage by stage from pixels to masks, against PyTorch.
import { goldenCases } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";

await goldenSuites(goldenCases("tiny."), 1e-3);
