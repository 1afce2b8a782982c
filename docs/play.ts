/**
 * The exercises of the tour: one click on a drawn scene, or one object through a clip, on a model that is tampered with.
 *
 *     npx tsx docs/play.ts --help
 */
import { play } from "./play_command.ts";

// A reader like `head` has closed the pipe: end as any filter would.
process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? 0 : 1));
process.exitCode = await play(process.argv.slice(2));
