import type { Limits } from "./limits.ts";
import { everythingRequest, predictRequest, segmentRequest } from "./schemas.ts";
import { type GenericSchema, toJsonSchema } from "./vendor.ts";

const number = { type: "number" };
const integer = { type: "integer" };
const string = { type: "string" };
const list = (items: object, description?: string) => ({ type: "array", items, description });
const object = (properties: Record<string, object>, description?: string) => ({
  type: "object",
  properties,
  description,
});

const rle = object({ size: list(integer, "[height, width]"), counts: string }, "COCO's compressed run lengths");
const bbox = list(number, "[x, y, width, height] in pixels");
const head = {
  image: object({ path: string, width: integer, height: integer }),
  model: object({ name: string, version: string, imageSize: integer }),
};
const mask = object({ iou: number, area: integer, bbox, rle });
const record = object({
  area: integer,
  bbox,
  predicted_iou: number,
  stability_score: number,
  point_coords: list(list(number)),
  crop_box: list(number),
  segmentation: rle,
});
const prompts = list(object({ name: string, multimask: { type: "boolean" }, masks: list(mask) }));
const prediction = object({ result: list({ type: "object" }), score: number, model_version: string });
const health = object({ status: string, model_class: string });

const json = (schema: object, description: string) => ({ description, content: { "application/json": { schema } } });

/** Answers of every route that takes a body. */
const PROBLEMS: Record<string, string> = {
  400: "The body is no JSON.",
  401: "The token is missing, or another one.",
  403: "Asked by a name, or from a page, that the server does not know.",
  404: "The image that is named by sha256:… is not known any more.",
  408: "The body came too slowly.",
  413: "The body is too large.",
  415: "The body is not said to be JSON.",
  422: "What is asked cannot be done; the error says why.",
  503: "Too many requests wait; Retry-After says for how long.",
};

/** What the server answers to what, as OpenAPI 3.1 describes it. */
export function openApi(limits: Limits): object {
  const error = { $ref: "#/components/schemas/Error" };
  const problems = Object.fromEntries(Object.entries(PROBLEMS).map(([status, text]) => [status, json(error, text)]));
  const post = (summary: string, request: GenericSchema, answer: object) => ({
    post: {
      summary,
      requestBody: { required: true, ...json(schemaOf(request), "") },
      responses: { 200: json(answer, "Done."), ...problems },
    },
  });
  const get = (summary: string, answer: object) => ({ get: { summary, responses: { 200: answer } } });
  const any = { type: "object" };
  return {
    openapi: "3.1.0",
    info: { title: "sam2 serve", version: "1", description: "Segment Anything 2: masks for clicks, boxes and masks." },
    components: {
      schemas: { Error: { ...object({ error: string, type: string }), required: ["error", "type"] } },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" }, basic: { type: "http", scheme: "basic" } },
    },
    security: [{}, { bearer: [] }, { basic: [] }],
    paths: {
      "/segment": post("Masks for prompts", segmentRequest(limits), object({ ...head, prompts })),
      "/everything": post("Masks of everything", everythingRequest, object({ ...head, masks: list(record) })),
      "/predict": post("Label Studio: masks or tracks", predictRequest, object({ results: list(prediction) })),
      "/setup": {
        post: {
          summary: "Label Studio: the model's name",
          requestBody: { ...json(any, "") },
          responses: { 200: json(object({ model_version: string }), "Done."), ...problems },
        },
      },
      "/webhook": {
        post: {
          summary: "Label Studio: what people do there; it is not used",
          requestBody: { ...json(any, "") },
          responses: { 200: json(any, "Done."), ...problems },
        },
      },
      "/": get("Label Studio: is it there?", json(health, "It is.")),
      "/health": get("Is it there? No token is needed.", json(health, "It is.")),
      "/metrics": get("Figures for Prometheus", {
        description: "Text.",
        content: { "text/plain": { schema: string } },
      }),
      "/openapi.json": get("This description", json(any, "JSON.")),
    },
  };
}

function schemaOf(schema: GenericSchema): object {
  const { $schema: _, ...rest } = toJsonSchema(schema);
  return rest;
}
