/** mergeStates against the formula in f64, and bit for bit where the documentation says so. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashBits } from '../../src/attention/selftest.ts';
import { createEngine, type Engine, type Tensor } from '../../src/index.ts';
import { bits, distance, noise } from './reference.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

interface Plain {
  out: Float32Array;
  lse: Float32Array;
}
type Dims = [B: number, H: number, L: number, E: number];

/** Merges rows of [B, H, L, E] in f64 by the formula. */
function formula(states: readonly Plain[], [B, H, L, E]: Dims, sinks?: readonly number[]): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  for (let row = 0; row < B * H * L; row++) {
    const logits = states.map((state) => state.lse[row] as number);
    const sink = sinks?.[Math.floor(row / L) % H] ?? -Infinity;
    const m = Math.max(...logits, sink);
    const weights = m === -Infinity ? logits.map(() => 0) : logits.map((l) => Math.exp(l - m));
    const sum = weights.reduce((a, b) => a + b, 0) + (m === -Infinity ? 0 : Math.exp(sink - m));
    lse[row] = m === -Infinity ? m : m + Math.log(sum);
    for (let e = 0; e < E; e++) {
      out[row * E + e] = states.reduce((total, { out }, n) => {
        const w = weights[n] as number;
        return w ? total + (w / sum) * (out[row * E + e] as number) : total;
      }, 0);
    }
  }
  return { out, lse };
}

/** A state of random numbers, some rows of which saw no key. */
function someState([B, H, L, E]: Dims, seed: number, holes = 0.3): Plain {
  const dice = noise(B * H * L, seed + 7);
  const lse = noise(B * H * L, seed).map((x, n) => ((dice[n] as number) < 2 * holes - 1 ? -Infinity : x * 20));
  const out = noise(B * H * L * E, seed + 1).map((x, n) => (lse[Math.floor(n / E)] === -Infinity ? 0 : x));
  return { out, lse };
}

const load = (on: Engine, { out, lse }: Plain, [B, H, L, E]: Dims): { out: Tensor; lse: Tensor } => ({
  out: on.tensor([B, H, L, E], out),
  lse: on.tensor([B, H, L], lse),
});

async function merged(on: Engine, states: readonly Plain[], dims: Dims, options: object = {}): Promise<Plain> {
  const tensors = states.map((state) => load(on, state, dims));
  const result = await on.mergeStates(tensors, options);
  const plain = { out: result.out.toArray(), lse: result.lse.toArray() };
  for (const { out, lse } of [...tensors, result]) {
    out.dispose();
    lse.dispose();
  }
  return plain;
}

function expectSameBits(a: Plain, b: Plain): void {
  expect(bits(a.out)).toBe(bits(b.out));
  expect(bits(a.lse)).toBe(bits(b.lse));
}

const someDims = fc.tuple(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 1, max: 4 }),
  fc.integer({ min: 0, max: 70 }),
  fc.integer({ min: 1, max: 35 }),
);

test('equals the formula to a rounding of f32', async () => {
  await fc.assert(
    fc.asyncProperty(someDims, fc.integer({ min: 1, max: 7 }), fc.nat(1e6), fc.boolean(), async (dims, count, seed, withSinks) => {
      const states = Array.from({ length: count }, (_, n) => someState(dims, seed + 31 * n));
      const sinks = withSinks ? [...noise(dims[1], seed)].map((x) => x * 20) : undefined;
      const truth = formula(states, dims, sinks && [...Float32Array.from(sinks)]);
      const result = await merged(engine, states, dims, sinks && { sinks });
      // Outputs are below 1 and |lse| below 32: half an ulp of those, and nothing for f64.
      expect(distance(result.out, truth.out)).toBeLessThanOrEqual(2 ** -25);
      expect(distance(result.lse, truth.lse)).toBeLessThanOrEqual(2 ** -20);
      expect(result.lse.some(Number.isNaN) || result.out.some(Number.isNaN)).toBe(false);
    }),
  );
});

