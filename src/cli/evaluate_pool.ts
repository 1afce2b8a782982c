import { packError, type PackedError, unpackError } from "../engine/packed_error.ts";
import { evaluateVideo, type Pair, type VideoScores } from "../evaluate/evaluate_video.ts";
import { openWorker } from "../platform/node_workers.ts";

/** What a worker says of a video. */
export type Answer = { scores: VideoScores } | { error: PackedError };

/** Never rejects: an error is an answer. */
export async function answerFor(pair: Pair): Promise<Answer> {
  return evaluateVideo(pair).then(
    (scores) => ({ scores }),
    (error) => ({ error: packError(error) }),
  );
}

const PROGRAM = new URL("evaluate_worker.js", import.meta.url);

/**
 * The scores of all pairs, in their order, by as many workers as there are cores; a single pair is done here.
 *
 * @throws the first error that a worker meets; the signal's reason if aborted
 */
export async function evaluateAll(
  pairs: readonly Pair[],
  cores: number,
  signal: AbortSignal,
  onDone: (done: number) => void,
): Promise<VideoScores[]> {
  if (pairs.length === 1) return [await evaluateVideo(pairs[0])];
  const results: VideoScores[] = [];
  let [next, done] = [0, 0];
  const workers = Array.from({ length: Math.min(cores, pairs.length) }, () => openWorker(PROGRAM));
  try {
    await new Promise<void>((resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      for (const worker of workers) {
        let current = 0;
        const take = () => {
          current = next++;
          if (current < pairs.length) worker.postMessage(pairs[current]);
        };
        worker.on("message", (answer: Answer) => {
          if ("error" in answer) return reject(unpackError(answer.error));
          results[current] = answer.scores;
          onDone(++done);
          if (done === pairs.length) resolve();
          take();
        });
        worker.on("error", reject);
        take();
      }
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}
