import { PromptError } from "../errors.ts";
import { expectNames } from "../io/options.ts";

/**
 * A misspelt field would otherwise be passed over, and another mask come out. Fields of value undefined or null count as
 * left out, and do not come back.
 *
 * @throws PromptError with the first field that is not known, and the known one that is nearest to it
 */
export function expectFields<P extends object>(given: P, known: readonly string[], where: string): P {
  const fields = Object.entries(given ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const names = fields.map(([name]) => name);
  expectNames(names, known, `fields named ${known.join(", ")}`, where, PromptError);
  return Object.fromEntries(fields) as P;
}
