import { createEngine, rotary } from 'relpos';

export async function attend(options) {
  const engine = await createEngine({ threads: 2, ...options });
  const x = engine.tensor([1, 4, 256, 64], Float32Array.from({ length: 65536 }, (_, n) => ((n * 7919) % 1009) / 1009 - 0.5));
  const out = await engine.attention(x, x, x, { encoding: rotary({ dim: 64, theta: 10000, layout: 'halves' }), causal: true });
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', out.toArray()));
  const { threads, reason, relaxedSimd } = engine.capabilities;
  engine.dispose();
  return { threads, reason, relaxedSimd, hash: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
