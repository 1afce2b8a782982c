import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { Sam2Error, UsageError } from "../errors.ts";
import { OFFICIAL_CHECKPOINTS, type OfficialCheckpoint, officialCheckpoint } from "../io/official.ts";
import { replaceFile } from "./files.ts";
import { type Io, megabytes, Status } from "./io.ts";
import { cacheFolder } from "./models.ts";
import { addCommonOptions, type CommonOptions } from "./options.ts";
import { download, type Received } from "./resumable.ts";

const EXAMPLES = `
Names: ${OFFICIAL_CHECKPOINTS.map(({ name }) => name).join(", ")}

Examples:
  sam2 download tiny             SAM 2.1 tiny, then: sam2 segment photo.jpg --point 500,375 --model tiny
  sam2 download 2.0:large        the first release

Files go to $SAM2_CACHE, or to the system's folder for caches. An interrupted download goes on where it stopped.
Meta publishes no digests: the SHA-256 of the first download is kept beside the file, and later ones must equal it.
SAM2_DOWNLOAD_URL names a folder on a mirror that has the files under their own names.
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
  const path = join(cacheFolder(io.env), checkpoint.file);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  let isKnown = false;
  const expectDigest = async (sha256: string) => {
    isKnown = await checkDigest(path, sha256);
  };
  const { bytes, sha256 } = isThere
    ? await measure(path)
    : await fetchCheckpoint(checkpoint, path, expectDigest, new Status(io, quiet), io);
  if (isThere) await expectDigest(sha256);

  const done = isThere ? "is there already" : "downloaded";
  const digest = isKnown
    ? "as recorded at the first download"
    : `recorded in ${basename(path)}.sha256, since none was known`;
  if (json) io.stdout.write(`${JSON.stringify({ name, path, bytes, sha256, verified: isKnown })}\n`);
  else if (!quiet) io.stdout.write(`${path} ${done}, ${megabytes(bytes)}\nSHA-256 ${sha256}, ${digest}\n`);
}

async function fetchCheckpoint(
  checkpoint: OfficialCheckpoint,
  path: string,
  expectDigest: (sha256: string) => Promise<void>,
  status: Status,
  { env, signal }: Io,
): Promise<Received> {
  const { file, url: official } = checkpoint;
  const mirror = env.SAM2_DOWNLOAD_URL;
  const url = mirror ? `${mirror.replace(/\/$/, "")}/${file}` : official;
  const onProgress = progressBar(file, status);
  try {
    return await download({ url, path, signal, onProgress, expectStart, expectDigest });
  } finally {
    status.clear();
  }

  /** A .pt file is a zip archive; a login page of some network is not. */
  function expectStart(bytes: Uint8Array): void {
    const start = new TextDecoder("latin1").decode(bytes.subarray(0, 8));
    if (start.startsWith("PK")) return;
    throw new Sam2Error(url, "a .pt file", `one that begins with ${JSON.stringify(start)}`, "look at it in a browser");
  }
}

async function measure(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

/**
 * Compare with the digest on record, in the form that `sha256sum -c` reads; record it if there is none.
 *
 * @returns was there one?
 * @throws Sam2Error if it is another
 */
async function checkDigest(path: string, sha256: string): Promise<boolean> {
  const record = `${path}.sha256`;
  const text = await readFile(record, "utf8").catch(() => undefined);
  if (text === undefined) {
    await replaceFile(record, new TextEncoder().encode(`${sha256}  ${basename(path)}\n`));
    return false;
  }
  const [recorded] = text.split(" ");
  if (recorded === sha256) return true;
  const todo = `delete it and download it again; if it was replaced on purpose, delete ${record} too`;
  throw new Sam2Error(path, `SHA-256 ${recorded}, as at the first download`, sha256, todo);
}

/** sam2.1_hiera_tiny.pt  ███████░░░░░  58 %  91 of 156 MB  12.3 MB/s  5 s left */
function progressBar(file: string, status: Status) {
  const WIDTH = 24;
  let first: { time: number; bytes: number } | undefined;
  let shown = 0;
  return (received: number, total: number): void => {
    const now = performance.now();
    first ??= { time: now, bytes: received };
    if (now - shown < 100 && received < total) return;
    shown = now;
    const filled = Math.round((WIDTH * received) / total);
    const rate = (received - first.bytes) / Math.max(1, now - first.time); // bytes per ms
    const left = rate > 0 ? `${Math.ceil((total - received) / rate / 1000)} s left` : "";
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    const percent = `${Math.floor((100 * received) / total)}`.padStart(3);
    status.show(
      `${file}  ${bar} ${percent} %  ${megabytes(received)} of ${megabytes(total)}  ${(rate / 1000).toFixed(1)} MB/s  ${left}`,
    );
  };
}
