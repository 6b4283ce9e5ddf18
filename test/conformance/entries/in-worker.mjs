// The entry in a worker of a browser, dedicated or service: answers a number of threads with what the cases find, through the message's port if it
// brings one.
import { findings } from './browser.mjs';

globalThis.addEventListener('message', (event) => {
  const [port = globalThis] = event.ports;
  const done = findings(event.data).then(
    (found) => port.postMessage({ found }),
    (error) => port.postMessage({ error: String(error?.stack ?? error) }),
  );
  // A service worker lives as long as its event.
  event.waitUntil?.(done);
});
