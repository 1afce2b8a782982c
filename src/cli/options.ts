import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";

/** What every command takes. */
export interface CommonOptions {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
}

/** What every command takes that runs the model. */
export interface ModelOptions extends CommonOptions {
  config?: string;
  threads?: number;
  kernels: "auto" | "portable";
  imageSize?: number;
  offline?: boolean;
}

export function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup("Common options:")
    .option("--json", "results as JSON on stdout")
    .option("--quiet", "no progress, no notices, no summary")
    .option("--debug", "show the stack of an error")
    .helpOption("-h, --help", "show this help");
}

const THREADS = "threads to compute with (default: all cores)";

/** Without --model, for commands that take the model as an argument. */
export function addRunOptions(command: Command, threads = THREADS): Command {
  command
    .optionsGroup("Model:")
    .addOption(configOption())
    .addOption(offlineOption())
    .option(
      "--image-size <n>",
      "work at n×n pixels, a multiple of 32: smaller is faster, coarser",
      count("--image-size"),
    )
    .addOption(
      new Option("--kernels <kind>", "auto is the fastest; portable gives the same bits on every CPU")
        .choices(["auto", "portable"])
        .default("auto"),
    )
    .option("--threads <n>", threads, count("--threads"));
  return addCommonOptions(command);
}

/** @param threads what the help says of --threads */
export function addModelOptions(command: Command, threads = THREADS): Command {
  command
    .optionsGroup("Model:")
    .option(
      "--model <name|file|folder>",
      "nano (default, a demo), tiny, 2.0:tiny …, .pt, .safetensors, transformers folder",
    );
  return addRunOptions(command, threads);
}

export function configOption(): Option {
  return new Option(
    "--config <name>",
    "windows, heads and image size of tiny, small, tiny_512 (MedSAM2) …, when shapes do not tell",
  );
}

export function offlineOption(): Option {
  return new Option("--offline", "do not download a model that is not in the cache; also SAM2_OFFLINE=1");
}

/** A parser of whole numbers ≥ `least`. */
export function count(option: string, least = 1) {
  return (text: string): number => {
    const value = number(text);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(option, `a whole number ≥ ${least}`, `"${text}"`, "see --help");
  };
}

/** A parser of decimal numbers. */
export function decimal(option: string) {
  return (text: string): number => {
    const value = number(text);
    if (Number.isFinite(value)) return value;
    throw new UsageError(option, "a number", `"${text}"`, "see --help");
  };
}

/** @throws UsageError if one of these options is given, which write files, and nothing says where to */
export function expectFolder<Name extends string>(
  options: CommonOptions & { out?: string } & { [name in Name]?: unknown },
  names: readonly Name[],
): void {
  if (!options.json || options.out !== undefined) return;
  const given = names.find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`--${given}`, "a folder to write to", "--json alone", "add --out FOLDER");
}

export interface Click {
  point: [x: number, y: number];
  label: 0 | 1;
}

/** x,y or x,y,0; collects repeated options. */
export function click(text: string, clicks: Click[] = []): Click[] {
  const parts = text.split(",").map(number);
  const [x, y, label = 1] = parts;
  if (parts.length < 2 || parts.length > 3 || !parts.every(Number.isFinite) || (label !== 0 && label !== 1)) {
    throw new UsageError("--point", "x,y or x,y,0 (not the object)", `"${text}"`, "e.g. --point 500,375");
  }
  return [...clicks, { point: [x, y], label }];
}

/** x0,y0,x1,y1 */
export function corners(text: string): [number, number, number, number] {
  const box = text.split(",").map(number);
  if (box.length !== 4 || !box.every(Number.isFinite)) {
    throw new UsageError("--box", "x0,y0,x1,y1", `"${text}"`, "e.g. --box 100,50,640,480");
  }
  return box as [number, number, number, number];
}

/** A parser of an option that may stand once: an earlier value would otherwise be forgotten without a word. */
export function once<T>(option: string, parse: (text: string) => T) {
  return (text: string, earlier: T | undefined): T => {
    if (earlier === undefined) return parse(text);
    throw new UsageError(option, "one of it", "a second", "put several prompts into a file: --prompts FILE");
  };
}

/** NaN for anything but a decimal number. */
function number(text: string): number {
  return /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
}
