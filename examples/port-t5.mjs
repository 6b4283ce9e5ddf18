// Porting a layer: T5's self-attention from a safetensors file, with the checkpoint's own numbers.
//   npm run build && node examples/port-t5.mjs
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createEngine, t5 } from 'relpos';
import { readSafetensors } from 'relpos/safetensors';

const { tensors } = readSafetensors(readFileSync(new URL('data/t5.safetensors', import.meta.url)));
const floats = (name) => new Float32Array(new Uint8Array(tensors.get(name).data).buffer);

// The keys of T5's config.json that concern positions.
const config = { num_heads: 8, relative_attention_num_buckets: 32, relative_attention_max_distance: 128, is_decoder: false };

const engine = await createEngine();
const [q, k, v] = ['q', 'k', 'v'].map((name) => engine.tensor(tensors.get(name).shape, floats(name)));
const encoding = t5({
  heads: config.num_heads,
  buckets: config.relative_attention_num_buckets,
  maxDistance: config.relative_attention_max_distance,
  bidirectional: !config.is_decoder,
  table: floats('table'), // relative_attention_bias.weight of layer 0, which all layers share
});

const out = await engine.attention(q, k, v, { encoding, scale: 1 }); // T5 does not divide by √D
const ours = out.toArray();
const theirs = floats('expected');
const worst = ours.reduce((most, x, n) => Math.max(most, Math.abs(x - theirs[n])), 0);
const size = theirs.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
console.log(`out [${out.shape.join(', ')}] on ${engine.capabilities.threads} thread(s): off by ${(worst / size).toExponential(1)} of the largest value`);

// The same with the default scale 1/√D: the mistake that everybody makes once.
const wrong = (await engine.attention(q, k, v, { encoding })).toArray();
const off = wrong.reduce((most, x, n) => Math.max(most, Math.abs(x - theirs[n])), 0);
console.log(`without scale: 1 it would be off by ${(off / size).toFixed(2)}`);

engine.dispose();
process.exitCode = worst <= 2e-6 * size ? 0 : 1;
