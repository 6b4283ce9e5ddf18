/** An output may share memory with nothing that its call reads: whatever is read, and whichever of the two begins first. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, bias, createEngineSync, rotary, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [B, H, L, S, D, E] = [1, 2, 16, 24, 8, 8] as const;
const OUT = B * H * L * E;
/** Elements of the one block in which the output and the other tensor lie; each test has the other one begin in its middle. */
const BLOCK = 4096;
const MIDDLE = 1800;

const rowMajor = (shape: readonly number[]): number[] => shape.map((_, axis) => shape.slice(axis + 1).reduce((a, n) => a * n, 1));
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);
/** A part of a block as a tensor of any shape. */
const part = (block: Tensor, shape: readonly number[], at: number): Tensor => block.restride(shape, rowMajor(shape), at);

interface Operands {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}
const operands = (): Operands => ({
  q: engine.tensor([B, H, L, D], numbers(B * H * L * D, 1)),
  k: engine.tensor([B, H, S, D], numbers(B * H * S * D, 2)),
  v: engine.tensor([B, H, S, E], numbers(B * H * S * E, 3)),
});

interface Kind {
  readonly name: string;
  /** Of the tensor that is read, and what errors call it. */
  readonly shape: readonly number[];
  readonly called: string;
  /** The call with that tensor. */
  run(tensor: Tensor, out: Tensor | undefined): Tensor;
}

const attending = (name: string, shape: readonly number[], called: string, options: (tensor: Tensor) => AttentionOptions): Kind => {
  const run = (tensor: Tensor, out: Tensor | undefined): Tensor => {
    const { q, k, v } = operands();
    return engine.attentionSync(q, k, v, { ...options(tensor), ...(out && { out }) });
  };
  return { name, shape, called, run };
};
const replacing = (name: 'q' | 'k' | 'v', shape: readonly number[]): Kind => ({
  name,
  shape,
  called: name,
  run(tensor, out) {
    const { q, k, v }: Operands = { ...operands(), [name]: tensor };
    return engine.attentionSync(q, k, v, { encoding: alibi({ heads: H }), ...(out && { out }) });
  },
});
const state = (out: Tensor, lse: Tensor, to: Tensor | undefined): Tensor => {
  const other = { out: engine.tensor([B, H, L, E], numbers(OUT, 5)), lse: engine.tensor([B, H, L], numbers(B * H * L, 6)) };
  return engine.mergeStatesSync([other, { out, lse }], to && { out: to }).out;
};

const KINDS: readonly Kind[] = [
  replacing('q', [B, H, L, D]),
  replacing('k', [B, H, S, D]),
  replacing('v', [B, H, S, E]),
  attending('a bias read in place', [1, H, L, S], 'encoding', (tensor) => ({ encoding: bias(tensor) })),
  attending('a bias that is copied', [1, H, S, L], 'encoding', (tensor) => ({ encoding: bias(tensor.permute(0, 1, 3, 2)) })),
  attending('one of several biases', [1, 1, 1, S], 'encoding', (tensor) => ({ encoding: [alibi({ heads: H }), bias(tensor)] })),
  attending('a mask', [L, S], 'mask', (mask) => ({ mask })),
  attending('one of several masks', [H, 1, S], 'mask', (tensor) => ({ mask: [engine.tensor([S]), tensor] })),
  attending('sinks', [H], 'sinks', (sinks) => ({ sinks })),
  attending('weights of queries', [H, D], 'qkNorm.queryWeight', (queryWeight) => ({ qkNorm: { kind: 'rms', queryWeight } })),
  attending('weights of keys', [D], 'qkNorm.keyWeight', (keyWeight) => ({ qkNorm: { kind: 'l2', keyWeight } })),
  {
    name: 'a bias over packed sequences',
    shape: [1, H, 8, 12],
    called: 'encoding',
    run(tensor, out) {
      const flat = (x: Tensor): Tensor => x.restride([x.shape[2] as number, H, D], [D, D * (x.shape[2] as number), 1]);
      const { q, k, v } = operands();
      const options = { encoding: bias(tensor), queryOffsets: [0, 8, 16], keyOffsets: [0, 12, 24] };
      const own = out?.restride([L, H, E], [H * E, E, 1]);
      return engine.attentionSync(flat(q), flat(k), flat(v), { ...options, ...(own && { out: own }) });
    },
  },
  {
    name: 'what is rotated',
    shape: [B, H, L, E],
    called: 'x',
    run: (tensor, out) => engine.rotateSync(tensor, rotary({ dim: E, theta: 100, layout: 'halves' }), { offset: 3, ...(out && { out }) }),
  },
  {
    name: 'the output of a state',
    shape: [B, H, L, E],
    called: 'states[1].out',
    run: (tensor, out) => state(tensor, engine.tensor([B, H, L]), out),
  },
  {
    name: 'the log-sum-exp of a state',
    shape: [B, H, L],
    called: 'states[1].lse',
    run: (tensor, out) => state(engine.tensor([B, H, L, E], numbers(OUT, 7)), tensor, out),
  },
  {
    name: 'sinks of merged states',
    shape: [H],
    called: 'sinks',
    run(tensor, out) {
      const one = { out: engine.tensor([B, H, L, E], numbers(OUT, 5)), lse: engine.tensor([B, H, L]) };
      return engine.mergeStatesSync([one], { sinks: tensor, ...(out && { out }) }).out;
    },
  },
];

