import type { Command } from "commander";
import { readCheckpoint } from "../io/checkpoint.ts";
import { decodeImage, type RgbImage } from "../io/image.ts";
import { watch } from "../nn/layer.ts";
import { modelTitle } from "../model/config.ts";
import { Sam2 } from "../predict/sam2.ts";
import { layerTrace } from "../predict/trace.ts";
import { readInput } from "../platform/node_files.ts";
import { type Io, painter, Status } from "./io.ts";
import { locateModel } from "./models.ts";
import { addRunOptions, count, type ModelOptions } from "./options.ts";
import { type Difference, findParity, type Parity } from "./parity.ts";
import { clickedPicture, trackedFrame } from "./trace_runs.ts";
import { type TraceRow, traceTable } from "./trace_table.ts";

interface TraceOptions extends ModelOptions {
  depth?: number;
  video?: boolean;
}

const EXAMPLES = `
Examples:
  sam2 trace tiny photo.jpg          every layer of the model, as this photo passes through it
  sam2 trace tiny --depth 3          the large parts only
  sam2 trace tiny --depth 99         all layers, repeated blocks too
  sam2 trace tiny --json             one record for each layer
  sam2 trace tiny --video            a tracked frame with a full memory bank: the memory's layers too

The photo, or a drawn picture, is encoded once to warm up and once to be measured; then comes one click in its centre.
With --video no one clicks: the picture is a frame that sees seven memories and sixteen object pointers of itself, is
found, and is remembered. Layer 0 of the memory attention looks at the frame itself first, once for all objects, which is
why that step stands apart.
GMAC are 10⁹ multiply-adds; GFLOP/s count two operations each. Peak is what the model's memory held at most, weights
included. A block like an earlier one is folded (≡). In a checkout of the project, a checkpoint with the weights of the
goldens (golden/reference/export_checkpoint.py) is compared with PyTorch: |Δ| is the largest difference of a layer's output, σ the
standard deviation of PyTorch's.
`;

/** sam2 trace FILE [IMAGE] */
export function addTrace(program: Command, io: Io): void {
  const command = program
    .command("trace")
    .summary("the model as a tree: shapes, work, time and memory of every layer")
    .description("The module tree in the order in which it runs, with what every layer does and costs.")
    .argument("<file>", "a .pt, a .safetensors, a transformers folder, or the name of a model")
    .argument("[image]", "a JPEG, PNG or WebP file")
    .option("--video", "a tracked frame instead of a click: shows the layers of the memory too")
    .option("--depth <n>", "show n levels of the tree, and fold nothing else", count("--depth"));
  addRunOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((file: string, image: string | undefined, options: TraceOptions) => trace(file, image, options, io));
}

async function trace(file: string, imagePath: string | undefined, options: TraceOptions, io: Io): Promise<void> {
  const { signal } = io;
  const status = new Status(io, options.quiet);
  const photo = imagePath && (await decodeImage(await readInput(imagePath, "an image"), { where: imagePath }));
  status.show(`loading ${file} …`);
  const checkpoint = await readCheckpoint(await locateModel(file, options, io), { signal });
  try {
    const sam2 = await Sam2.fromCheckpoint(checkpoint, { ...options, signal });
    const parity = photo || options.video ? undefined : await findParity(checkpoint, sam2.config);
    const image = photo || (parity?.image ?? drawnPicture(sam2.config.imageSize));
    const prepare = () =>
      options.video ? trackedFrame(sam2, image, signal) : clickedPicture(sam2, image, parity, signal);
    const rows = await layers(prepare, parity, status).finally(() => sam2.dispose());
    status.clear();

    if (options.json) {
      io.stdout.write(`${JSON.stringify(rows)}\n`);
    } else {
      const { config, machine } = sam2;
      const seen = options.video ? "a tracked frame, full memory bank · " : "";
      const title = `${modelTitle(config)} · ${seen}${imagePath ?? (parity ? "the goldens' picture" : "a drawn picture")} ${image.width}×${image.height} at ${config.imageSize}×${config.imageSize} · ${machine.kernels.name} kernels`;
      const paint = painter(io.stdout, io.env);
      io.stdout.write(`${paint("bold", title)}\n\n`);
      io.stdout.write(traceTable(rows, { depth: options.depth, columns: io.stdout.columns ?? 120, paint }));
    }
  } finally {
    checkpoint.close();
  }
}

/** Run the model twice: to compare its layers, which also warms it up, and to measure them. */
export async function layers(
  prepare: () => () => void,
  parity: Parity | undefined,
  status: Status,
): Promise<TraceRow[]> {
  const differences = new Map<number, Difference | undefined>();
  status.show("preparing …");
  const run = prepare();
  status.show(parity ? "comparing with PyTorch …" : "warming up …");
  await watch((event) => differences.set(event.order, parity?.compare(event)), run);
  status.show("measuring …");
  const rows: TraceRow[] = [];
  await watch((event) => {
    rows[event.order] = { ...layerTrace(event), ...differences.get(event.order) };
  }, run);
  return rows;
}

/** Coloured rings: what they show does not matter, only that it is the same every time. */
function drawnPicture(size: number): RgbImage {
  const data = new Uint8Array(size * size * 3);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    data[i] = (((x - size / 2) ** 2 + (y - size / 2) ** 2) / (size * ((i % 3) + 1))) & 255;
  }
  return { width: size, height: size, data };
}
