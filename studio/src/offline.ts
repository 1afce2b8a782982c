/** The service worker's part in the page's life. */

/** Was the page loaded again already, to be isolated? */
const RELOADED = "sam2-reloaded";

/**
 * Register it, so that the page works offline from now on. Where the host sends no headers, the page is loaded once more,
 * with those of the service worker, unless the visitor is at work already.
 */
export async function workOffline(isAtWork: () => boolean): Promise<void> {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  await serviceWorker.register(new URL("sw.js", document.baseURI));
  const { active } = await serviceWorker.ready;
  if (!globalThis.crossOriginIsolated && !sessionStorage.getItem(RELOADED) && !isAtWork()) {
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
    return;
  }
  active?.postMessage("keep all");
}
