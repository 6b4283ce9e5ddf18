/** Every golden file with its keys in shards: what the original gives for the whole, from parts that know where they stand. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import { type AttentionOptions, createEngineSync, type MergeOptions, type Tensor } from '../../src/index.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { attentionOptions, encodingsOf, type GoldenFile, isRotation, type Make, numbersOf, shapeOf } from '../conformance/golden.ts';
import { goldenTolerance } from '../reference/golden-tolerance.ts';
import { distance } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const folder = new URL('../golden/', import.meta.url);
const make: Make = (name) => registry.find((entry) => entry.name === name)?.make;
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .map((name): { name: string; file: GoldenFile } => ({ name, file: readSafetensors(readFileSync(new URL(name, folder))) }))
  .filter(({ name, file }) => !isRotation(file) && !name.startsWith('llama_far'));

test.each(files)('$name', async ({ name, file }) => {
  const [q, k, v] = ['q', 'k', 'v'].map((part) => engine.tensor(shapeOf(file, part), numbersOf(file, part))) as [Tensor, Tensor, Tensor];
  // Sinks belong to the whole.
  const { sinks, ...options } = attentionOptions(engine, file) as AttentionOptions & MergeOptions;
  const encoding = encodingsOf(make, engine, file);
  const S = k.shape[2] as number;
  const cuts = [0, Math.ceil(S / 3), Math.ceil(S / 3) + 1, S];
  const states = await Promise.all(
    cuts.slice(1).map((end, n) => {
      const [keys, values] = [k, v].map((tensor) => tensor.slice(null, null, [cuts[n] as number, end])) as [Tensor, Tensor];
      return engine.attentionPartial(q, keys, values, { ...options, encoding, keyOffset: cuts[n] as number, totalKeys: S });
    }),
  );
  const { out } = await engine.mergeStates(states, sinks === undefined ? {} : { sinks });
  // The shards round their outputs, the merge its weights and the sum: a unit in the last place each.
  const expected = numbersOf(file, 'expected');
  const peak = distance(expected, new Float32Array(expected.length));
  expect(distance(out.toArray(), expected)).toBeLessThanOrEqual(goldenTolerance(name) + 3 * peak * 2 ** -24);
});
