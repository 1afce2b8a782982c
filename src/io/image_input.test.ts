// Pixels as other libraries hold them.
import ndarray from "ndarray";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError } from "../errors.ts";
import { readImage } from "./image_input.ts";

const [width, height] = [5, 4];
const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 256);

const Input = suite("image input");

Input("an ndarray [height, width, channels], whatever its strides, gives the pixels that it shows", async () => {
  const rows = ndarray(rgb, [height, width, 3]);
  assert.equal(await readImage(rows), { width, height, data: rgb });

  const padded = new Uint8Array(height * 32);
  for (let y = 0; y < height; y++) padded.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), y * 32 + 7);
  assert.equal(await readImage(ndarray(padded, [height, width, 3], [32, 3, 1], 7)), { width, height, data: rgb });

  const part = await readImage(rows.lo(1, 2, 0));
  assert.equal([part.width, part.height], [width - 2, height - 1]);
  assert.equal([...part.data.subarray(0, 3)], [...rgb.subarray((width + 2) * 3, (width + 3) * 3)]);
});

Input("get-pixels' [width, height, RGBA] is told apart by its strides", async () => {
  const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : rgb[i - (i >> 2)]));
  const pixels = ndarray(rgba, [width, height, 4], [4, 4 * width, 1], 0);
  assert.equal(await readImage(pixels), { width, height, data: rgb });
});

Input("an ndarray of floats, or of five channels, is refused", async () => {
  for (const wrong of [ndarray(Float32Array.from(rgb), [height, width, 3]), ndarray(rgb, [height, 3, 5])]) {
    const error = await readImage(wrong as never).catch((error: unknown) => error);
    assert.instance(error, ImageError);
  }
});

Input.run();
