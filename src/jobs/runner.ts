import type { JobContext } from "./image_job.ts";
import type { JobResult } from "./process.ts";
import type { ModelIdentity, Task } from "./task.ts";

/** How a task ended, and at which attempt. */
export type Ending = {
  /** 1 if there was one alone */
  attempts: number;
} & (
  | {
      /** what its file holds */
      result: JobResult;
    }
  | {
      /** why there is none, in one line */
      error: string;
      /** might it succeed later? */
      isAccident: boolean;
    }
);

/** What goes with a task that is tried again if it fails by accident. */
export interface RunContext extends JobContext {
  /** how often it is tried again */
  retries: number;
}

/** Who computes: processes of this machine, or workers behind a queue. */
export interface Runner {
  /** what computes */
  readonly model: ModelIdentity;
  /** so many tasks at a time */
  readonly capacity: number;
  /** must tasks come with the bytes of their files? */
  readonly wantsBytes: boolean;
  /** Compute one. @throws the signal's reason if aborted; Sam2Error if nothing can be computed at all */
  run(task: Task, context: RunContext): Promise<Ending>;
  /** Let go of it. */
  close(): Promise<void>;
}

/** What images under way have to end in, when no more jobs are taken. */
export const GRACE_MS = 6000;

/** So many worker processes may end with a task. */
export const MOST_DEATHS = 2;

/** What is said of a task that is given up. */
export function givenUp(where: string): string {
  return `${where}: expected a job that can be computed, got the end of ${MOST_DEATHS} worker processes; look at its input, and at the machine's memory`;
}
