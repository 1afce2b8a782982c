import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { type Checkpoint, readCheckpoint } from "../io/checkpoint.ts";
import { placeText, type Unwrapped } from "../io/unwrap.ts";
import { modelTitle, type Sam2Config } from "../model/config.ts";
import { checkTensors, isMemoryTensor } from "../model/derive_config.ts";
import { expectTensors, likelyConfig } from "../model/load.ts";
import { defaultThreads } from "../predict/sam2.ts";
import { createMachine } from "../runtime/create.ts";
import { machineHead, machineReport } from "../runtime/report.ts";
import { numel } from "../tensor/shape.ts";
import { type Io, painter, Status } from "./io.ts";
import { describeMachine } from "./machine.ts";
import { locateModel } from "./models.ts";
import { addCommonOptions, type CommonOptions, configOption, offlineOption } from "./options.ts";

interface InfoOptions extends CommonOptions {
  config?: string;
  offline?: boolean;
  machine?: boolean;
}

const EXAMPLES = `
Examples:
  sam2 info sam2.1_hiera_tiny.pt
  sam2 info tiny                       a downloaded checkpoint, or nano, by name
  sam2 info model.safetensors --json
  sam2 info --machine                  this machine: which kernels were chosen and why, and how fast they could be

Reads every record of the file, so that a damaged one is found. Fails unless the file can be used at least for images.
With --machine it tells the processor, its cores, Node, whether threads may share memory, the flags, kernels, register
tile and threads that the model would run with and why, whether a product has the same bits by either tile and by scalar
loops, and the peak: multiply-adds on registers alone, which no kernel in WebAssembly can exceed here.
`;

/** sam2 info FILE */
export function addInfo(program: Command, io: Io): void {
  const command = program
    .command("info")
    .summary("what a checkpoint is: variant, version, sizes, anything missing; or what the machine is")
    .description("What a checkpoint is, whether it is whole, and what it can be used for; or what the machine is.")
    .argument("[file]", "a .pt, a .safetensors, a transformers folder, or the name of a model")
    .option("--machine", "about this machine instead of a file")
    .addOption(configOption())
    .addOption(offlineOption());
  addCommonOptions(command);
  command.addHelpText("after", EXAMPLES).action((file: string | undefined, options: InfoOptions) => {
    if (file !== undefined && options.machine) {
      throw new UsageError("info", "a file or --machine", `both ${file} and --machine`, "ask for one at a time");
    }
    if (options.machine) return machineInfo(options, io);
    if (file === undefined) return command.error("error: missing required argument 'file'");
    return info(file, options, io);
  });
}

async function machineInfo({ json }: CommonOptions, io: Io): Promise<void> {
  const machine = await createMachine({ kernels: "auto", threads: defaultThreads() });
  try {
    const report = await machineReport(machine, describeMachine());
    io.stdout.write(`${json ? JSON.stringify(report) : machineHead(report)}\n`);
  } finally {
    machine.dispose();
  }
}

async function info(file: string, options: InfoOptions, io: Io): Promise<void> {
  const { json, quiet, config: name } = options;
  const path = await locateModel(file, options, io);
  const status = new Status(io, quiet);
  status.show(`reading ${file} …`);
  const checkpoint = await readCheckpoint(path, { signal: io.signal, onNotice() {} });
  try {
    const config = likelyConfig(checkpoint, { config: name });
    checkpoint.verify();
    status.clear();
    const about = describe(checkpoint, config);
    io.stdout.write(json ? `${JSON.stringify(about)}\n` : report(file, about, io));
    expectTensors(checkpoint, config, "image");
  } finally {
    checkpoint.close();
  }
}

function describe({ format, names, tensors, unwrapped }: Checkpoint, config: Sam2Config) {
  const dtypes: Record<string, number> = {};
  let parameters = 0;
  for (const { dtype, shape } of tensors.values()) {
    dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
    parameters += numel(shape);
  }
  const { name: variant, version } = config;
  const { missing, unexpected, wrongShape } = checkTensors(config, tensors);
  return { format, names, unwrapped, variant, version, parameters, dtypes, missing, unexpected, wrongShape, config };
}

function report(file: string, about: ReturnType<typeof describe>, io: Io): string {
  const paint = painter(io.stdout, io.env);
  const { format, names, unwrapped, parameters, dtypes, missing, unexpected, wrongShape, config } = about;
  const wrong = [...missing.filter((name) => !isMemoryTensor(name)), ...unexpected, ...wrongShape];
  const use =
    wrong.length > 0
      ? "nothing: it is not whole"
      : missing.length > 0
        ? "images (segment, everything)"
        : "images and video";
  const dtypeList = Object.entries(dtypes).map(([dtype, n]) => `${n} ${dtype}`);
  const { name: _, version: __, ...fields } = config;
  const rows: [string, string][] = [
    ["model", modelTitle(config)],
    ["usable for", use],
    ["format", `${format}, ${names === "meta" ? "Meta's" : "transformers'"} names`],
    ["found in", unwrapped ? foundIn(unwrapped) : "nothing"],
    ["parameters", `${parameters.toLocaleString("en")} in ${dtypeList.join(", ")} tensors`],
    ["missing", listed(missing)],
    ["unexpected", listed(unexpected)],
    ["other shape", listed(wrongShape)],
    [
      "config",
      Object.entries(fields)
        .map(([field, value]) => `${field} ${[value].flat().join(" ")}`)
        .join("\n"),
    ],
  ];
  const lines = rows.map(
    ([label, text]) => `  ${paint("dim", label.padEnd(INDENT - 2))}${text.replaceAll("\n", `\n${" ".repeat(INDENT)}`)}`,
  );
  return `${paint("bold", file)}\n${lines.join("\n")}\n`;
}

/** "state_dict: model.", what stands beside it there, and where other weights are. */
function foundIn(unwrapped: Unwrapped): string {
  const { leftOut, others } = unwrapped;
  const beside =
    leftOut.length > 0 ? [`left out, ${leftOut.length} that stand beside them: ${leftOut.join(", ")}`] : [];
  const more = others.length > 0 ? [`left out, other weights of such a model: ${others.join(", ")}`] : [];
  return [placeText(unwrapped), ...beside, ...more].join("\n");
}

const INDENT = 16;

function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : `${names.length}\n${names.join("\n")}`;
}
