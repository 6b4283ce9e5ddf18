const TRIED = 'isolation tried';

/** Isolates the page: installs the service worker and loads the page anew, once. Where that is no help the page goes on as it is. */
export async function isolate() {
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