describe.each(KINDS)('$name', ({ shape, called, run }) => {
  const size = sizeOf(shape);
  /** First element of the output, in elements from the first one of what is read. */
  const PLACES: readonly [string, number][] = [
    ['begins with it', 0],
    ['begins at its last element', size - 1],
    ['begins one element after it', 1],
    ['begins one element before it', -1],
    ['ends with its first element', 1 - OUT],
    ['ends with it', size - OUT],
  ];

  test.each(PLACES)('an output that %s is refused, and nothing changes', (_, at) => {
    const block = engine.tensor([BLOCK], numbers(BLOCK, 9));
    const tensor = part(block, shape, MIDDLE);
    // The very same place is another tensor all the same: only `rotate` and `mergeStates` take the tensor itself.
    const out = part(block, [B, H, L, E], MIDDLE + at);
    expect(() => run(tensor, out)).toThrow(RangeError);
    expect(() => run(tensor, out)).toThrow(`"out" expected memory of its own, got an overlap with "${called}"`);
    expectSameBits(block.toArray(), numbers(BLOCK, 9));
    block.dispose();
  });

  test.each([
    ['right before', -OUT],
    ['right behind', size],
  ])('an output that lies %s it gets the bits of one far away', (_, at) => {
    const block = engine.tensor([BLOCK], numbers(BLOCK, 9));
    const tensor = part(block, shape, MIDDLE);
    const expected = run(tensor, undefined).toArray();
    const out = part(block, [B, H, L, E], MIDDLE + at);
    expectSameBits(run(tensor, out).toArray(), expected);
    expectSameBits(tensor.toArray(), numbers(BLOCK, 9).slice(MIDDLE, MIDDLE + size));
    block.dispose();
  });
});

describe('strides', () => {
  test('that are negative: the memory before the first element counts', () => {
    const block = engine.tensor([BLOCK], numbers(BLOCK, 9));
    const { q, k } = operands();
    // Row 0 stands last.
    const v = block.restride([B, H, S, E], [H * S * E, S * E, -E, 1], MIDDLE + (S - 1) * E);
    expect(v.extent).toEqual([block.extent[0] + 4 * MIDDLE, block.extent[0] + 4 * (MIDDLE + H * S * E)]);
    const expected = engine.attentionSync(q, k, v).toArray();
    for (const at of [1 - OUT, -1, 0, H * S * E - 1]) {
      expect(() => engine.attentionSync(q, k, v, { out: part(block, [B, H, L, E], MIDDLE + at) })).toThrow(/overlap with "v"/);
    }
    const out = part(block, [B, H, L, E], MIDDLE - OUT);
    expectSameBits(engine.attentionSync(q, k, v, { out }).toArray(), expected);
    block.dispose();
  });

  test('that interleave are refused, although no element is shared', () => {
    const host = engine.tensor([B, H, L, 2 * E], numbers(2 * OUT, 3));
    const { k, v } = operands();
    const [left, right] = [host.slice(null, null, null, [0, E]), host.slice(null, null, null, [E, 2 * E])];
    expect(() => engine.attentionSync(left, k, v, { out: right })).toThrow(/overlap with "q"/);
    host.dispose();
  });

  test('of nothing: an empty tensor overlaps with nothing, wherever it stands', () => {
    const block = engine.tensor([BLOCK]);
    const { q } = operands();
    const none = part(block, [B, H, 0, D], 1000);
    const out = part(block, [B, H, L, E], 900);
    out.set(numbers(OUT, 1));
    expect(engine.attentionSync(q, none, none, { out }).toArray()).toEqual(new Float32Array(OUT));
    block.dispose();
  });
});

test('rotate into its input, and a merge into the output of a state, are the two that may', () => {
  const encoding = rotary({ dim: E, theta: 100, layout: 'pairs' });
  const x = engine.tensor([B, H, L, E], numbers(OUT, 1));
  const expected = engine.rotateSync(x, encoding, { offset: 3 }).toArray();
  expectSameBits(engine.rotateSync(x, encoding, { offset: 3, out: x }).toArray(), expected);
  const states = [8, 9].map((seed) => ({
    out: engine.tensor([B, H, L, E], numbers(OUT, seed)),
    lse: engine.tensor([B, H, L], numbers(B * H * L, seed + 2)),
  }));
  const merged = engine.mergeStatesSync(states).out.toArray();
  const out = states[1]?.out as Tensor;
  expectSameBits(engine.mergeStatesSync(states, { out }).out.toArray(), merged);
});

test('an estimate with a bias takes no part in it: its tensors have no memory', () => {
  const dense = engine.tensor([1, H, L, S]);
  const shapes = { q: [B, H, L, D], k: [B, H, S, D], v: [B, H, S, E] };
  expect(engine.estimate(shapes, { encoding: bias(dense), mask: engine.tensor([S]) }).total).toBeGreaterThan(0);
});
