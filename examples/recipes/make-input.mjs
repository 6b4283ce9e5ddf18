// Writes in.safetensors, something to ask the services: node make-input.mjs
import { writeFileSync } from 'node:fs';
import { writeSafetensors } from 'relpos/safetensors';

const shape = [1, 8, 64, 64]; // batch, heads, positions, width of a head
const values = (step) => Float32Array.from({ length: 8 * 64 * 64 }, (_, n) => ((n * step) % 17) / 17 - 0.5);
const tensor = (step) => ({ dtype: 'F32', shape, data: new Uint8Array(values(step).buffer) });
const asked = { encoding: { name: 'rotary', options: { dim: 64, theta: 10000, layout: 'halves' } }, attention: { causal: true } };

writeFileSync('in.safetensors', writeSafetensors({ q: tensor(1), k: tensor(2), v: tensor(3) }, { case: JSON.stringify(asked) }));
