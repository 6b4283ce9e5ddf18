import { createEngine, rotary } from 'relpos';

const engine = await createEngine();

const x = engine.tensor(
  [1, 8, 256, 64],
  Float32Array.from({ length: 8 * 256 * 64 }, (_, n) => (n % 17) / 17 - 0.5),
);
const out = await engine.attention(x, x, x, { encoding: rotary({ dim: 64, theta: 10000, layout: 'halves' }), causal: true });

const { threads, reason } = engine.capabilities;
document.body.textContent = `${threads} thread(s)${reason ? `: ${reason}` : ''}; the last value is ${out.view().at(-1)}`;
