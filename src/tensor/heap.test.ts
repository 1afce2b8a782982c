import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HeapError } from "../errors.ts";
import { Heap } from "./heap.ts";
import { at, narrow, type Tensor } from "./view.ts";

const MIB = 2 ** 20;

function newHeap(maxBytes = 64 * MIB): Heap {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: Math.ceil(maxBytes / 65536), shared: true });
  return new Heap(memory, 1040, maxBytes);
}

const address = (t: Tensor) => t.data.byteOffset;

const HeapTests = suite("heap");

HeapTests("tensors lie above the base, at multiples of 64 bytes, and do not overlap", () => {
  const heap = newHeap();
  const tensors = [[3], [1], [0], [5, 7], [16]].map((shape) => heap.alloc(shape));
  const bytes = heap.allocUint8(1);
  const integers = heap.allocInt32(17);
  const blocks = [...tensors.map((t) => t.data), bytes, integers];
  let end = 1040;
  for (const block of blocks) {
    assert.ok(block.byteOffset >= end);
    assert.is(block.byteOffset % 64, 0);
    end = block.byteOffset + block.byteLength;
  }
  assert.is(heap.bytesInUse, 64 + 64 + 64 + 192 + 64 + 64 + 128);
});

HeapTests("a scope frees what was cut inside it, except what it returns, in arrays and objects too", () => {
  const heap = newHeap();
  const outer = heap.alloc([100]);
  const before = heap.bytesInUse;
  const { a, list } = heap.scope(() => {
    heap.alloc([5000]);
    return { a: heap.alloc([16]), list: [heap.alloc([16]), undefined], outer };
  });
  assert.is(heap.bytesInUse, before + 128);
  heap.free(a);
  heap.free(list[0]!);
  heap.free(outer);
  assert.is(heap.bytesInUse, 0);
});

HeapTests("what an inner scope returns belongs to the scope around it", () => {
  const heap = newHeap();
  heap.scope(() => {
    const kept = heap.scope(() => heap.alloc([16]));
    assert.is(heap.bytesInUse, 64);
    assert.is(
      heap.scope(() => kept),
      kept,
    );
    assert.is(heap.bytesInUse, 64, "passing a tensor of an outer scope through an inner one keeps it");
  });
  assert.is(heap.bytesInUse, 0);
});

HeapTests("a view keeps the block it looks at", () => {
  const heap = newHeap();
  const view = heap.scope(() => narrow(heap.from(Float32Array.of(1, 2, 3, 4), [4]), 0, 2, 2));
  heap.alloc([4]).data.fill(9);
  assert.equal([at(view, 0), at(view, 1)], [3, 4]);
});

HeapTests("a scope that throws frees all it cut", () => {
  const heap = newHeap();
  const thrown = () =>
    heap.scope(() => {
      heap.scope(() => heap.alloc([16]));
      heap.alloc([1000]);
      throw new RangeError("stop");
    });
  assert.throws(thrown, /^stop$/);
  assert.is(heap.bytesInUse, 0);
});

HeapTests("free blocks join their neighbours in any order of freeing", () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
  ]) {
    const heap = newHeap();
    const tensors = [0, 1, 2].map(() => heap.alloc([64]));
    heap.alloc([1]); // what follows the three stays apart
    for (const i of order) heap.free(tensors[i]);
    assert.is(address(heap.alloc([192])), address(tensors[0]), `${order}`);
  }
});

HeapTests("the lowest free block that fits is taken", () => {
  const heap = newHeap();
  const [first, , second] = [heap.alloc([32]), heap.alloc([1]), heap.alloc([64]), heap.alloc([1])];
  heap.free(first);
  heap.free(second);
  assert.is(address(heap.alloc([64])), address(second));
  assert.is(address(heap.alloc([16])), address(first));
});

HeapTests("the memory grows on demand, and tensors made before stay valid", () => {
  const heap = newHeap();
  const early = heap.from(Float32Array.of(1, 2, 3), [3]);
  const big = heap.alloc([8 * MIB]); // 32 MiB
  big.data[big.data.length - 1] = 5;
  early.data[0] = 7;
  assert.equal([...new Float32Array(heap.memory.buffer, address(early), 3)], [7, 2, 3]);
  assert.is(big.data.buffer.byteLength, heap.memory.buffer.byteLength);
});

HeapTests("growth joins the free rest at the end of the memory", () => {
  const heap = newHeap(32 * MIB);
  const size = (31 * MIB) / 4;
  heap.free(heap.alloc([size]));
  heap.free(heap.alloc([size]));
  assert.is(heap.bytesInUse, 0);
});

HeapTests("beyond the limit: a HeapError that tells what was wanted, what is in use and what to do", () => {
  const heap = newHeap(4 * MIB);
  heap.alloc([MIB / 2]);
  const failed = () => heap.alloc([MIB]);
  assert.throws(
    failed,
    (error: Error) => error instanceof HeapError && /4 MiB wanted with 2 MiB in use/.test(error.message),
  );
  heap.alloc([MIB / 4]);
});

HeapTests("freeing twice, or what is not of this heap, is an error", () => {
  const heap = newHeap();
  const t = heap.alloc([4]);
  heap.free(t);
  assert.throws(
    () => heap.free(t),
    (error: Error) => error instanceof HeapError && /free each tensor once/.test(error.message),
  );
});

HeapTests("peakBytes is the most in use since the last reset", () => {
  const heap = newHeap();
  heap.alloc([16]);
  heap.scope(() => heap.alloc([1600]) && undefined);
  assert.is(heap.peakBytes, 64 + 6400);
  heap.resetPeak();
  assert.is(heap.peakBytes, 64);
  heap.scope(() => heap.alloc([32]) && undefined);
  assert.is(heap.peakBytes, 64 + 128);
  heap.resetPeak(5000);
  assert.is(heap.peakBytes, 5000);
});

HeapTests("10 000 random allocations and frees never overlap, and all comes back", () => {
  const heap = newHeap();
  const live: Tensor[] = [];
  let seed = 1;
  const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let step = 0; step < 10_000; step++) {
    if (live.length > 50 || (live.length && next() < 0.45)) {
      const [t] = live.splice(Math.floor(next() * live.length), 1);
      const mark = t.data[0];
      assert.ok(t.data.every((value) => value === mark));
      heap.free(t);
    } else {
      const t = heap.alloc([1 + Math.floor(next() ** 3 * 2000)]);
      t.data.fill(step);
      live.push(t);
    }
  }
  for (const t of live) heap.free(t);
  assert.is(heap.bytesInUse, 0);
  assert.is(address(heap.alloc([16])), 1088);
});

HeapTests.run();