test('one state is itself, bit for bit, and empty states change no bit', async () => {
  await fc.assert(
    fc.asyncProperty(
      someDims,
      fc.integer({ min: 1, max: 4 }),
      fc.nat(1e6),
      fc.array(fc.nat(4), { maxLength: 3 }),
      async (dims, count, seed, where) => {
        const [B, H, L, E] = dims;
        const states = Array.from({ length: count }, (_, n) => someState(dims, seed + 31 * n));
        const plain = await merged(engine, states, dims);
        if (count === 1) expectSameBits(plain, states[0] as Plain);
        // What stands in the output of a row that saw nothing does not count either.
        const empty = { out: new Float32Array(B * H * L * E).fill(Number.NaN), lse: new Float32Array(B * H * L).fill(-Infinity) };
        const padded = [...states];
        for (const at of where) padded.splice(Math.min(at, padded.length), 0, empty);
        expectSameBits(await merged(engine, padded, dims), plain);
        // A sum of one would lose the sign of zeros.
        const zeros = { out: new Float32Array(B * H * L * E).fill(-0), lse: new Float32Array(B * H * L) };
        expectSameBits(await merged(engine, [zeros, empty], dims), zeros);
      },
    ),
  );
});

test('nothing but empty states is empty', async () => {
  const dims: Dims = [1, 2, 3, 5];
  const empty = { out: new Float32Array(30).fill(7), lse: new Float32Array(6).fill(-Infinity) };
  for (const states of [[empty], [empty, empty]]) {
    const { out, lse } = await merged(engine, states, dims);
    expect(out.every((x) => Object.is(x, 0))).toBe(true);
    expect(lse.every((x) => x === -Infinity)).toBe(true);
    const sunk = await merged(engine, states, dims, { sinks: [0.5, -Infinity] });
    expect(sunk.out.every((x) => Object.is(x, 0))).toBe(true);
    expect([...sunk.lse]).toEqual([0.5, 0.5, 0.5, -Infinity, -Infinity, -Infinity]);
  }
});

test('another order of the states agrees to a rounding; the same order has the same bits', async () => {
  const dims: Dims = [1, 2, 40, 16];
  const states = Array.from({ length: 6 }, (_, n) => someState(dims, n));
  const [once, again] = [await merged(engine, states, dims), await merged(engine, states, dims)];
  expectSameBits(once, again);
  const reversed = await merged(engine, [...states].reverse(), dims);
  expect(distance(reversed.out, once.out)).toBeLessThanOrEqual(2 ** -24);
  expect(distance(reversed.lse, once.lse)).toBeLessThanOrEqual(2 ** -19);
});

test('the bits are those that every host gives', async () => {
  const dims: Dims = [2, 3, 50, 21];
  const states = Array.from({ length: 5 }, (_, n) => someState(dims, 40 + n));
  const { out, lse } = await merged(engine, states, dims, { sinks: [-3, 0.5, 9] });
  expect(hashBits(lse, hashBits(out)).toString(16)).toBe('59a29cdb');
});

test('merging in two steps agrees with merging at once', async () => {
  const dims: Dims = [2, 2, 20, 8];
  const states = Array.from({ length: 5 }, (_, n) => someState(dims, 100 + n));
  const left = await merged(engine, states.slice(0, 2), dims);
  const right = await merged(engine, states.slice(2), dims);
  const stepwise = await merged(engine, [left, right], dims);
  const atOnce = await merged(engine, states, dims);
  expect(distance(stepwise.out, atOnce.out)).toBeLessThanOrEqual(2 ** -22);
  expect(distance(stepwise.lse, atOnce.lse)).toBeLessThanOrEqual(2 ** -18);
});

test('logits far apart and huge ones neither overflow nor vanish', async () => {
  const dims: Dims = [1, 1, 3, 1];
  const state = (x: number, lse: number[]): Plain => ({ out: new Float32Array(3).fill(x), lse: Float32Array.from(lse) });
  const states = [state(1, [3e38, -3e38, 1000]), state(3, [3e38, 3e38, 1000])];
  for (const list of [states, states.toReversed()]) {
    const { out, lse } = await merged(engine, list, dims);
    expect([...out]).toEqual([2, 3, 2]);
    expect(lse[0]).toBe(Math.fround(3e38));
    expect(lse[2]).toBe(Math.fround(1000 + Math.LN2));
  }
});

