import { expect, test, vi } from 'vitest';
import { compileKernels } from './kernels.ts';
import { createRig } from './rig.ts';

// What a page meets whose files were replaced by those of a newer version while it was open.
vi.mock('../../src/threads/worker-group.ts', () => {
  throw new Error('no such file');
});

test('where the file that starts workers cannot be loaded there is one thread, which says why and works', async () => {
  const module = await WebAssembly.compile(await compileKernels());
  const rig = await createRig(module, 4);
  expect(rig.pool.threads).toBe(1);
  expect(rig.pool.reason).toMatch(/module/);
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 20 }));
  rig.assertOnce(20);
  rig.pool.dispose();
});
