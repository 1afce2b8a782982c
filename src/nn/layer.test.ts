import "../index.node.ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Weights } from "../io/weights.ts";
import { createMachine } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { values } from "../tensor/view.ts";
import { add } from "./elementwise.ts";
import { type LayerEvent, layer, watch } from "./layer.ts";
import { full } from "./layout.ts";
import { linear } from "./linear.ts";

const machine = await createMachine({ kernels: "reference" });
const tensors = new Map(
  Object.entries({ "net.proj.weight": [3, 2], "net.proj.bias": [3] }).map(([name, shape]) => [
    name,
    { dtype: "F32" as const, shape, read: (into: Float32Array) => void into.fill(1) },
  ]),
);
const { net, proj } = withMachine(machine, () => {
  const w = new Weights(tensors, machine.heap).at("net");
  const proj = linear(w.at("proj"), 2, 3);
  return { proj, net: layer(w, "Net", (n: number) => add(proj(full([n, 2], 1)), full([3], 10))) };
});

const Layer = suite("layer");

Layer("frees all but its result, and the result outside of every scope lives until it is freed", () => {
  withMachine(machine, () => {
    const before = machine.heap.bytesInUse;
    const y = net(4);
    assert.is(machine.heap.bytesInUse - before, 64); // 4×3 floats in one cache line
    assert.equal([...values(y)], Array(12).fill(13));
    machine.heap.free(y);
    assert.is(machine.heap.bytesInUse, before);
  });
});

Layer("tells path, class, order, work, parameters and peak memory of itself and of the layers inside", async () => {
  const events: LayerEvent[] = [];
  const before = machine.heap.bytesInUse;
  await watch(
    (event) => events.push({ ...event }),
    () => withMachine(machine, () => machine.heap.scope(() => void net(4))),
  );
  assert.equal(
    events.map(({ path, class: name, order, macs, parameters }) => ({ path, name, order, macs, parameters })),
    [
      { path: "net.proj", name: "Linear", order: 1, macs: 24, parameters: 9 },
      { path: "net", name: "Net", order: 0, macs: 24, parameters: 9 },
    ],
  );
  assert.is(events[1].peakBytes - before, 4 * 64); // input, projection, constant, sum
  assert.ok(events[1].ms >= events[0].ms);
});

Layer("frees everything and passes the error on when the forward pass throws", () => {
  withMachine(machine, () => {
    const before = machine.heap.bytesInUse;
    assert.throws(() => proj(full([1, 5], 0)), /net\.proj: expected \[2\], got \[5\]/);
    machine.heap.scope(() => assert.throws(() => proj(full([1, 5], 0))));
    assert.is(machine.heap.bytesInUse - before, 64); // the argument of the first call, made outside of a scope
  });
});

Layer("stops with the signal's reason before it starts", () => {
  withMachine(machine, () => {
    machine.signal = AbortSignal.abort(new Error("enough"));
    try {
      assert.throws(() => net(1), /enough/);
    } finally {
      machine.signal = undefined;
    }
  });
});

Layer.run();
