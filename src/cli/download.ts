import { basename } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { checkWhole } from "../io/checkpoint.ts";
import { OFFICIAL_CHECKPOINTS, officialCheckpoint } from "../io/official.ts";
import { verifiedFile } from "../platform/node_download.ts";
import { type Io, megabytes, progressBar, Status } from "./io.ts";
import { addCommonOptions, type CommonOptions } from "./options.ts";

const EXAMPLES = `
Names: ${OFFICIAL_CHECKPOINTS.map(({ name }) => name).join(", ")}

Examples:
  sam2 download tiny             SAM 2.1 tiny, then: sam2 segment photo.jpg --point 500,375 --model tiny
  sam2 download 2.0:large        the first release

Files go to $SAM2_CACHE, or to the system's folder for caches. An interrupted download goes on where it stopped.
Meta publishes no digests: the SHA-256 of the first download is kept beside the file, and later ones must equal it.
SAM2_DOWNLOAD_URL names a folder on a mirror that has the files under their own names; HTTPS_PROXY and NO_PROXY are heeded.
Other commands and the API download by themselves what they are asked for by name, unless SAM2_OFFLINE is set.
`;

/** sam2 download NAME */
export function addDownload(program: Command, io: Io): void {
  const command = program
    .command("download")
    .summary("get an official checkpoint")
    .description("Get an official checkpoint from Meta into the cache folder.")
    .argument("<name>", "tiny, small, base_plus, large, 2.0:tiny, …");
  addCommonOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((name: string, options: CommonOptions) => downloadCommand(name, options, io));
}

async function downloadCommand(name: string, { json, quiet }: CommonOptions, io: Io): Promise<void> {
  const checkpoint = officialCheckpoint(name);
  if (!checkpoint) {
    const names = OFFICIAL_CHECKPOINTS.map((official) => official.name).join(", ");
    throw new UsageError("download", names, `"${name}"`, "name one of these");
  }
  const status = new Status(io, quiet);
  const { env, signal } = io;
  const { path, bytes, sha256, isNew, isKnown } = await verifiedFile(checkpoint, {
    env,
    signal,
    onProgress: progressBar(checkpoint.file, status),
    check: checkWhole,
  }).finally(() => status.clear());

  const done = isNew ? "downloaded" : "is there already";
  const digest = isKnown
    ? "as recorded at the first download"
    : `recorded in ${basename(path)}.sha256, since none was known`;
  if (json) io.stdout.write(`${JSON.stringify({ name, path, bytes, sha256, verified: isKnown })}\n`);
  else if (!quiet) io.stdout.write(`${path} ${done}, ${megabytes(bytes)}\nSHA-256 ${sha256}, ${digest}\n`);
}
