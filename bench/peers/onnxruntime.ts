// onnxruntime-node and onnxruntime-web, which have the same interface, on the files of export_onnx.py.
import {
  bankInputs,
  CLICK,
  D_MODEL,
  GRID,
  isOfEdgeTam,
  type Job,
  MAPS,
  MEM_DIM,
  photo,
  POINTERS,
  SIZE,
  type Stage,
} from "./job.ts";

/** The part of it that is used; its own types are there only after `npm ci` in this folder. */
export interface Ort {
  env: { versions: { node?: string; web?: string }; wasm: { numThreads?: number } };
  Tensor: new (type: "float32" | "int32", data: Float32Array | Int32Array, dims: number[]) => OrtTensor;
  InferenceSession: { create(location: string, options: object): Promise<Session> };
}
interface OrtTensor {
  data: Float32Array | Uint8Array;
}
interface Session {
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
}

/** Which file of export_onnx.py a stage is in; undefined if none. */
export function partOf(stage: Job["stage"]): string | undefined {
  if (stage === "frame.full" || stage.startsWith("everything.") || isOfEdgeTam(stage)) return undefined;
  return { "decoder.point": "decoder", "memory_attention.full": "memory_attention" }[stage as string] ?? stage;
}

export async function onnxruntime(ort: Ort, { stage, threads, models }: Job): Promise<Stage> {
  ort.env.wasm.numThreads = threads;
  const options = { executionProviders: ["cpu"], intraOpNumThreads: threads, interOpNumThreads: 1 };
  const open = (part: string) => ort.InferenceSession.create(`${models}/${part}.onnx`, options);
  const floats = (data: Float32Array, ...dims: number[]) => new ort.Tensor("float32", data, dims);
  const image = () => floats(pixels(), 1, 3, SIZE, SIZE);
  const { node, web } = ort.env.versions;
  const version = node ? `onnxruntime-node ${node}` : `onnxruntime-web ${web}`;

  if (stage === "decoder.point") {
    const encoded = await (await open("encoder.tiny")).run({ image: image() });
    const session = await open("decoder");
    const coords = floats(Float32Array.from(CLICK), 1, 1, 2);
    const labels = new ort.Tensor("int32", Int32Array.of(1), [1, 1]);
    const run = () => session.run({ ...encoded, coords, labels });
    const outputs = async () => {
      const { masks, iou, low_res } = await run();
      const area = Float32Array.from([0, 1, 2], (m) => {
        return (masks.data as Uint8Array)
          .subarray(m * SIZE ** 2, (m + 1) * SIZE ** 2)
          .reduce((sum, bit) => sum + bit, 0);
      });
      return { low_res: low_res.data as Float32Array, iou: iou.data as Float32Array, area };
    };
    return { version, run, outputs };
  }

  const session = await open(partOf(stage)!);
  const feeds: Record<string, OrtTensor> = {};
  if (stage === "memory_attention.full") {
    const { features, maps, pointers } = bankInputs();
    feeds.features = floats(features, 1, D_MODEL, GRID, GRID);
    feeds.maps = floats(maps, MAPS, MEM_DIM, GRID, GRID);
    feeds.pointers = floats(pointers, POINTERS, D_MODEL);
  } else {
    feeds.image = image();
  }
  const run = () => session.run(feeds);
  const outputs = async () =>
    Object.fromEntries(Object.entries(await run()).map(([name, { data }]) => [name, data as Float32Array]));
  return { version, run, outputs };
}

/** The photo as the encoder sees it. @shape → [3, S, S] */
function pixels(): Float32Array {
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const { data } = photo();
  const plane = SIZE * SIZE;
  return Float32Array.from({ length: 3 * plane }, (_, i) => {
    const c = Math.floor(i / plane);
    return (data[(i % plane) * 3 + c] / 255 - mean[c]) / std[c];
  });
}
