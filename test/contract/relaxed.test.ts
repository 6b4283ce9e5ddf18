/** `relaxedSimd` says what runs: other bits than the reproducible ones, or the same and the reason. */
import { expect, test } from 'vitest';
import { createEngine, createEngineSync, type Engine } from '../../src/index.ts';
import { hasRelaxedSimd } from '../../src/wasm/kernels.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';

async function bitsOf(engine: Engine): Promise<string> {
  const [q, k] = [engine.tensor([1, 2, 40, 64], numbers(5120, 1)), engine.tensor([1, 2, 40, 64], numbers(5120, 2))];
  const out = await engine.attention(q, k, k);
  const bits = hashBits(out.toArray());
  engine.dispose();
  return bits;
}

test('precision relaxed: relaxedSimd and the bits agree, and a reason says why not', async () => {
  const reproducible = await bitsOf(createEngineSync());
  for (const engine of [createEngineSync({ precision: 'relaxed' }), await createEngine({ precision: 'relaxed', threads: 1 })]) {
    const { relaxedSimd, reason } = engine.capabilities;
    expect(relaxedSimd).toBe(hasRelaxedSimd());
    if (relaxedSimd) expect(reason).toBe(undefined);
    else expect(reason).toMatch(/does not fuse multiply and add/);
    expect((await bitsOf(engine)) === reproducible).toBe(!relaxedSimd);
  }
  const plain = createEngineSync();
  expect(plain.capabilities.reason).toBe(undefined);
  plain.dispose();
});
