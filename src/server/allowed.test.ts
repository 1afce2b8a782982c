import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Allowed } from "./allowed.ts";
import { LIMITS } from "./limits.ts";

const signal = new AbortController().signal;
const asked: { url: string; headers: unknown }[] = [];

/** A network: addresses and what they answer. */
function allowed(prefixes: readonly string[], answers: Record<string, () => Response> = {}, limits = LIMITS): Allowed {
  asked.length = 0;
  const fetcher = async (url: string, init: RequestInit) => {
    asked.push({ url, headers: init.headers });
    return answers[url]?.() ?? new Response("ok");
  };
  const headers = async () => ({ authorization: "Token t" });
  return new Allowed(
    prefixes.map((prefix, i) => ({ prefix, ...(i === 0 && { headers }) })),
    limits,
    fetcher as typeof fetch,
  );
}

const redirect = (location: string) => () => new Response(null, { status: 302, headers: { location } });

const Places = suite("addresses that are allowed");

Places("below a prefix, whole names of the path, and nothing else", async () => {
  const places = allowed(["https://a.example/photos", "http://10.0.0.5:8080/"]);
  for (const address of ["https://a.example/photos", "https://a.example/photos/x.jpg?y=1", "http://10.0.0.5:8080/z"]) {
    assert.equal(await places.fetch(address, "image", signal), new TextEncoder().encode("ok"));
  }
  asked.length = 0;
  for (const address of [
    "https://a.example/photos2/x.jpg",
    "https://a.example/",
    "https://a.example/photos/../secret",
    "https://a.example/photos/%2e%2e/secret",
    "http://a.example/photos/x.jpg",
    "https://a.example:444/photos/x.jpg",
    "https://a.example.evil.example/photos/x.jpg",
    "https://a.example@evil.example/photos/x.jpg",
    "https://me:secret@a.example/photos/x.jpg",
    "http://10.0.0.5/z",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "ftp://a.example/photos/x",
    "https://",
  ]) {
    const error = await places.fetch(address, "image", signal).then(
      () => undefined,
      (error) => error,
    );
    assert.is(error?.status, 422, address);
    assert.match(error.message, /image: expected an address below https:\/\/a\.example\/photos/);
  }
  assert.equal(asked, []);
});

Places("a redirect is followed as far as it is allowed, without the headers of another place", async () => {
  const places = allowed(["https://a.example/", "https://b.example/"], {
    "https://a.example/1": redirect("/2"),
    "https://a.example/2": redirect("https://b.example/3"),
    "https://a.example/inside": redirect("http://127.0.0.1:6379/"),
    "https://a.example/round": redirect("/round"),
  });
  await places.fetch("https://a.example/1", "image", signal);
  assert.equal(
    asked.map(({ url }) => url),
    ["https://a.example/1", "https://a.example/2", "https://b.example/3"],
  );
  assert.equal(asked.at(0)!.headers, { authorization: "Token t" });
  assert.equal(asked.at(-1)!.headers, {});
  const failure = (address: string) =>
    places.fetch(address, "image", signal).then(
      () => "",
      ({ message }) => message,
    );
  assert.match(await failure("https://a.example/inside"), /got http:\/\/127\.0\.0\.1:6379\//);
  assert.match(await failure("https://a.example/round"), /at most 5 redirects/);
});

Places("what is missing, or too large, is said", async () => {
  const places = allowed(
    ["https://a.example/"],
    {
      "https://a.example/no": () => new Response("", { status: 404 }),
      "https://a.example/large": () => new Response("x".repeat(101)),
    },
    { ...LIMITS, fetchedBytes: 100 },
  );
  const failure = (address: string) =>
    places.fetch(address, "image", signal).then(
      () => "",
      ({ message }) => message,
    );
  assert.match(await failure("https://a.example/no"), /HTTP 404 of https:\/\/a\.example\/no/);
  assert.match(await failure("https://a.example/large"), /at most 100 bytes/);
});

Places("a prefix without a host, or of another scheme, is refused at once", () => {
  for (const prefix of ["https://", "http", "", "*", "file:///", "https://u:p@a.example/"]) {
    assert.throws(() => allowed([prefix]), /--allow-url: expected an http\(s\) address with a host/);
  }
});

Places.run();
