/**
 * How the end of a worker's thread is known in a browser, which has no event for it: the worker holds a Web Lock for as long as it lives, and
 * the browser grants it to the owner, who waits in line, once the thread is gone. Browsers have Web Locks wherever they share memory; in a
 * `data:` worker and a sandboxed frame, whose origin is opaque, they refuse them.
 */
import { runtime } from './host.ts';

/** The locks of a page or a worker. */
const locks = (): LockManager | undefined => globalThis.navigator?.locks;

/** Owner: a name for the lock of a worker's life, which nobody else of the origin has; none where there are no locks, or no need of them. */
export function lifeName(): string | undefined {
  return runtime().name === 'browser' && locks() ? `relpos ${crypto.randomUUID()}` : undefined;
}

/** Worker: takes the lock for good; whether it has it. That it was given a name says that it need not look at the host, which is much code. */
export function holdLife(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const held = (): Promise<never> => {
      resolve(true);
      return new Promise(() => {});
    };
    const request = locks()?.request(name, held);
    if (request) request.catch(() => resolve(false));
    else resolve(false);
  });
}

/** Owner: calls `ended` when the thread that holds the lock has ended. */
export function watchLife(name: string, ended: () => void): void {
  locks()
    ?.request(name, () => ended())
    .catch(() => {});
}
