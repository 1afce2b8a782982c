import { suite } from "uvu";
import * as assert from "uvu/assert";
import { builds, difference, type Fill, onHeap } from "../../tests/tables.ts";
import { at, expand, narrow, permute, reshape, select } from "../tensor/view.ts";
import type { Epilogue, Kernels, Packed } from "./kernels.ts";
import { reference } from "./reference.ts";

/** One weight, as `table` and as the oracle want it. */
function weights(table: Kernels, fill: Fill, N: number, K: number): { packed: Packed; plain: Packed } {
  const rows = Math.ceil(N / 16) * 16;
  const plain = fill([rows, K]);
  const copy = fill([rows, K]);
  copy.data.set(plain.data);
  return { packed: table.pack(copy, N), plain: reference.pack(plain, N) };
}

const Gemm = suite("gemm");

const EPILOGUES: readonly (readonly [string, number, (fill: Fill, M: number, N: number) => Epilogue])[] = [
  ["nothing", 0, () => ({})],
  ["bias", 0, (fill, _, N) => ({ bias: fill([N]) })],
  ["bias, relu", 0, (fill, _, N) => ({ bias: fill([N]), activation: "relu" })],
  ["bias, residual", 0, (fill, M, N) => ({ bias: fill([N]), residual: narrow(fill([M, N + 3]), 1, 1, N) })],
  ["bias, gelu, residual", 4e-7, (fill, M, N) => ({ bias: fill([N]), activation: "gelu", residual: fill([M, N]) })],
];

const SIZES = [
  [1, 1, 1],
  [0, 5, 3],
  [1, 16, 256],
  [5, 17, 2],
  [6, 16, 4],
  [7, 31, 37],
  [11, 33, 147],
  [97, 48, 13],
  [203, 271, 5],
] as const;

for (const { tables, heap, fused } of builds) {
  const bound = fused ? 2e-6 : 0;
  for (const kernels of tables) {
    for (const [what, more, epilogue] of EPILOGUES) {
      Gemm(`${kernels.name} with ${what} is within ${bound + more} of the oracle at odd and empty sizes`, () => {
        for (const [M, N, K] of SIZES) {
          onHeap(heap, (fill) => {
            const { packed, plain } = weights(kernels, fill, N, K);
            const a = fill([M, K]);
            const extra = epilogue(fill, M, N);
            const [got, want] = [fill([M, N]), fill([M, N])];
            kernels.gemm(got, a, packed, extra);
            reference.gemm(want, a, plain, extra);
            const worst = difference(got, want);
            assert.ok(worst <= bound + more, `${M}×${N}×${K}: |Δ| ${worst}`);
          });
        }
      });
    }

    Gemm(`${kernels.name} takes rows by number, −1 as zeros, and any row stride, within ${bound}`, () => {
      const [M, N, K, R] = [131, 40, 21, 50];
      onHeap(heap, (fill) => {
        const { packed, plain } = weights(kernels, fill, N, K);
        const a = narrow(fill([R, K + 7]), 1, 3, K);
        const rows = heap.allocInt32(M);
        for (let m = 0; m < M; m++) rows[m] = m % 7 === 3 ? -1 : (m * 17) % R;
        const bias = fill([N]);
        const [got, want] = [fill([M, N + 9]), fill([M, N + 9])]; // what lies beside c must stay
        kernels.gemm(narrow(got, 1, 4, N), a, packed, { bias }, rows);
        reference.gemm(narrow(want, 1, 4, N), a, plain, { bias }, rows);
        for (let m = 0; m < M; m++) {
          for (let n = 0; n < N + 9; n++) if (n < 4 || n >= N + 4) want.data[m * (N + 9) + n] = at(got, m, n);
        }
        assert.ok(difference(got, want) <= bound);
      });
    });
  }

  for (const kernels of tables) {
    Gemm(
      `${kernels.name} lays rows out in groups, as every second one of c and of the residual, within ${bound}`,
      () => {
        for (const [G, L, N, K] of [
          [3, 7, 20, 9],
          [2, 130, 32, 5],
          [0, 4, 16, 3],
        ]) {
          onHeap(heap, (fill) => {
            const { packed, plain } = weights(kernels, fill, N, K);
            const a = fill([G * L, K]);
            const epilogue: Epilogue = { bias: fill([N]), residual: select(fill([G, 2, L, N]), 1, 1) };
            const got = fill([G, 2, L, N]); // what lies between the groups must stay
            const want = heap.from(got.data, got.shape);
            kernels.gemm(select(got, 1, 0), a, packed, epilogue);
            reference.gemm(select(want, 1, 0), a, plain, epilogue);
            const worst = difference(got, want);
            assert.ok(worst <= bound, `${G}·${L}×${N}×${K}: |Δ| ${worst}`);
          });
        }
      },
    );
  }

  const columns = [15, 16, 17, 33];
  const rows = [...Array.from({ length: 14 }, (_, i) => i + 1), 47, 48, 49, 50, 97, 98, 100, 191, 193, 385];
  for (const kernels of tables) {
    Gemm(
      `${kernels.name} is within ${bound} of the oracle however many rows are left for the last register tiles`,
      () => {
        for (const M of rows) {
          for (const N of columns) {
            onHeap(heap, (fill) => {
              const { packed, plain } = weights(kernels, fill, N, 6);
              const a = fill([M, 6]);
              const [got, want] = [fill([M + 1, N]), fill([M + 1, N])]; // the row after c must stay
              const after = got.data.slice(M * N, (M + 1) * N);
              kernels.gemm(narrow(got, 0, 0, M), a, packed, {});
              reference.gemm(narrow(want, 0, 0, M), a, plain, {});
              want.data.set(after, M * N);
              const worst = difference(got, want);
              assert.ok(worst <= bound, `${M}×${N}: |Δ| ${worst}`);
            });
          }
        }
      },
    );
  }

  const [one, other] = tables;
  Gemm(`${one.name} and ${other.name} give the same bits, in one piece and in pieces`, () => {
    const [M, N, K] = [230, 530, 41];
    onHeap(heap, (fill) => {
      const { packed } = weights(one, fill, N, K);
      const epilogue: Epilogue = { bias: fill([N]), activation: "gelu" };
      const a = fill([M, K]);
      const [got, want] = [fill([M, N]), fill([M, N])];
      one.gemm(want, a, packed, epilogue);
      other.gemm(got, a, packed, epilogue);
      assert.is(difference(got, want), 0);
    });
  });
}

