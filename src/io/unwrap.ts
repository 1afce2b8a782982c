import { CheckpointError } from "../errors.ts";
import type { StoredTensor, TensorFile } from "./tensor_file.ts";

/** Where in a file the weights of the model were found. */
export interface Unwrapped {
  /** path of the dict that holds them, "" for the outermost: "model", "ema/state_dict" */
  dict: string;
  /** what stands before their names: "module.", "_orig_mod.model." */
  prefix: string;
  /** names of the tensors beside them in this dict, which are not of the model */
  leftOut: string[];
  /** other weights of such a model in the file, as dict and prefix: "ema", "state_dict: teacher." */
  others: string[];
}

/** What DistributedDataParallel, FullyShardedDataParallel, checkpoint_wrapper and torch.compile put into names. */
const WRAPPERS = /(?<=^|\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g;

/** The first convolution of SAM 2 under Meta's and under transformers' names, and of EdgeTAM. */
const ANCHOR =
  /(?<=^|\.)(image_encoder\.trunk\.patch_embed\.proj|vision_encoder\.backbone\.patch_embed\.projection|image_encoder\.trunk\.body\.stem\.conv1\.c)\.weight$/;

const AVERAGED = /(?<![a-z])(ema|swa|shadow|teacher|averaged|avg)(?![a-z])/i;

/** The weights of one model. */
interface Candidate {
  readonly dict: string;
  /** with and without wrappers */
  readonly prefixes: readonly [written: string, bare: string];
}

/**
 * The weights of SAM 2 in a file that may hold more: the dict that they are in and what stands before their names are
 * found by the first convolution. Of several sets it is the one that lies least deep, averaged ones last. Undefined if
 * there is none.
 *
 * @throws CheckpointError if two names differ by their wrappers alone
 */
export function unwrap(
  file: string,
  { tensors, nested }: TensorFile,
): { tensors: Map<string, StoredTensor>; unwrapped: Unwrapped } | undefined {
  const dicts = new Map([["", tensors], ...nested]);
  const found = [...dicts].flatMap(([dict, inside]) => candidates(dict, [...inside.keys()]));
  const [chosen, ...others] = found.sort((a, b) => rank(a) - rank(b));
  if (!chosen) return undefined;
  const [written, bare] = chosen.prefixes;
  const kept = new Map<string, StoredTensor>();
  const leftOut: string[] = [];
  for (const [name, stored] of dicts.get(chosen.dict)!) {
    const path = name.replace(WRAPPERS, "");
    const isOther = ({ dict, prefixes }: Candidate) => dict === chosen.dict && path.startsWith(prefixes[1]);
    if (!path.startsWith(bare)) {
      if (!others.some(isOther)) leftOut.push(name);
      continue;
    }
    const key = path.slice(bare.length);
    if (kept.has(key)) {
      throw new CheckpointError(`${file}: ${name}`, `one tensor for ${key}`, "two", "save the state_dict of one model");
    }
    kept.set(key, stored);
  }
  const places = others.map(({ dict, prefixes: [prefix] }) => placeText({ dict, prefix }));
  return { tensors: kept, unwrapped: { dict: chosen.dict, prefix: written, leftOut, others: places } };
}

function candidates(dict: string, names: readonly string[]): Candidate[] {
  return names.flatMap((name): Candidate[] => {
    const bare = name.replace(WRAPPERS, "");
    const [anchor] = ANCHOR.exec(bare) ?? [];
    if (anchor === undefined) return [];
    const root = `${anchor.split(".", 1)[0]}.`;
    return [{ dict, prefixes: [name.slice(0, name.lastIndexOf(root)), bare.slice(0, -anchor.length)] }];
  });
}

/** Smaller is better. */
function rank({ dict, prefixes: [written, bare] }: Candidate): number {
  const depth = dict.split("/").filter(Boolean).length + bare.split(".").length;
  return depth + (AVERAGED.test(`${dict}.${written}`) ? 100 : 0);
}

/** How a message names a place in a file. */
export function placeText({ dict, prefix }: Pick<Unwrapped, "dict" | "prefix">): string {
  return [dict, prefix].filter(Boolean).join(": ") || "the outermost dict";
}
