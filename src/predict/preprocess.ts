import type { RgbImage } from "../io/image.ts";
import { add, mul } from "../nn/elementwise.ts";
import { pillowResize } from "../nn/pillow_resize.ts";
import { resizeAxis } from "../nn/resize.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, reshape, type Tensor } from "../tensor/view.ts";

/** Mean and standard deviation of ImageNet's RGB. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** Image rows that are held as f32 at a time. */
const BAND = 64;

/**
 * Photo → the encoder's input: RGB/255, resized to a square with antialiased bilinear sums, normalised.
 *
 * The columns are resized band by band, so that a large photo is never held as f32.
 *
 * NB the last step multiplies by 1/σ where PyTorch divides by σ: a difference of one rounding.
 *
 * @shape  H×W pixels → [1, size, size, 3]
 * @source sam2/utils/transforms.py, SAM2Transforms
 */
export function preprocess({ width, height, data }: RgbImage, size: number): Tensor {
  const { heap, kernels } = machine;
  return heap.scope(() => {
    const narrowed = heap.alloc([height, size, 3]);
    for (let y = 0; y < height; y += BAND) {
      const rows = Math.min(BAND, height - y);
      heap.scope(() => {
        const pixels = heap.allocUint8(rows * width * 3);
        pixels.set(data.subarray(y * width * 3, (y + rows) * width * 3));
        const band = heap.alloc([rows, width, 3]);
        kernels.fromPixels(band, pixels);
        kernels.copy(narrow(narrowed, 0, y, rows), resizeAxis(band, size, "antialias"));
      });
    }
    const square = resizeAxis(reshape(narrowed, [1, height, size * 3]), size, "antialias"); // [1, size, size·3]
    const centred = add(
      reshape(square, [1, size, size, 3]),
      heap.from(
        Float32Array.from(MEAN, (m) => -m),
        [3],
      ),
    );
    return mul(
      centred,
      heap.from(
        Float32Array.from(STD, (s) => 1 / s),
        [3],
      ),
    );
  });
}

/**
 * Frame → the encoder's input: resized as Pillow does, rounded to bytes, normalised. The image predictor resizes otherwise.
 *
 * @shape  H×W pixels → [1, size, size, 3]
 * @source sam2/utils/misc.py, load_video_frames
 */
export function preprocessFrame(frame: RgbImage, size: number): Tensor {
  const { heap, kernels } = machine;
  return heap.scope(() => {
    const x = heap.alloc([1, size, size, 3]);
    const [mean, std] = [MEAN, STD].map((rgb) => heap.from(Float32Array.from(rgb), [3]));
    kernels.normalizePixels(x, pillowResize(frame, size, size), mean, std);
    return x;
  });
}
