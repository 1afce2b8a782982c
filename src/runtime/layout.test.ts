import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { at, expand, narrow, permute, type Tensor } from "../tensor/view.ts";
import { reference } from "./reference.ts";

const Copy = suite("copy");

/** All orders of the first n numbers. */
function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((rest) =>
    rest.flatMap((_, at) => [rest.toSpliced(at, 0, n - 1)]).concat([[...rest, n - 1]]),
  );
}

for (const { heap, kernels } of eachTable(0, 0)) {
  const expectCopy = (y: Tensor, x: Tensor, want: Tensor, what: string) => {
    kernels.copy(y, x);
    const got = heap.alloc(y.shape);
    reference.copy(got, y);
    reference.copy(want, x);
    assert.is(difference(got, want), 0, what);
  };

  Copy(`${kernels.name} equals the oracle to the bit in every order of four axes, from and to views`, () => {
    for (const [a, b, c, d] of [
      [3, 5, 2, 19],
      [1, 33, 18, 1],
      [21, 1, 4, 35],
    ]) {
      for (const order of orders(4)) {
        onHeap(heap, (fill) => {
          const x = permute(fill([a, b, c, d]), order);
          const view = narrow(permute(fill([a, b, c, d + 3]), order), order.indexOf(3), 2, d);
          expectCopy(fill(x.shape), x, fill(x.shape), `${order} of [${a}, ${b}, ${c}, ${d}]`);
          expectCopy(fill(x.shape), view, fill(x.shape), `${order} from a view`);
          const room = fill(x.shape.with(0, x.shape[0] + 2));
          const around = [at(room, 0, 0, 0, 0), at(room, x.shape[0] + 1, 0, 0, 0)];
          expectCopy(narrow(room, 0, 1, x.shape[0]), x, fill(x.shape), `${order} into a view`);
          assert.equal([at(room, 0, 0, 0, 0), at(room, x.shape[0] + 1, 0, 0, 0)], around);
        });
      }
    }
  });

  Copy(`${kernels.name} equals the oracle to the bit for scalars, nothing, six axes and repeated ones`, () => {
    onHeap(heap, (fill) => {
      expectCopy(fill([]), fill([]), fill([]), "scalar");
      expectCopy(fill([1, 1]), fill([1, 1]), fill([1, 1]), "one value");
      expectCopy(fill([3, 0, 2]), permute(fill([2, 3, 0]), [1, 2, 0]), fill([3, 0, 2]), "nothing");
      const six = permute(fill([2, 3, 4, 5, 2, 7]), [4, 1, 5, 0, 3, 2]);
      expectCopy(fill(six.shape), six, fill(six.shape), "six axes");
      const repeated = expand(fill([4, 1, 9]), 1, 6);
      expectCopy(fill(repeated.shape), repeated, fill(repeated.shape), "repeated");
      expectCopy(fill([100_000]), fill([100_000]), fill([100_000]), "one long row");
      const matrix = permute(fill([130, 66]), [1, 0]);
      expectCopy(fill(matrix.shape), matrix, fill(matrix.shape), "a matrix");
    });
  });
}

Copy.run();
