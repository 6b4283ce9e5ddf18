// One piece of work at a time on a model: what it leaves in memory is read before the next one writes there.

import type { Driver } from './driver-types.ts';

/** The last piece of work of each driver that had to be alone. */
const turns = new WeakMap<Driver, Promise<unknown>>();

/** Does `work` when all that was begun before on this driver is done. */
export async function alone<T>(driver: Driver, work: () => Promise<T>): Promise<T> {
  const before = turns.get(driver);
  const own = (async () => {
    await before?.catch(() => {});
    return work();
  })();
  turns.set(driver, own);
  return own;
}
