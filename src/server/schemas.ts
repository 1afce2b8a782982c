// What requests hold, as schemas: they are checked by them, and openapi.json describes them. What a prompt means is checked
// with the image at hand, as everywhere.
import type { Limits } from "./limits.ts";
import { Problem } from "./problem.ts";
import {
  array,
  boolean,
  description,
  type GenericSchema,
  getDotPath,
  type InferOutput,
  looseObject,
  maxLength,
  minLength,
  nullish,
  number,
  pipe,
  record,
  safeParse,
  string,
  tuple,
  union,
  unknown,
} from "./vendor.ts";

const image = pipe(
  string(),
  minLength(1),
  description(
    "the file of an image in base64, also as data:image/…;base64,…; an address that the server allows; or, to /segment, " +
      "image.path of an earlier answer, sha256:…, as long as the server knows the image",
  ),
);
const id = nullish(pipe(union([string(), number()]), description("whatever you call the request; comes back")));

const segmentation = union([
  looseObject({ size: tuple([number(), number()]), counts: union([string(), array(number())]) }),
  array(array(number())),
]);

const prompt = looseObject({
  points: nullish(pipe(array(array(number())), description("clicks, [x, y] in pixels"))),
  labels: nullish(pipe(array(number()), description("for each click 1, on the object, or 0; all 1 if left out"))),
  box: nullish(pipe(array(number()), description("[x0, y0, x1, y1] in pixels"))),
  maskInput: nullish(pipe(string(), description("what --save-logits writes, as data:;base64,…"))),
  maskImage: nullish(
    pipe(
      union([string(), segmentation]),
      description("a mask: a picture as data:;base64,…, or COCO's run lengths or polygons"),
    ),
  ),
  multimask: nullish(pipe(boolean(), description("three masks or one; three for a single click if left out"))),
  name: nullish(pipe(string(), description("comes back with its masks"))),
});

export function segmentRequest({ prompts }: Limits) {
  return looseObject({
    id,
    image,
    prompts: pipe(array(prompt), minLength(1), maxLength(prompts)),
  });
}

const point = tuple([number(), number()]);

export const everythingRequest = looseObject({
  id,
  image,
  everything: nullish(
    pipe(
      record(string(), union([number(), boolean(), array(array(point))])),
      description("options of AutomaticMaskGenerator, e.g. pointsPerSide; defaults for what is left out"),
    ),
  ),
});

const region = looseObject({
  type: string(),
  to_name: nullish(string()),
  value: nullish(looseObject({}), {}), // a relation of two regions has none
});

export type Region = InferOutput<typeof region> & Record<string, unknown>;

export const predictRequest = looseObject({
  tasks: pipe(
    array(looseObject({ id: nullish(union([number(), string()])), data: record(string(), unknown()) })),
    description("Label Studio's tasks"),
  ),
  project: nullish(unknown()),
  label_config: nullish(pipe(string(), description("the XML of the labelling interface"))),
  params: nullish(
    looseObject({
      context: nullish(looseObject({ result: nullish(array(region)) })),
    }),
  ),
});

/** @throws Problem 422 naming the first field that does not fit */
export function parse<S extends GenericSchema>(schema: S, value: unknown, where: string): InferOutput<S> {
  const result = safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = getDotPath(issue);
  const [, sign, count] = /^([<>])=(\d+)$/.exec(issue.expected ?? "") ?? [];
  throw new Problem(422, [
    path === null ? where : `${where}.${path}`,
    sign ? `at ${sign === "<" ? "most" : "least"} ${count}` : issue.expected!,
    issue.received === "undefined" ? "none" : issue.received.slice(0, 60),
    "see /openapi.json",
  ]);
}
