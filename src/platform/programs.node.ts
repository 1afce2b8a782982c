/** The thread that starts programs and reads what they write, see node_programs.ts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parentPort } from "node:worker_threads";
import type { FromPrograms, ToPrograms } from "./node_programs.ts";

interface Running {
  /** the next bytes, fewer at the end */
  read(length: number, room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  stop(): void;
}

const port = parentPort!;
const running = new Map<number, Running>();
const tell = (message: FromPrograms, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

port.on("message", async (message: ToPrograms) => {
  const { id, type } = message;
  if (type === "start") {
    await start(message);
  } else if (type === "read") {
    const bytes = (await running.get(id)?.read(message.length, message.room)) ?? new Uint8Array();
    tell({ id, type: "bytes", bytes }, [bytes.buffer]);
  } else {
    running.get(id)?.stop();
    running.delete(id);
  }
});

/** In a process group of its own, so that Ctrl-C in a terminal reaches the process alone, which ends it when it should. */
async function start({ id, name, args, env }: Extract<ToPrograms, { type: "start" }>): Promise<void> {
  const detached = process.platform !== "win32";
  const child = spawn(name, args, { env, detached, windowsHide: true, stdio: ["ignore", "pipe", "pipe"] });
  child.stderr.setEncoding("utf8").on("data", (text: string) => tell({ id, type: "said", text }));
  child.once("close", (code, signal) => {
    tell({ id, type: "ended", how: signal ? `signal ${signal}` : `exit code ${code}` });
  });
  try {
    await once(child, "spawn");
    running.set(id, { read: reader(child.stdout), stop: () => child.stdout.destroy() });
    tell({ id, type: "started", pid: child.pid! });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    tell({ id, type: "failed", message, code });
  }
}

/** One chunk is always asked for: a program does not end before somebody has seen the end of what it wrote. */
function reader(stdout: AsyncIterable<Uint8Array>): Running["read"] {
  const chunks = stdout[Symbol.asyncIterator]();
  const ask = () => chunks.next().catch(() => ({ done: true, value: undefined }) as const); // it was stopped
  let next = ask();
  let rest = new Uint8Array();
  return async (length, data = new Uint8Array(length)) => {
    let at = 0;
    while (at < length) {
      if (rest.length === 0) {
        const { done, value } = await next;
        if (done) break;
        rest = value as typeof rest;
        next = ask();
      }
      const part = rest.subarray(0, length - at);
      data.set(part, at);
      at += part.length;
      rest = rest.subarray(part.length);
    }
    return at < length ? data.slice(0, at) : data;
  };
}
