/** A process of its own, to see when it ends. The first argument says what to leave going on; kernels come in base64 as the second. */
import type { Stage } from '../../src/threads/types.ts';
import { createRig } from './rig.ts';

const [, , mode, base64 = '', seconds] = process.argv;
const module = await WebAssembly.compile(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
const rig = await createRig(module, 3);
if (rig.pool.threads !== 3) throw new Error(rig.reason);
const job = rig.job({ kernel: 'count', tiles: 100, loops: 10_000 });

if (mode === 'idle') {
  // Nothing is pending: the process must end although the pool was not disposed of.
  await rig.pool.run(job);
  console.log('idle');
} else if (mode === 'pending') {
  // The caller has nothing to do but wait for workers, again and again: the process must not end before.
  for (let i = 0; i < 20; i++) await rig.pool.run(rig.job({ kernel: 'count', tiles: 3, loops: 20_000_000 }));
  console.log('waited');
} else if (mode === 'held') {
  // One tile of a worker takes this many seconds, and the process may be stopped meanwhile.
  const long = rig.job({ kernel: 'holdOnWorker', tiles: 2 });
  const end = performance.now() + 1000 * Number(seconds);
  const timer = setInterval(() => {
    if (performance.now() < end) return;
    Atomics.store(new Int32Array(rig.memory.buffer), (long.stages[0] as Stage).job / 4 + 6, 2);
    clearInterval(timer);
  }, 100);
  console.log('begun');
  await rig.pool.run(long);
  await rig.pool.run(job);
  if (rig.pool.threads !== 3 || rig.reserve.quarantines.length) throw new Error('a worker was given up');
  console.log('finished');
  rig.pool.dispose();
} else if (mode === 'disposed') {
  const call = rig.pool.run(job).catch((error: { code: string }) => error.code);
  rig.pool.dispose();
  console.log(await call);
} else if (mode === 'trapped') {
  const call = rig.pool.run(rig.job({ kernel: 'trap', tiles: 10, trapTile: 5 })).catch((error: { code: string }) => error.code);
  console.log(await call);
  await rig.pool.run(job);
  console.log('rebuilt');
}
