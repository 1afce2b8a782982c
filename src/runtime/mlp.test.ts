import { suite } from "uvu";
import * as assert from "uvu/assert";
import { builds, difference, onHeap } from "../../tests/tables.ts";
import { narrow } from "../tensor/view.ts";
import type { Epilogue, Product } from "./kernels.ts";
import { reference } from "./reference.ts";

const SIZES = [
  // M, K, H, N
  [0, 3, 5, 4],
  [1, 1, 1, 1],
  [7, 5, 17, 3],
  [97, 13, 48, 16],
  [203, 20, 37, 50],
  [300, 1030, 16, 20],
  [110, 6, 11_000, 16], // so many hidden channels that fewer rows fit in the scratch
] as const;

const Mlp = suite("mlp");

for (const { tables, heap } of builds) {
  for (const kernels of tables) {
    for (const activation of ["relu", "gelu"] as const) {
      Mlp(`${kernels.name} with ${activation} gives the bits of two products, at odd and empty sizes`, () => {
        for (const [M, K, H, N] of SIZES) {
          onHeap(heap, (fill) => {
            const product = (n: number, k: number, epilogue: Epilogue): Product => {
              return { weight: kernels.pack(fill([Math.ceil(n / 16) * 16, k]), n), epilogue };
            };
            const first = product(H, K, { bias: fill([H]), activation });
            const second = product(N, H, { bias: fill([N]), residual: narrow(fill([M, N + 3]), 1, 2, N) });
            const a = narrow(fill([M, K + 5]), 1, 1, K);
            const [hidden, want] = [fill([M, H]), fill([M, N])];
            kernels.gemm(hidden, a, first.weight, first.epilogue);
            kernels.gemm(want, hidden, second.weight, second.epilogue);
            const got = fill([M, N]);
            kernels.mlp(got, a, first, second);
            assert.is(difference(got, want), 0, `${M}×${K}, ${H} hidden, ${N}`);
          });
        }
      });
    }

    Mlp(`${kernels.name} is within 2e-6 of the oracle, without biases and residual too`, () => {
      const [M, K, H, N] = [130, 24, 40, 20];
      onHeap(heap, (fill) => {
        const [w1, w2] = [fill([48, K]), fill([32, H])];
        const copies = [heap.from(w1.data, [48, K]), heap.from(w2.data, [32, H])];
        const [a, got, want] = [fill([M, K]), fill([M, N]), fill([M, N])];
        const both = ({ pack }: typeof kernels, one = w1, two = w2): [Product, Product] => [
          { weight: pack(one, H), epilogue: { activation: "relu" } },
          { weight: pack(two, N), epilogue: {} },
        ];
        reference.mlp(want, a, ...both(reference));
        kernels.mlp(got, a, ...both(kernels, ...copies));
        assert.ok(difference(got, want) <= 2e-6);
      });
    });
  }
}

Mlp.run();
