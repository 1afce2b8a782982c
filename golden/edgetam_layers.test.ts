// Every layer of a small EdgeTAM, image path and memory, against PyTorch.
import { goldenCases } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";

await goldenSuites(goldenCases("edge_small."), 1e-3);
