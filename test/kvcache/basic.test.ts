import { afterAll, expect, test } from 'vitest';
import { createEngine, rotary } from '../../src/index.ts';
const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());
test('token by token', async () => {
  const B = 2, H = 4, G = 2, D = 16, T = 150;
  const data = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.37 + seed) * 1.5);
  const q = engine.tensor([B, H, T, D], data(B * H * T * D, 1));
  const k = engine.tensor([B, G, T, D], data(B * G * T * D, 2));
  const v = engine.tensor([B, G, T, D], data(B * G * T * D, 3));
  const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
  const whole = (await engine.attention(q, k, v, { encoding, causal: true })).toArray();
  for (const rotate of ['on-append', 'on-read'] as const) {
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T, pageSize: 16, encoding, rotate });
    for (let t = 0; t < T; t++) {
      const at = (x: typeof q) => x.slice(null, null, [t, t + 1]);
      const out = (await engine.attention(at(q), at(k), at(v), { cache, causal: true })).toArray();
      for (let r = 0; r < B * H; r++)
        expect([...out.subarray(r * D, (r + 1) * D)]).toEqual([...whole.subarray((r * T + t) * D, (r * T + t + 1) * D)]);
    }
    cache.dispose();
  }
});