test('a NaN stays in its row', async () => {
  const dims: Dims = [1, 1, 3, 2];
  const bad = { out: Float32Array.of(1, 1, Number.NaN, 1, 1, 1), lse: Float32Array.of(Number.NaN, 0, 0) };
  const good = { out: new Float32Array(6).fill(1), lse: new Float32Array(3) };
  const { out, lse } = await merged(engine, [good, bad, good], dims);
  expect([...out]).toEqual([Number.NaN, Number.NaN, Number.NaN, 1, 1, 1]);
  expect(Number.isNaN(lse[0])).toBe(true);
  expect(new Uint32Array(out.buffer)[2]).toBe(0x7fc00000);
  expect(Number.isNaN(lse[1]) || Number.isNaN(lse[2])).toBe(false);
});

test('the widest heads, and no queries in either layout', async () => {
  const x = engine.tensor([1, 1, 2, 576], noise(2 * 576, 3));
  const state = await engine.attentionPartial(x, x, x);
  const merged = await engine.mergeStates([state]);
  expect(bits(merged.out.toArray())).toEqual(bits(state.out.toArray()));
  const keys = engine.tensor([1, 5, 2, 8]);
  const none = await engine.attentionPartial(engine.tensor([1, 0, 2, 8]), keys, keys, { layout: 'blhd' });
  expect((await engine.mergeStates([none, none], { layout: 'blhd' })).out.shape).toEqual([1, 0, 2, 8]);
  const headless = { out: engine.tensor([1, 2, 0, 8]), lse: engine.tensor([1, 0, 2]) };
  await expect(engine.mergeStates([headless], { layout: 'blhd' })).rejects.toThrow('shape [B, L, H ≥ 1, 1 ≤ E ≤ 1024], got [1, 2, 0, 8]');
});

test('any number of threads has the same bits', async () => {
  const dims: Dims = [2, 4, 300, 40];
  const states = Array.from({ length: 5 }, (_, n) => someState(dims, 500 + n));
  const plain = await merged(engine, states, dims, { sinks: [1, 2, 3, 4] });
  for (const threads of [2, 3, 4]) {
    const other = await createEngine({ threads });
    expect(other.capabilities.threads).toBe(threads);
    expectSameBits(await merged(other, states, dims, { sinks: [1, 2, 3, 4] }), plain);
    const tensors = states.map((state) => load(other, state, dims));
    const sync = other.mergeStatesSync(tensors, { sinks: [1, 2, 3, 4] });
    expectSameBits({ out: sync.out.toArray(), lse: sync.lse.toArray() }, plain);
    other.dispose();
  }
});

