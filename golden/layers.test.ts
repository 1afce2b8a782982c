// Every layer of two small configurations that walk all code paths, against PyTorch.
import { goldenCases } from "./manifest.ts";
import { goldenSuites } from "./suite.ts";

await goldenSuites(goldenCases("small_"));
