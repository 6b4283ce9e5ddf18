// The entry in a page: puts what the tests ask of a page among the globals. The page loads the packed library's files by an import map, or this
// bundled with it. Its workers are in-worker.mjs, bundled.
import * as relpos from 'relpos';
import { findings } from './browser.mjs';
import { framesDuringCall } from './frames.mjs';

/** A worker of the page's own, for policies that allow no other. */
const worker = () => new Worker('/node_modules/relpos/dist/threads/worker-entry.js', { type: 'module' });

/** What a worker answers; an error of its script has no message where a policy refuses it. */
const answer = (port, errors) =>
  new Promise((resolve, reject) => {
    port.onmessage = ({ data: { found, error } }) => (found ? resolve(found) : reject(new Error(error)));
    errors.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
  });

async function inDedicatedWorker(threads) {
  const dedicated = new Worker('/in-worker.js');
  try {
    dedicated.postMessage(threads);
    return await answer(dedicated, dedicated);
  } finally {
    dedicated.terminate();
  }
}

async function inServiceWorker(threads) {
  const registration = await navigator.serviceWorker.register('/in-worker.js', { scope: '/service/' });
  const { port1, port2 } = new MessageChannel();
  try {
    const service = registration.installing ?? registration.waiting ?? registration.active;
    const found = answer(port1, service);
    service.postMessage(threads, [port2]);
    return await found;
  } finally {
    port1.close();
    await registration.unregister();
  }
}

/** An engine's capabilities, or the error that it was refused with. */
async function start(threads) {
  try {
    const engine = await relpos.createEngine({ threads, logger: { warn() {} } });
    const { capabilities } = engine;
    engine.dispose();
    return capabilities;
  } catch ({ name, code, message }) {
    return { error: { name, code, message } };
  }
}

globalThis.tests = {
  page: (threads) => findings(threads),
  own: (threads) => findings(threads, { worker }),
  dedicated: inDedicatedWorker,
  service: inServiceWorker,
  frames: (threads) => framesDuringCall(relpos, threads),
  start,
};
