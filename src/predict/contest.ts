import type { MaskThresholds } from "./automatic_mask_options.ts";
import { best, type Candidate, type Outline } from "./mask_records.ts";

/**
 * The candidates of a crop as they come, and those that stay in the end.
 *
 * Which of them stay is known at the end only: what suppresses one now may be suppressed itself by what comes later. But no
 * more masks are held than those of the best so far, of which there are as many as boxes find room beside each other, however
 * many points are asked. The few that come back in the end without their mask are found once more.
 */
export class Contest {
  readonly #thresholds: MaskThresholds | undefined;
  /** all that came, without their masks */
  readonly #seen: Outline[] = [];
  /** with their masks: the best so far; after the end, of the winners those that are there */
  #held: readonly Candidate[] = [];
  #winners: readonly Outline[] = [];

  /** @param thresholds all stay if it is left out */
  constructor(thresholds?: MaskThresholds) {
    this.#thresholds = thresholds;
  }

  /** Those whose masks are held. */
  get held(): readonly Candidate[] {
    return this.#held;
  }

  add(found: readonly Candidate[]): void {
    this.#seen.push(...found.map(({ rle: _, ...outline }) => outline));
    this.#held = this.#best([...this.#held, ...found]);
  }

  /** No more will come. Returns the `id` of each winner whose mask is to be found again and restored. */
  end(): number[] {
    this.#winners = this.#best(this.#seen);
    const held = new Set(this.#held.map(({ id }) => id));
    return this.#winners.flatMap(({ id }) => (held.has(id) ? [] : [id]));
  }

  /** Others than those asked for may be among them. */
  restore(found: readonly Candidate[]): void {
    const isWinner = new Set(this.#winners.map(({ id }) => id));
    this.#held = [...this.#held, ...found].filter(({ id }) => isWinner.has(id));
  }

  /** Best first. */
  get winners(): Candidate[] {
    const held = new Map(this.#held.map((candidate) => [candidate.id, candidate]));
    return this.#winners.map(({ id }) => held.get(id)!);
  }

  #best<Some extends Outline>(found: readonly Some[]): readonly Some[] {
    return this.#thresholds ? best(found, this.#thresholds) : found;
  }
}
