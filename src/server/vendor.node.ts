// As vendor.ts, for Node alone.
export { getRequestListener } from "@hono/node-server";