Gemm.run();

const Conv2d = suite("conv2d");

const CONVOLUTIONS = [
  // B, H, W, C, N, k, stride, padding
  [1, 1, 1, 1, 1, 1, 1, 0],
  [0, 4, 4, 2, 3, 3, 1, 1],
  [2, 17, 13, 3, 20, 7, 4, 3],
  [1, 9, 12, 5, 16, 3, 2, 1],
  [1, 8, 6, 4, 7, 2, 2, 0],
  [1, 3, 2, 1, 5, 5, 1, 4],
  [1, 4, 4, 400, 33, 3, 1, 1],
] as const;

for (const { tables, heap, fused } of builds) {
  const bound = fused ? 2e-6 : 0;
  for (const kernels of tables) {
    Conv2d(`${kernels.name} is within ${bound} of the oracle, borders and odd sizes included`, () => {
      for (const [B, H, W, C, N, k, stride, padding] of CONVOLUTIONS) {
        onHeap(heap, (fill) => {
          const size = (n: number) => Math.floor((n + 2 * padding - k) / stride) + 1;
          const { packed, plain } = weights(kernels, fill, N, k * k * C);
          const x = fill([B, H, W, C]);
          const shape = [B, size(H), size(W), N];
          const [got, want] = [fill(shape), fill(shape)];
          const epilogue: Epilogue = { bias: fill([N]), activation: "relu", residual: reshape(fill(shape), [-1, N]) };
          kernels.conv2d(got, x, packed, k, stride, padding, epilogue);
          reference.conv2d(want, x, plain, k, stride, padding, epilogue);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `[${B}, ${H}, ${W}, ${C}] k ${k} stride ${stride}: |Δ| ${worst}`);
        });
      }
    });
  }
}

Conv2d.run();

const Attention = suite("attention");

const ATTENTIONS = [
  // B, h, N, S, d, dv
  [1, 1, 1, 1, 4, 4],
  [2, 3, 7, 5, 24, 24],
  [1, 2, 64, 64, 96, 96],
  [3, 2, 49, 196, 56, 56],
  [1, 8, 9, 300, 16, 32],
  [1, 1, 200, 777, 72, 72],
  [1, 1, 13, 513, 256, 64],
  [1, 1, 199, 20, 512, 512],
  [2, 0, 5, 5, 8, 8],
  // one head on many keys: as many tiles as there are 32 queries, the last one with fewer; more than fit in one tile
  [1, 1, 31, 1030, 8, 8],
  [1, 1, 64, 1024, 16, 8],
  [1, 1, 199, 1100, 64, 64],
  [1, 1, 530, 1100, 8, 8],
] as const;

