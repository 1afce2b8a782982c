import { UsageError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `fetch` through the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name, but for the hosts of NO_PROXY. A name in small
 * letters counts more, as with curl. Node has no such thing before 24.
 *
 * @throws UsageError for a proxy that is none of HTTP's
 */
export async function environmentFetch(env: Environment): Promise<typeof fetch> {
  const read = (name: string) => env[name.toLowerCase()] || env[name];
  const all = read("ALL_PROXY");
  const proxies = { httpsProxy: read("HTTPS_PROXY") ?? all, httpProxy: read("HTTP_PROXY") ?? all };
  for (const proxy of Object.values(proxies)) {
    if (proxy && !/^https?:\/\//.test(proxy)) {
      const todo = "name one that speaks HTTP, or unset the variable";
      throw new UsageError("HTTPS_PROXY", "an address of http:// or https://", `"${proxy}"`, todo);
    }
  }
  if (!proxies.httpsProxy && !proxies.httpProxy) return fetch;
  const { EnvHttpProxyAgent, fetch: fetchBy } = await import("./vendor.node.ts");
  const dispatcher = new EnvHttpProxyAgent({ ...proxies, noProxy: read("NO_PROXY") ?? "" });
  const throughProxy = (url: string, init: object) => fetchBy(url, { ...init, dispatcher });
  return throughProxy as unknown as typeof fetch;
}
