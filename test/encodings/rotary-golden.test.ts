// Golden files whose encoding is rotary: the original models' outputs, computed with angles in f64 from the tensors in the files.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import { createEngine } from '../../src/index.ts';
import { readSafetensors, type SafeTensor } from '../../src/safetensors/index.ts';

const folder = new URL('../golden/', import.meta.url);

interface Request {
  name: string;
  options: object;
  arguments?: object;
}

function numbers({ dtype, data }: SafeTensor): Float32Array | Int32Array {
  const { buffer } = Uint8Array.from(data);
  return dtype === 'I32' ? new Int32Array(buffer) : new Float32Array(buffer);
}

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .map((name) => {
    const { metadata, tensors } = readSafetensors(readFileSync(new URL(name, folder)));
    const { encoding, attention = {} } = JSON.parse(metadata.case ?? '{}') as { encoding: Request; attention: object };
    return { name: name.replace('.safetensors', ''), tensors, encoding, attention, naive: Number(metadata.naive_error) };
  })
  .filter(({ encoding }) => encoding?.name === 'rotary' || encoding?.name === 'rotaryFromConfig');

/** Replaces "@name" by the tensor of that name. */
function filled<T>(value: T, tensors: Map<string, SafeTensor>): T {
  return JSON.parse(JSON.stringify(value), (_, item) =>
    typeof item === 'string' && item.startsWith('@') ? numbers(tensors.get(item.slice(1)) as SafeTensor) : item,
  ) as T;
}

function make({ encoding, tensors }: (typeof files)[number]) {
  const entry = registry.find(({ name }) => name === encoding.name);
  return (entry as (typeof registry)[number]).make(filled(encoding.options, tensors), filled(encoding.arguments ?? {}, tensors));
}

const largest = (data: ArrayLike<number>): number => Array.from(data).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

function difference(got: Float32Array, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length);
  return largest(got.map((x, i) => x - (expected[i] as number)));
}

const rotated = files.filter(({ tensors }) => tensors.has('x'));

describe('golden rotations, positions up to 999999', () => {
  it.each(rotated)('$name', async (file) => {
    const engine = await createEngine({ threads: 1 });
    const x = engine.tensor((file.tensors.get('x') as SafeTensor).shape, numbers(file.tensors.get('x') as SafeTensor));
    const positions = numbers(file.tensors.get('positions') as SafeTensor);
    const expected = numbers(file.tensors.get('rotated') as SafeTensor);
    const encoding = make(file);
    const out = engine.rotateSync(x, encoding, { positions });
    expect(difference(out.toArray(), expected)).toBeLessThanOrEqual(2e-7 * largest(expected));
    const back = engine.rotateSync(out, encoding, { positions, inverse: true });
    expect(difference(back.toArray(), x.toArray())).toBeLessThanOrEqual(1e-6 * largest(x.toArray()));
    engine.dispose();
  });
});
