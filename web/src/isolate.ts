const TRIED = 'isolation tried';

/**
 * Threads share memory only in a page with two headers. Where the host does not send them a service worker adds them, and the page loads anew,
 * once; where that is no help it goes on with one thread.
 */
export async function isolate(): Promise<void> {
  if (import.meta.env.DEV) return; // The server of the development sends the headers.
  try {
    if (crossOriginIsolated) return sessionStorage.removeItem(TRIED);
    if (sessionStorage.getItem(TRIED)) return;
    await navigator.serviceWorker.register('isolation.js');
    await navigator.serviceWorker.ready;
    sessionStorage.setItem(TRIED, 'yes');
  } catch {
    return; // No service workers: not https, a private window, storage turned off.
  }
  location.reload();
  await new Promise(() => {}); // Nothing more of this page.
}

/** Loads the page anew, and lets the service worker have another try. */
export function tryIsolationAgain(): void {
  try {
    sessionStorage.removeItem(TRIED);
  } catch {} // Without storage nothing was noted.
  location.reload();
}
