// The service worker: hands on what the host answers, with the two headers that the host does not send.
addEventListener('install', () => skipWaiting());

addEventListener('fetch', (event) => {
  // Files of other origins come with headers of their own, or not at all.
  if (new URL(event.request.url).origin === location.origin) event.respondWith(isolated(event.request));
});

async function isolated(request) {
  const response = await fetch(request);
  if (response.type === 'opaqueredirect') return response; // The browser follows it, and asks again.
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
