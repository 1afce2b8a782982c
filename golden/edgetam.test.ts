// EdgeTAM at 1024×1024, stage by stage from pixels to a mask and from a mask to a memory, against PyTorch.
import { goldenCases } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";

await goldenSuites(goldenCases("edgetam."), 1e-3);
