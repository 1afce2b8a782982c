/**
 * SAM 2 behind HTTP: {@link createServer} makes a handler of requests, {@link listen} has Node answer by it. What
 * `sam2 serve` does is this.
 *
 * @packageDocumentation
 */
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";

setPlatform(nodePlatform);

export type { GuardOptions } from "./guard.ts";
export type { LoadModel } from "./images.ts";
export type { KnownImagesOptions } from "./known_images.ts";
export type { LabelStudioOptions } from "./label_studio/files.ts";
export { LIMITS, type Limits } from "./limits.ts";
export { listen, type Listening, type ListenOptions } from "./listen.node.ts";
export { createServer, type Server, type ServerOptions } from "./server.ts";