test('layouts, strides and element types are read in place', async () => {
  const dims: Dims = [2, 3, 10, 12];
  const [B, H, L, E] = dims;
  const states = [someState(dims, 1), someState(dims, 2), someState(dims, 3)];
  const plain = await merged(engine, states, dims);
  const [first, second, third] = states as [Plain, Plain, Plain];
  // A tensor of twice the channels, of which every state is a half; and one whose channels are far apart.
  const wide = engine.tensor([B, H, L, 2 * E]);
  wide.slice(null, null, null, [E, 2 * E]).set(first.out);
  const turned = engine.tensor([B, H, E, L]).permute(0, 1, 3, 2);
  turned.set(second.out);
  const lses = engine.tensor([3, B, H, L], Float32Array.from([first, second, third].flatMap(({ lse }) => [...lse])));
  const tensors = [
    { out: wide.slice(null, null, null, [E, 2 * E]), lse: load(engine, first, dims).lse },
    {
      out: turned,
      lse: engine
        .tensor([B, H, 2 * L])
        .slice(null, null, [L, 2 * L])
        .set(second.lse),
    },
    { out: engine.tensor(dims, third.out), lse: engine.tensor([L, H, B]).permute(2, 1, 0).set(third.lse) },
  ];
  lses.dispose();
  const result = await engine.mergeStates(tensors);
  expectSameBits({ out: result.out.toArray(), lse: result.lse.toArray() }, plain);
  const sideways = tensors.map(({ out, lse }) => ({ out: out.permute(0, 2, 1, 3), lse }));
  const other = await engine.mergeStates(sideways, { layout: 'blhd' });
  expect(other.out.shape).toEqual([B, L, H, E]);
  expectSameBits({ out: other.out.permute(0, 2, 1, 3).toArray(), lse: other.lse.toArray() }, plain);
  for (const dtype of ['f16', 'bf16'] as const) {
    const halves = states.map(({ out, lse }) => ({ out: engine.tensor(dims, out, dtype), lse: engine.tensor([B, H, L], lse) }));
    const rounded = halves.map(({ out, lse }) => ({ out: out.toArray(), lse: lse.toArray() }));
    const fromHalves = await engine.mergeStates(halves);
    expectSameBits({ out: fromHalves.out.toArray(), lse: fromHalves.lse.toArray() }, await merged(engine, rounded, dims));
    const out = engine.tensor(dims, undefined, dtype);
    expect((await engine.mergeStates(halves, { out })).out).toBe(out);
    expect(bits(out.view() as Uint16Array)).toBe(bits(engine.tensor(dims, fromHalves.out.toArray(), dtype).view() as Uint16Array));
  }
});

test('the result may go into a state, on any number of threads', async () => {
  const dims: Dims = [2, 4, 300, 40];
  const states = Array.from({ length: 4 }, (_, n) => someState(dims, 900 + n));
  const plain = await merged(engine, states, dims);
  const other = await createEngine({ threads: 2 });
  const tensors = states.map((state) => load(other, state, dims));
  const result = await other.mergeStates(tensors, { out: (tensors[2] as { out: Tensor }).out });
  expectSameBits({ out: result.out.toArray(), lse: result.lse.toArray() }, plain);
  other.dispose();
});

test('wrong arguments are refused, and nothing is left behind', async () => {
  const dims: Dims = [1, 2, 3, 4];
  const state = load(engine, someState(dims, 1), dims);
  const used = engine.memoryUsage().used;
  const refuse = async (states: unknown, options: object, error: RegExp, type = RangeError): Promise<void> => {
    const attempt = engine.mergeStates(states as [], options);
    await expect(attempt).rejects.toThrow(error);
    await expect(attempt).rejects.toBeInstanceOf(type);
    expect(() => engine.mergeStatesSync(states as [], options)).toThrow(type);
  };
  await refuse(undefined, {}, /"states" expected an array/, TypeError);
  await refuse([], {}, /1 … 65536 states/);
  await refuse([state, null], {}, /states\[1\]/, TypeError);
  await refuse([state, { out: state.out }], {}, /states\[1\]\.lse/, TypeError);
  await refuse([state], { order: 'any' }, /no "order"/, TypeError);
  await refuse([state], { layout: 'hbld' }, /layout/);
  await refuse([state], { layout: 'blhd' }, /states\[0\]\.lse" expected shape \[1, 3, 2\], got \[1, 2, 3\]/);
  await refuse([state], { sinks: [1] }, /sinks/);
  const large = engine.tensor([1, 2, 4, 4]);
  const half = engine.tensor([1, 2, 3], undefined, 'f16');
  const away = await createEngine({ threads: 1 });
  await refuse([state, { out: large, lse: state.lse }], {}, /states\[1\]\.out" expected shape \[1, 2, 3, 4\]/);
  await refuse([state], { out: large }, /out/);
  await refuse([state, { out: state.out, lse: half }], {}, /f32/, TypeError);
  await refuse([state], { out: away.tensor(dims) }, /another engine/);
  const alias = state.out.slice();
  await refuse([state], { out: alias }, /overlap/);
  alias.dispose();
  large.dispose();
  half.dispose();
  away.dispose();
  expect(engine.memoryUsage().used).toBe(used);
  state.out.dispose();
  await expect(engine.mergeStates([state])).rejects.toMatchObject({ code: 'disposed' });
});
