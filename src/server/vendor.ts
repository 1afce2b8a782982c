// What the server takes from other packages. `npm run build` puts them into this file's place, so that whoever installs the
// package need not install them.
export { toJsonSchema } from "@valibot/to-json-schema";
export { Hono } from "hono";
export { cors } from "hono/cors";
export { SaxesParser, type SaxesTagPlain } from "saxes";
export {
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
  optional,
  pipe,
  record,
  safeParse,
  string,
  tuple,
  union,
  unknown,
} from "valibot";
