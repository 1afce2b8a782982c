import "../src/index.node.ts";
import { Control } from "../src/runtime/control.ts";
import { Weights } from "../src/io/weights.ts";
import { parameters } from "../src/model/parameters.ts";
import { variantConfig } from "../src/model/config.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { createMachine } from "../src/runtime/create.ts";
import { hashWeights } from "./hash_weights.ts";
let waitMs = 0, workMs = 0, calls = 0, failed = 0;
const close = Control.prototype.close, work = Control.prototype.work;
Control.prototype.close = function (p) { const t = performance.now(); const r = close.call(this, p); const d=performance.now() - t; waitMs += d; calls++; if (d > 20) failed++; return r; };
Control.prototype.work = function (a, b) { const t = performance.now(); work.call(this, a, b); workMs += performance.now() - t; };
const config = { ...variantConfig("tiny", "2.1"), imageSize: 512 };
for (const threads of [1, 2]) {
  const machine = await createMachine({ kernels: "auto", threads, tile: "6x8" });
  const model = new Sam2(machine, new Weights(hashWeights(parameters(config)), machine.heap), config);
  await new Promise(r => setTimeout(r, 1500));
  for (let i = 0; i < 4; i++) {
    waitMs = workMs = calls = failed = 0;
    const t = performance.now();
    const cpu = process.cpuUsage();
    model.run(({ forwardImage }) => { const x = machine.heap.alloc([1,512,512,3]); x.data.fill(0.5); forwardImage(x); });
    const c = process.cpuUsage(cpu);
    console.log(threads, "threads", Math.round(performance.now() - t), "ms", { waitMs, workMs, calls, slow: failed, cpu: (c.user + c.system) / 1000 });
  }
  model.dispose();
}
