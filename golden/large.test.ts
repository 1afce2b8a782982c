// SAM 2 and 2.1 large at 1024×1024, stage by stage from pixels to masks, against PyTorch.
import { goldenCases } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";

await goldenSuites(goldenCases("large."), 1e-3);
