/** A call that is refused, whose user code throws or that is aborted takes no memory with it and changes nothing. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  createEngineSync,
  defineEncoding,
  defineMask,
  type Encoding,
  rotary,
  type Tensor,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [T, H, G, D] = [40, 4, 2, 8] as const;
const flat = (heads: number, seed: number): Tensor => engine.tensor([T, heads, D], numbers(T * heads * D, seed));
const whole = (heads: number, seed: number): Tensor => engine.tensor([1, heads, T, D], numbers(T * heads * D, seed));
const documents = { queryOffsets: [0, 10, 20, 25, 40] };
const packed = [flat(H, 1), flat(G, 2), flat(G, 3)] as const;
const batched = [whole(H, 1), whole(G, 2), whole(G, 3)] as const;
const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: 200 });
cache.append(batched[1], batched[2]);

const ended = (...tensors: (Tensor | undefined)[]): void => {
  for (const tensor of tensors) tensor?.dispose();
};
const CALLS: Readonly<Record<string, (options: AttentionOptions) => Promise<void>>> = {
  attention: async (options) => ended(await engine.attention(...batched, options)),
  attentionPartial: async (options) => {
    const { out, lse } = await engine.attentionPartial(...batched, options);
    ended(out, lse);
  },
  attentionWeights: async (options) => ended(await engine.attentionWeights(batched[0], batched[1], options)),
  'attention, packed': async (options) => ended(await engine.attention(...packed, { ...documents, ...options })),
  'attentionPartial, packed': async (options) => {
    const { out, lse } = await engine.attentionPartial(...packed, { ...documents, ...options });
    ended(out, lse);
  },
  'attention with a cache': async (options) => ended(await engine.attention(...batched, { cache, ...options })),
  'attentionPartial with a cache': async (options) => {
    const { out, lse } = await engine.attentionPartial(batched[0], null, null, { cache, ...options });
    ended(out, lse);
  },
};

const raise = (): never => {
  throw new Error('thrown by the user');
};
const encoding = (plan: object): Encoding => defineEncoding({ name: 'hostile', lower: () => plan as never });
/** Throws when the second part of a plan is prepared, with much allocated by then. */
const late = [rotary({ dim: D, theta: 10, layout: 'halves' }), encoding({ biases: [{ kind: 'offset', heads: 1, fill: raise }] })];

// biome-ignore lint/suspicious/noExplicitAny: the tests give what the types forbid.
const WRONG: readonly [string, any][] = [
  ['an unknown option', { casual: true }],
  ['causal', { causal: 7 }],
  ['window', { window: { left: -1 } }],
  ['scale', { scale: Number.NaN }],
  ['softcap', { softcap: 'x' }],
  ['sinks', { sinks: [1] }],
  ['layout', { layout: 'x' }],
  ['a mask', { mask: 3 }],
  ['a mask that does not fit', { mask: engine.tensor([3, 3, 3]) }],
  ['a mask that throws', { mask: defineMask({ name: 'hostile', intervals: raise }) }],
  ['qkNorm', { qkNorm: { kind: 'x' } }],
  ['a weight of qkNorm', { qkNorm: { kind: 'rms', queryWeight: [1] } }],
  ['an encoding', { encoding: {} }],
  ['an encoding that throws', { encoding: { name: 'hostile', lower: raise } }],
  ['an encoding of another width', { encoding: rotary({ dim: 2 * D, theta: 10, layout: 'halves' }) }],
  ['a bias that throws', { encoding: late }],
  ['a bias of other heads', { encoding: encoding({ biases: [{ kind: 'offset', heads: 3, fill: () => {} }] }) }],
  [
    'a table whose map throws',
    { encoding: encoding({ terms: [{ kind: 'query', heads: 1, table: new Float32Array(5 * D), rows: { kind: 'offset', row: raise } }] }) },
  ],
  ['two rotations', { encoding: [late[0], late[0]] }],
  ['an output', { out: engine.tensor([1]) }],
  ['a signal', { signal: 3 }],
  ['a progress', { onProgress: 3 }],
  ['an aborted signal', { signal: AbortSignal.abort(new Error('enough')) }],
];

describe.each(Object.entries(CALLS))('%s', (name, call) => {
  test.each(WRONG)('%s', async (what, options) => {
    // Once without, so that whatever the engine keeps for later calls is there.
    await call({});
    const { used } = engine.memoryUsage();
    const [lengths, contents] = [cache.lengths, [...packed, ...batched].map((tensor) => tensor.toArray())];
    const outcome = await call(options).then(
      () => 'works',
      (error: Error) => error.message,
    );
    // Here another one than elsewhere may be an option after all: an unknown one is not.
    if (!(what === 'an aborted signal' || what === 'a progress' || what === 'layout')) expect(outcome, name).not.toBe('works');
    expect(engine.memoryUsage().used).toBe(used);
    expect(cache.lengths).toEqual(lengths);
    [...packed, ...batched].forEach((tensor, n) => {
      expectSameBits(tensor.toArray(), contents[n] as Float32Array);
    });
    cache.truncate(T);
  });
});
