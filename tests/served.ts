import { preview } from "vite";

/** The files of a folder on a server of its own, with `headers`, for as long as its address is used. */
export async function served<R>(
  folder: string,
  headers: Record<string, string>,
  use: (url: string) => Promise<R>,
): Promise<R> {
  const server = await preview({
    root: folder,
    configFile: false,
    logLevel: "error",
    build: { outDir: folder },
    preview: { port: 0, headers },
  });
  try {
    return await use(server.resolvedUrls!.local[0]);
  } finally {
    await server.close();
  }
}
