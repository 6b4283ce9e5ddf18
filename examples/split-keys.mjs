// Attention over keys in two places: each computes its part with positions of the whole, and the parts are merged.
//   npm run build && node examples/split-keys.mjs
import process from 'node:process';
import { alibi, createEngine } from 'relpos';

const engine = await createEngine();
const [H, L, S, D] = [8, 16, 1000, 64];
const tensor = (rows, seed) => engine.tensor([1, H, rows, D], Float32Array.from({ length: H * rows * D }, (_, n) => Math.sin(n * seed)));
const [q, k, v] = [tensor(L, 0.37), tensor(S, 0.73), tensor(S, 0.11)];
const options = { encoding: alibi({ heads: H }), causal: true };

const whole = (await engine.attention(q, k, v, options)).toArray();

// Slices share memory with the tensor they come from; on two hosts each would hold its own part.
const part = async (from, to) => {
  const [keys, values] = [k, v].map((x) => x.slice(null, null, [from, to]));
  return engine.attentionPartial(q, keys, values, { ...options, keyOffset: from, totalKeys: S });
};
const { out } = await engine.mergeStates([await part(0, 700), await part(700, 1000)]);

const merged = out.toArray();
const worst = merged.reduce((most, x, n) => Math.max(most, Math.abs(x - whole[n])), 0);
console.log(`${S} keys as 700 + 300: the merged output is off by ${worst.toExponential(1)} from the whole`);
engine.dispose();
process.exitCode = worst < 1e-6 ? 0 : 1;
