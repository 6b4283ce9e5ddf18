// The worker of every panel; the first message names whose. One file for all, so that a visitor loads the library once, whichever panels open.
// It imports nothing before that: WebKit would run it a second time when a panel's code imports from the file that both were put into.
import type { Computing } from './start-worker.ts';

const COMPUTES: Readonly<Record<Computing, () => Promise<{ readonly api: object }>>> = {
  cell: () => import('./panels/cell/compute.ts'),
  contest: () => import('./panels/speed/contest/compute.ts'),
  length: () => import('./panels/length/compute.ts'),
  models: () => import('./panels/models/compute.ts'),
  schemes: () => import('./panels/schemes/compute.ts'),
  speed: () => import('./panels/speed/compute.ts'),
};

/** What comes while the panel's code is on its way. */
const waiting: MessageEvent[] = [];
let named = false;

async function listen(event: MessageEvent): Promise<void> {
  if (named) {
    waiting.push(event);
    return;
  }
  named = true;
  try {
    const [{ expose }, { api }] = await Promise.all([import('comlink'), COMPUTES[event.data as Computing]()]);
    removeEventListener('message', listen);
    expose(api);
    for (const { data } of waiting) dispatchEvent(new MessageEvent('message', { data }));
  } catch (error) {
    // Thrown outside of a promise it reaches the page.
    setTimeout(() => {
      throw error;
    });
  }
}

addEventListener('message', listen);
