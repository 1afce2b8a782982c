// Where a task's image or video lies: in the task itself, at Label Studio, or at an address that is allowed.
import { ImageError, UsageError } from "../../errors.ts";
import type { AllowedPrefix } from "../allowed.ts";

/** Label Studio, as this server asks it for the files of tasks. */
export interface LabelStudioOptions {
  /** e.g. "http://localhost:8080" */
  url: string;
  /** of an account there, legacy or personal; without one, files that it keeps cannot be had */
  token?: string;
}

/** What it allows: the files that Label Studio keeps, with the account's token. @throws UsageError */
export function labelStudioPrefixes({ url, token }: LabelStudioOptions, fetcher: typeof fetch): AllowedPrefix[] {
  if (!/^https?:\/\/[^/]/.test(url)) {
    throw new UsageError("--label-studio-url", "an http(s) address", `"${url}"`, "e.g. http://localhost:8080");
  }
  const headers = token === undefined ? undefined : tokenHeaders(url, token, fetcher);
  return ["data/", "storage-data/", "tasks/"].map((path) => ({ prefix: `${withoutSlash(url)}/${path}`, headers }));
}

/** The address of what a task names; what it holds itself, and other addresses, as they are. @throws ImageError */
export function locate(
  file: unknown,
  task: { id?: number | string | null },
  labelStudio: LabelStudioOptions | undefined,
  where: string,
): string {
  if (typeof file !== "string" || file === "") {
    throw new ImageError(
      where,
      "an address",
      JSON.stringify(file)?.slice(0, 60) ?? "nothing",
      "give the task an image",
    );
  }
  const isCloud = /^(s3|gs|azure-blob):/i.test(file);
  const isKept = /^\/?(data\/|upload\/|storage-data\/)/.test(file);
  if (!isCloud && !isKept) return file;
  if (labelStudio?.token === undefined) {
    const todo = "start the server with --label-studio-url and --label-studio-token";
    throw new ImageError(where, "a file that this server can fetch", file.slice(0, 100), todo);
  }
  const base = withoutSlash(labelStudio.url);
  if (!isCloud) return `${base}/${file.replace(/^\//, "").replace(/^upload\//, "data/upload/")}`;
  if (task.id === undefined || task.id === null) throw new ImageError(where, "the task's id", "none", "send it");
  return `${base}/tasks/${encodeURIComponent(task.id)}/presign/?fileuri=${base64url(file)}`;
}

/** How long before its end a short-lived token is replaced, s. */
const MARGIN = 30;

/** Personal tokens, which are JSON web tokens, are exchanged for short-lived ones. */
function tokenHeaders(url: string, token: string, fetcher: typeof fetch): AllowedPrefix["headers"] {
  if (token.split(".").length !== 3) return async () => ({ authorization: `Token ${token}` });
  let access = { token: "", until: 0 };
  return async () => {
    if (Date.now() / 1000 > access.until - MARGIN) {
      const response = await fetcher(`${withoutSlash(url)}/api/token/refresh`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ refresh: token }),
      });
      const answer = (await response.json().catch(() => undefined)) as { access?: string } | undefined;
      if (!response.ok || typeof answer?.access !== "string") {
        const got = `HTTP ${response.status}`;
        throw new ImageError("--label-studio-token", "a token that Label Studio takes", got, "make a new one there");
      }
      access = { token: answer.access, until: expiryOf(answer.access) };
    }
    return { authorization: `Bearer ${access.token}` };
  };
}

/** Of a JSON web token. @units s since 1970 */
function expiryOf(token: string): number {
  try {
    const claims = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return Number((JSON.parse(claims) as { exp?: unknown }).exp) || 0;
  } catch {
    return 0;
  }
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

function base64url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_");
}
