/**
 * The service worker: the page without a network once it was loaded, and on hosts that send no headers of their own the ones
 * that threads need and the policy that nothing leaves the machine. What has a hash in its name is taken from the cache, all
 * else from the network as long as there is one.
 */
/** Of the build: names of all files, what tells it from others, and headers of the files that have some of their own. */
declare const __FILES__: string[];
declare const __VERSION__: string;
declare const __HEADERS__: Record<string, Record<string, string>>;

/** What TypeScript's types for a page lack. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}
const worker = globalThis as unknown as {
  registration: { scope: string };
  clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(name: string, listen: (event: never) => void): void;
};

const PREFIX = "sam2-studio ";
const NAME = PREFIX + __VERSION__;

worker.addEventListener("install", (event: Extendable) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener("activate", (event: Extendable) => event.waitUntil(takeOver()));
// the page asks for it when it has loaded itself, so that the two do not compete
worker.addEventListener("message", (event: Extendable) => event.waitUntil(keepAll()));
worker.addEventListener("fetch", (event: Fetching) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(worker.registration.scope)) return;
  if (new URL(request.url).pathname.includes("/model/")) return; // the command's, as large as they are
  event.respondWith(answer(request));
});

async function takeOver(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
  await worker.clients.claim();
}

async function keepAll(): Promise<void> {
  const cache = await caches.open(NAME);
  for (const file of ["./", ...__FILES__]) {
    if (!(await cache.match(file))) await cache.add(file);
  }
}

async function answer(request: Request): Promise<Response> {
  const path = request.url.slice(worker.registration.scope.length).replace(/[?#].*$/s, "");
  const cache = await caches.open(NAME);
  const kept = () => cache.match(path === "" ? "./" : path, { ignoreSearch: true });
  if (path.startsWith("assets/")) {
    const found = await kept();
    if (found) return withHeaders(found, path);
  }
  try {
    return withHeaders(await fetch(request), path);
  } catch (error) {
    const found = await kept();
    if (found) return withHeaders(found, path);
    throw error;
  }
}

function withHeaders(response: Response, path: string): Response {
  if (response.status !== 200) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(__HEADERS__[path] ?? __HEADERS__[""])) headers.set(name, value);
  return new Response(response.body, { status: 200, headers });
}
