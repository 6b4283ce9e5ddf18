/** What comes from another realm counts as what it is: hosts that run code in a context of their own (edge runtimes, Jest, frames) give such. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import * as relpos from '../../src/index.ts';
import { onnxAttention } from '../../src/onnx/index.ts';
import { readSafetensors, writeSafetensors } from '../../src/safetensors/index.ts';
import { type Any, engine } from './calls.ts';

afterAll(() => engine.dispose());

/** Makers of values of another realm. */
const realm = runInNewContext(`({
  typed: (type, list) => globalThis[type].from(list),
  buffer: (list) => Uint8Array.from(list).buffer,
  list: (list) => [...list],
  object: (entries) => Object.fromEntries(entries),
  map: (entries) => new Map(entries),
  view: (list) => new DataView(Uint8Array.from(list).buffer),
  module: (list) => new WebAssembly.Module(Uint8Array.from(list)),
  response: (list) => ({ ok: true, status: 200, arrayBuffer: async () => Uint8Array.from(list).buffer, [Symbol.toStringTag]: 'Response' }),
})`) as Any;

/** A value and all that it holds, made anew in the other realm; what has state of its own stays. */
function moved(value: Any): Any {
  if (ArrayBuffer.isView(value)) return realm.typed(value.constructor.name, [...(value as Float32Array)]);
  if (Array.isArray(value)) return realm.list(value.map(moved));
  const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return plain ? realm.object(Object.entries(value).map(([key, inner]) => [key, moved(inner)])) : value;
}

const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, (_, n) => ((n * 7) % 13) / 13);

test('the realm is another one', () => {
  expect(realm.typed('Float32Array', [1])).not.toBeInstanceOf(Float32Array);
  expect(moved({ a: [1] })).not.toBeInstanceOf(Object);
});

describe('kernels', () => {
  const bytes = [...readFileSync(new URL('../../build/baseline.wasm', import.meta.url))];

  test.each(['module', 'buffer', 'view', 'response'] as const)('as a %s', async (form) => {
    const made = await relpos.createEngine(realm.object(Object.entries({ wasm: realm[form](bytes), threads: 1 })));
    expect((await made.selfTest()).passed).toBe(true);
    made.dispose();
  });

  test('as shared bytes', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    relpos.createEngineSync({ wasm: shared }).dispose();
    (await relpos.createEngine({ wasm: shared.buffer as Any, threads: 1 })).dispose();
  });

  test('as bytes, on two threads', async () => {
    const made = await relpos.createEngine({ wasm: realm.typed('Uint8Array', bytes), threads: 2 });
    expect(made.capabilities.threads).toBe(2);
    made.dispose();
    relpos.createEngineSync({ wasm: realm.module(bytes) }).dispose();
  });
});

describe('numbers', () => {
  test.each(['f32', 'f16', 'bf16', 'i8', 'i32'] as const)('fill tensors of %s', (dtype) => {
    const types = { f32: 'Float32Array', f16: 'Uint16Array', bf16: 'Uint16Array', i8: 'Int8Array', i32: 'Int32Array' } as const;
    const own = new globalThis[types[dtype]]([0, 1, 2, 3]);
    const [expected, found] = [own, moved(own)].map((data) => engine.tensor(moved([2, 2]), data, dtype));
    expect(found?.view()).toEqual(expected?.view());
    const set = engine.tensor([4], undefined, dtype);
    set.set(moved(own));
    expect([...set.view()]).toEqual([0, 1, 2, 3]);
  });

  test('of every option of a call', async () => {
    const x = engine.tensor([1, 2, 3, 4], numbers(24));
    const index = Int32Array.from([0, 1, 2, 1, 0, 2, 2, 2, 1]);
    const plan = {
      biases: [{ kind: 'index', heads: 2, table: numbers(6), index }],
      terms: [{ kind: 'query', heads: 1, table: numbers(12), rows: { kind: 'index', index } }],
    };
    const encodings = (form: (value: Any) => Any): Any => [
      relpos.t5(form({ heads: 2, buckets: 4, maxDistance: 8, bidirectional: false, table: numbers(8) })),
      relpos.defineEncoding({ name: 'own', lower: () => form(plan) }),
    ];
    const options = { keyLengths: Int32Array.of(2), sinks: numbers(2), window: { left: 1 }, mask: [relpos.causalMask()] };
    const expected = await engine.attention(x, x, x, { ...options, encoding: encodings((value) => value) });
    // Encodings are what this realm's package made, of another realm's options.
    const found = await engine.attention(x, x, x, Object.assign(moved(options), { encoding: encodings(moved) }));
    expect(found.toArray()).toEqual(expected.toArray());
  });

  test('of ONNX', async () => {
    const value = { data: numbers(24), dims: [1, 2, 3, 4] };
    const [expected, found] = [value, moved(value)].map((x) => onnxAttention(engine, { Q: x, K: x, V: x }));
    expect((await found)?.Y).toEqual((await expected)?.Y);
  });

  test('of weights', () => {
    const weights = Float32Array.of(0, 1, 2, 3);
    expect([...relpos.permuteForPairs(moved(weights), 1, 4)]).toEqual([0, 2, 1, 3]);
    expect(() => relpos.permuteForPairs(realm.view([1, 2, 3, 4]), 1, 4)).toThrow('"weights" expected a typed array');
  });
});

describe('bytes and files', () => {
  test('states', () => {
    const state = { shape: [1, 1, 1, 1] as const, out: Float32Array.of(2), lse: Float32Array.of(0.5) };
    const shard = { index: 0, count: 1 };
    const sent = relpos.encodeState(state, { shard });
    expect(relpos.encodeState(moved(state), moved({ shard }))).toEqual(sent);
    const decoded = relpos.decodeState(moved(sent));
    expect([...decoded.out, ...decoded.lse]).toEqual([2, 0.5]);
    expect(relpos.collectStates(moved([{ ...decoded, lse: moved(decoded.lse) }]), 1)).toHaveLength(1);
    expect(() => relpos.decodeState(moved(Int8Array.from(sent)))).toThrow('"bytes" expected a Uint8Array');
  });

  test('safetensors, from a map and from a record', () => {
    const tensor = { dtype: 'F32', shape: [1], data: Uint8Array.of(0, 0, 128, 63) } as const;
    const file = writeSafetensors({ a: tensor });
    for (const tensors of [realm.map([['a', tensor]]), moved({ a: tensor })]) expect(writeSafetensors(tensors)).toEqual(file);
    expect(readSafetensors(moved(file)).tensors.get('a')?.data).toEqual(tensor.data);
    const read = engine.tensor([1], readSafetensors(moved(file)).tensors.get('a') as Any);
    expect([...read.view()]).toEqual([1]);
    expect(() => readSafetensors(realm.buffer([1]))).toThrow('"bytes" expected a Uint8Array');
  });
});