for (const { tables, heap } of builds) {
  for (const kernels of tables) {
    Attention(
      `${kernels.name} is within 2e-6 of the oracle for head sizes 4 … 256, in place of q·k·v projections`,
      () => {
        for (const [B, h, N, S, d, dv] of ATTENTIONS) {
          onHeap(heap, (fill) => {
            const heads = (length: number, size: number) => permute(fill([B, length, h, size]), [0, 2, 1, 3]);
            const [q, k, v] = [heads(N, d), heads(S, d), heads(S, dv)];
            const [got, want] = [fill([B, N, h, dv]), fill([B, N, h, dv])];
            kernels.attention(permute(got, [0, 2, 1, 3]), q, k, v, 4 / Math.sqrt(d));
            reference.attention(permute(want, [0, 2, 1, 3]), q, k, v, 4 / Math.sqrt(d));
            const worst = difference(got, want);
            assert.ok(worst <= 2e-6, `[${B}, ${h}, ${N}, ${d}] on ${S} keys: |Δ| ${worst}`);
          });
        }
      },
    );

    Attention(`${kernels.name} follows a maximum that rises in every block, and scores of ±1000, within 1e-5`, () => {
      const [N, S, d] = [20, 1100, 8];
      onHeap(heap, (fill) => {
        const [q, k, v] = [fill([1, 1, N, d]), fill([1, 1, S, d]), fill([1, 1, S, d])];
        for (let i = 0; i < q.data.length; i++) q.data[i] = Math.abs(q.data[i]);
        for (let i = 0; i < k.data.length; i++) k.data[i] = k.data[i] * 0.1 + Math.floor(i / d / 100) - 5;
        for (const scale of [1, 30]) {
          const [got, want] = [fill([1, 1, N, d]), fill([1, 1, N, d])];
          kernels.attention(got, q, k, v, scale);
          reference.attention(want, q, k, v, scale);
          const worst = difference(got, want);
          assert.ok(worst <= 1e-5 * scale, `scale ${scale}: |Δ| ${worst}`);
        }
      });
    });

    Attention(`${kernels.name} gives the same bits where keys and values were packed beforehand, heads apart`, () => {
      const whole = (n: number) => Math.ceil(n / 16) * 16;
      for (const [B, h, N, S, d, dv] of [...ATTENTIONS, [2, 2, 600, 530, 20, 36], [1, 1, 300, 300, 260, 40]]) {
        onHeap(heap, (fill) => {
          const heads = (length: number, size: number) => permute(fill([B, length, h, size]), [0, 2, 1, 3]);
          const [q, k, v] = [heads(N, d), heads(S, d), heads(S, dv)];
          const [got, want] = [fill([B, h, N, dv]), fill([B, h, N, dv])];
          kernels.attention(want, q, k, v, 0.4);
          kernels.attention(got, q, k, v, 0.4, fill([B, h, whole(S), d + whole(dv)]));
          assert.is(difference(got, want), 0, `[${B}, ${h}, ${N}, ${d}] on ${S} keys`);
        });
      }
    });

    Attention(`${kernels.name} shares keys and values between heads by stride 0`, () => {
      const [B, h, N, S, d] = [2, 3, 10, 40, 20];
      onHeap(heap, (fill) => {
        const q = fill([B, h, N, d]);
        const [k, v] = [expand(fill([B, 1, S, d]), 1, h), expand(fill([B, 1, S, d]), 1, h)];
        const [got, want] = [fill([B, h, N, d]), fill([B, h, N, d])];
        kernels.attention(got, q, k, v, 0.3);
        reference.attention(want, q, k, v, 0.3);
        assert.ok(difference(got, want) <= 2e-6);
      });
    });
  }

  const [one, other] = tables;
  Attention(`${one.name} and ${other.name} give the same bits, in one piece and in pieces`, () => {
    const [B, h, N, S, d, dv] = [2, 2, 250, 600, 24, 40];
    onHeap(heap, (fill) => {
      const [q, k, v] = [fill([B, h, N, d]), fill([B, h, S, d]), fill([B, h, S, dv])];
      const [got, want] = [fill([B, h, N, dv]), fill([B, h, N, dv])];
      one.attention(want, q, k, v, 0.2);
      other.attention(got, q, k, v, 0.2);
      assert.is(difference(got, want), 0);
    });
  });
}

Attention.run();
