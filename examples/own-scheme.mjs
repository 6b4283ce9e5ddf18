// A position scheme of one's own: it says what it lowers to, and every kernel, thread and shard works with it.
//   npm run build && node examples/own-scheme.mjs
import { createEngine, defineEncoding } from 'relpos';

/** The bias falls with the logarithm of the distance, in each head by another slope. */
const logarithmic = (heads) =>
  defineEncoding({
    name: 'logarithmic',
    lower: ({ math }) => ({
      biases: [
        {
          kind: 'offset',
          heads,
          // `math` gives the same bits on every host; Math.log does not.
          fill(out, first, count) {
            for (let h = 0; h < heads; h++) {
              for (let n = 0; n < count; n++) out[h * count + n] = -math.log(1 + Math.abs(first + n)) / (h + 1);
            }
          },
        },
      ],
    }),
  });

const engine = await createEngine();
// Queries and keys of zeros: what remains of the scores is the bias. Values of the identity: the output is the weights.
const [heads, keys] = [2, 6];
const zeros = engine.tensor([1, heads, keys, 8]);
const identity = Float32Array.from({ length: heads * keys * keys }, (_, n) => (Math.floor(n / keys) % keys === n % keys ? 1 : 0));
const weights = await engine.attention(zeros, zeros, engine.tensor([1, heads, keys, keys], identity), {
  encoding: logarithmic(heads),
  causal: true,
});
const numbers = weights.toArray();
for (let h = 0; h < heads; h++) {
  console.log(`head ${h}`);
  for (let i = 0; i < keys; i++) {
    const row = numbers.subarray((h * keys + i) * keys, (h * keys + i + 1) * keys);
    console.log(`  ${[...row].map((x) => (x === 0 ? '  ·  ' : x.toFixed(3))).join(' ')}`);
  }
}
engine.dispose();
