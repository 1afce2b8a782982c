// BullMQ and its Redis client, which are installed by those who want a queue.
import { Sam2Error, UsageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import type { ModelIdentity, Task } from "./task.ts";

export type BullMQ = typeof import("bullmq");

/** A server that answers, and what talks to it. */
export interface Redis {
  bullmq: BullMQ;
  connection: { url: string; maxRetriesPerRequest: null };
}

/** What a job of the queue holds; its id is the task's key. */
export interface QueuedTask extends Omit<Task, "files"> {
  /** `bytes` in base64, where they are carried; of a folder those of its frames */
  files: { name: string; path: string; digest: string; bytes?: string; frames?: { name: string; bytes: string }[] }[];
}

const CONNECT_MS = 4000;

/** Workers of another model have another queue: their results would be others. */
export function queueName({ name, digest }: ModelIdentity): string {
  return `sam2-${name}-${digest.slice(0, 16)}`;
}

/**
 * Reach a Redis or Valkey server.
 *
 * @param notice told of settings with which jobs may get lost
 * @throws Sam2Error if a package is missing, or nobody answers within seconds; UsageError if it is no address
 */
export async function openRedis(url: string, notice: (text: string) => void): Promise<Redis> {
  const where = expectUrl(url);
  const [bullmq, ioredis] = await Promise.all(["bullmq", "ioredis"].map((name) => platform.optional(name)));
  if (!bullmq || !ioredis) {
    const missing = [!bullmq && "bullmq", !ioredis && "ioredis"].filter(Boolean).join(" and ");
    throw new Sam2Error("queue", "the packages bullmq and ioredis", `no ${missing}`, "npm install bullmq ioredis");
  }
  const { Redis } = ioredis as typeof import("ioredis");
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let reason = "";
  client.on("error", (error: NodeJS.ErrnoException) => {
    reason ||= error.message || (error.code ?? "no answer");
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), 2 * CONNECT_MS);
    });
    await Promise.race([client.connect().then(() => client.ping()), late]);
    await checkSettings(client, where, notice);
  } catch (cause) {
    const got = reason || (cause as Error).message;
    if (/^(NOAUTH|WRONGPASS)\b/.test(got)) {
      const todo = "write it into the address: redis://:PASSWORD@HOST:PORT, or redis://USER:PASSWORD@HOST:PORT";
      throw new Sam2Error(where, "the password of this Redis server", got.split(" ")[0], todo, { cause });
    }
    const todo = "start one: redis-server --appendonly yes, or correct the address";
    throw new Sam2Error(where, "a Redis server", got, todo, { cause });
  } finally {
    clearTimeout(timer);
    client.disconnect();
  }
  return { bullmq: bullmq as BullMQ, connection: { url, maxRetriesPerRequest: null } };
}

async function checkSettings(
  client: { config(get: "GET", name: string): Promise<unknown> },
  where: string,
  notice: (text: string) => void,
): Promise<void> {
  const wanted = { "maxmemory-policy": "noeviction", appendonly: "yes" };
  for (const [name, value] of Object.entries(wanted)) {
    const answer = await client.config("GET", name).catch(() => undefined); // hosted servers may not tell
    if (!Array.isArray(answer) || answer[1] === undefined || answer[1] === value) continue;
    notice(`${where}: ${name} is ${answer[1]}; with ${value} no job is lost`);
  }
}

/** The address as it may be shown: without its password. @throws UsageError */
function expectUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    if (/^(rediss?|unix):$/.test(protocol)) return `${protocol}//${host}${pathname}`;
  } catch {
    // said below
  }
  throw new UsageError("queue", "redis://HOST:PORT", "another address", "e.g. redis://127.0.0.1:6379");
}
