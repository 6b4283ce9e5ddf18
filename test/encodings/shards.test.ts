/** Every golden file with its keys in shards: what the original gives for the whole, from parts that know where they stand. */
import { afterAll, expect, test } from 'vitest';
import { type AttentionOptions, createEngineSync, type MergeOptions, type Tensor } from '../../src/index.ts';
import { attentionOptions, encodingsOf, isRotation, numbersOf, shapeOf } from '../conformance/golden.ts';
import { goldens, goldenTolerance, make, peakOf } from '../goldens.ts';
import { distance } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const files = goldens.filter(({ name, file }) => !isRotation(file) && !name.startsWith('llama_far'));

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
  expect(distance(out.toArray(), expected)).toBeLessThanOrEqual(goldenTolerance(name) + 3 * peakOf(expected) * 2 ** -24);
});
