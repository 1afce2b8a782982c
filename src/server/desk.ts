import { EngineError } from "../errors.ts";
import { Lane, type Place } from "./lane.ts";

/** What a desk works with: a model, and what belongs to it. */
export interface Tool {
  dispose(): Promise<void>;
}

/** A tool and those who wait for it; it is made when it is first needed, and again after its engine has died. */
export class Desk<T extends Tool> {
  readonly lane = new Lane();
  readonly #make: () => Promise<T>;
  #tool: Promise<T> | undefined;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  /** @throws whatever making it throws */
  async tool(): Promise<T> {
    this.#tool ??= this.#make();
    try {
      return await this.#tool;
    } catch (error) {
      this.#tool = undefined;
      throw error;
    }
  }

  /** @throws as `Lane.run` and the task do */
  run<R>(task: (tool: T) => Promise<R>, place: Place, lane = this.lane): Promise<R> {
    return lane.run(async () => {
      const tool = await this.tool();
      try {
        return await task(tool);
      } catch (error) {
        if (error instanceof EngineError) await this.dispose();
        throw error;
      }
    }, place);
  }

  async dispose(): Promise<void> {
    const tool = this.#tool;
    this.#tool = undefined;
    await (await tool?.catch(() => undefined))?.dispose();
  }
}
