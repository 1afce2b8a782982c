import { createRequire } from "node:module";
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { Sam2Error, UsageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setNoticeListener } from "../platform/notices.ts";
import { setPlatform } from "../platform/platform.ts";
import { addBatch } from "./batch.ts";
import { addDownload } from "./download.ts";
import { addEvaluate } from "./evaluate.ts";
import { addEverything } from "./everything.ts";
import { addInfo } from "./info.ts";
import { EXIT_CODES, hasColours, Interruption, type Io, Status } from "./io.ts";
import { addSegment } from "./segment.ts";
import { addServe } from "./serve.ts";
import { addStudio } from "./studio.ts";
import { addTrace } from "./trace.ts";
import { addTrack } from "./track.ts";
import { addWorker } from "./worker.ts";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

const EXAMPLES = `
Start here:
  sam2 segment photo.jpg --point 500,375        a click on an object → photo.sam2/mask_0_0.png, overlay_0.png …
  sam2 download tiny                            an official checkpoint (about 150 MB), for real photos
  sam2 segment photo.jpg --point 500,375 --model tiny
  sam2 everything photo.jpg --model tiny        every object of a photo, without a prompt
  sam2 help segment                             all about one command
`;

/** Run one command line; the exit code. Never throws. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  setPlatform(nodePlatform);
  const program = sam2Program(io);
  try {
    await program.parseAsync(argv, { from: "user" });
    return DONE;
  } catch (error) {
    const command = program.commands.find((candidate) => candidate.name() === argv[0]);
    const [code, message] = outcome(error, command, io.signal);
    new Status(io).clear();
    if (message) io.stderr.write(`sam2: ${message.replaceAll(/\s*\n\s*/g, " ")}\n`);
    if (message && argv.includes("--debug")) io.stderr.write(`${inspect(error)}\n`);
    return code;
  }
}

function sam2Program(io: Io): Command {
  const width = () => Math.min(io.stdout.columns ?? 120, 120);
  const program = new Command("sam2")
    .description("Segment Anything 2 in TypeScript: find the pixels of any object in an image.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show help for a command")
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {}, // `report` says it, in our form
      getOutHelpWidth: width,
      getErrHelpWidth: width,
      getOutHasColors: () => hasColours(io.stdout, io.env),
      getErrHasColors: () => hasColours(io.stderr, io.env),
    })
    .exitOverride()
    .hook("preAction", (_, command) => {
      setNoticeListener(command.opts().quiet ? () => {} : (text) => io.stderr.write(`sam2: ${text}\n`));
    })
    .addHelpText("after", EXAMPLES);
  addSegment(program, io);
  addEverything(program, io);
  addTrack(program, io);
  addBatch(program, io);
  addWorker(program, io);
  addStudio(program, io);
  addEvaluate(program, io);
  addServe(program, io);
  addInfo(program, io);
  addTrace(program, io);
  addDownload(program, io);
  return program;
}

/** The exit code, and what to say about it. */
function outcome(error: unknown, command: Command | undefined, signal: AbortSignal): [code: number, message: string] {
  if (signal.aborted) {
    const { signal: name, message } =
      signal.reason instanceof Interruption ? signal.reason : new Interruption("SIGINT");
    return [EXIT_CODES[name], message];
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return [DONE, ""]; // --help, --version
    if (error.code === "commander.help") return [WRONG_USAGE, ""]; // no command: the help is shown already
    const message = error.message.replace(/^error: /, "").replace(/\.$/, "");
    return [WRONG_USAGE, `${message}; see sam2 ${command ? `${command.name()} ` : ""}--help`];
  }
  if (error instanceof UsageError) return [WRONG_USAGE, error.message];
  if (error instanceof Sam2Error) return [FAILED, error.message];
  return [FAILED, `internal: expected no such error, got ${error}; run again with --debug and report it`];
}
