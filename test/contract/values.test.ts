/** Numbers in every form that they may come in, and in none of those that they may not: tables of all schemes, data, shapes, masks, states. */
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import * as relpos from '../../src/index.ts';
import type { Tensor } from '../../src/memory/tensor.ts';
import { crc32 } from '../../src/partial/crc.ts';
import type { SafeTensor } from '../../src/safetensors/index.ts';
import { baseline } from '../../src/wasm/generated/baseline.ts';
import { unpack } from '../../src/wasm/unpack.ts';
import { expectSameBits } from '../attention/call.ts';
import type { Case, Package } from '../conformance/call.ts';
import { schemes, tableShapes } from '../conformance/schemes.ts';
import { type Any, engine } from './calls.ts';

afterAll(() => engine.dispose());

type Table = Float32Array;
const shapeOf = (table: unknown): readonly number[] => tableShapes.get(table as object) as readonly number[];
const fileOf = (values: Table, shape: readonly number[]): SafeTensor => ({
  dtype: 'F32',
  shape,
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** A scheme's case with one of its options in another form. */
async function withOption(name: string, option: string, form: (value: Table) => unknown): Promise<Float32Array> {
  const changed = new Proxy(relpos, {
    get(target, key: keyof Package) {
      const real = target[key] as (...given: unknown[]) => unknown;
      if (key !== name) return real;
      return (given: Record<string, Table>) => real({ ...given, [option]: form(given[option] as Table) });
    },
  });
  const [out] = (await (schemes[name] as Case)(changed, engine)) as [Tensor];
  return out.toArray();
}

/** The tables of every scheme: each option that is one with a shape of two dimensions or more. */
const TABLES = (
  await Promise.all(
    Object.entries(schemes).map(async ([name, scheme]) => {
      const found: { name: string; option: string }[] = [];
      const watching = new Proxy(relpos, {
        get(target, key: keyof Package) {
          const real = target[key] as (...given: unknown[]) => unknown;
          if (key !== name) return real;
          return (given: Record<string, unknown>) => {
            const options = Object.keys(given).filter((option) => (shapeOf(given[option]) ?? []).filter((n) => n > 1).length > 1);
            found.push(...options.map((option) => ({ name, option })));
            return real(given);
          };
        },
      });
      await scheme(watching, engine);
      return found;
    }),
  )
).flat();

test('there are such tables', () => {
  expect(new Set(TABLES.map(({ name }) => name)).size).toBeGreaterThan(18);
});

describe.each(TABLES)('$name, $option', ({ name, option }) => {
  const [taken, refused] = [
    {
      tensor: (x: Table) => engine.tensor(shapeOf(x), x),
      file: (x: Table) => fileOf(x, shapeOf(x)),
      flat: (x: Table) => fileOf(x, [x.length]),
    },
    {
      tensor: (x: Table) => engine.tensor([...shapeOf(x)].reverse(), x),
      file: (x: Table) => fileOf(x, [...shapeOf(x)].reverse()),
    },
  ];

  test('is taken as a tensor, from a file, from another realm and as an array, with the same bits', async () => {
    const expected = await withOption(name, option, (x) => x);
    const forms = name === 'wavlm' && option === 'input' ? { tensor: taken.tensor } : { ...taken, array: (x: Table) => [...x] };
    for (const form of Object.values(forms)) expectSameBits(await withOption(name, option, form), expected);
    const foreign = (x: Table): unknown => runInNewContext('(list) => Float32Array.from(list)')([...x]);
    expectSameBits(await withOption(name, option, foreign), expected);
  });

  test.each(Object.keys(refused))('is refused in the shape the other way round: %s', async (form) => {
    await expect(withOption(name, option, refused[form as keyof typeof refused])).rejects.toThrow(RangeError);
    await expect(withOption(name, option, refused[form as keyof typeof refused])).rejects.toThrow(new RegExp(`"${option}" expected `));
  });
});

describe('tables whose numbers f32 does not hold', () => {
  const t5 = (table: Any): relpos.Encoding => relpos.t5({ heads: 1, buckets: 4, maxDistance: 8, bidirectional: true, table });
  test.each([
    [[0, 1e300, 0, 0], /^t5: "table\[1\]" expected a finite number of f32, or -Infinity, got 1e\+300$/],
    [[0, 0, Number.NaN, 0], /^t5: "table\[2\]" expected a finite number of f32, or -Infinity, got NaN$/],
    [[0, 0, 0, Number.POSITIVE_INFINITY], /^t5: "table\[3\]" /],
    [[0n, 0n, 0n, 0n], /^t5: "table\[0\]" expected a number, got 0n$/],
    [new BigInt64Array(4), /^t5: "table" expected numbers of 32 bits, got BigInt64Array\(4\)$/],
    [{ dtype: 'I64', shape: [4, 1], data: new Uint8Array(32) }, /^t5: "table" expected numbers of 32 bits, got "I64"$/],
    [{ dtype: 'F8_E4M3', shape: [4, 1], data: new Uint8Array(4) }, /^t5: "table" expected a tensor of F32, /],
    [{ dtype: 'F32', shape: [4, 1], data: new Uint8Array(15) }, /^t5: "table.data" expected 16 bytes for F32 \[4, 1\], got 15$/],
  ])('%o', (table, message) => {
    expect(() => t5(table)).toThrow(message);
  });

  test('of half types of files are exact', () => {
    // 1, −2, 2^−24 (the least subnormal), 65504 as f16; 1, −2, 2^−133, −Infinity as bf16.
    const f16 = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff);
    const bf16 = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0xff80);
    const read = (dtype: 'F16' | 'BF16', bits: Uint16Array): number[] => [
      ...engine.tensor([4], { dtype, shape: [4], data: new Uint8Array(bits.buffer) }).toArray(),
    ];
    expect(read('F16', f16)).toEqual([1, -2, 2 ** -24, 65504]);
    expect(read('BF16', bf16)).toEqual([1, -2, 2 ** -133, Number.NEGATIVE_INFINITY]);
  });
});

describe('data of a tensor', () => {
  test.each([
    [['a'], /"data\[0\]" expected a number, got "a"/],
    [[undefined], /"data\[0\]" expected a number, got undefined/],
    [new Array(1), /"data\[0\]" expected a number, got undefined/],
    [[[1]], /"data\[0\]" expected a number, got \[1\]/],
    [[1n], /"data\[0\]" expected a number, got 1/],
  ])('%o is refused', (data, message) => {
    const { used } = engine.memoryUsage();
    expect(() => engine.tensor([1], data as Any)).toThrow(message);
    expect(() => engine.tensor([1], data as Any, 'f16')).toThrow(message);
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('set() that fails changes no element', () => {
    using x = engine.tensor([4], [1, 2, 3, 4]);
    expect(() => x.set([5, 6, 'x' as Any, 8])).toThrow(/"data\[2\]"/);
    expect([...x.toArray()]).toEqual([1, 2, 3, 4]);
  });

  test('booleans and 64-bit integers are whole numbers', () => {
    using mask = engine.tensor([3], Uint8Array.of(1, 0, 1), 'i8');
    expect([...mask.toArray()]).toEqual([1, 0, 1]);
    using ids = engine.tensor([2], BigInt64Array.of(-5n, 2n ** 31n - 1n), 'i32');
    expect([...(ids.view() as Int32Array)]).toEqual([-5, 2 ** 31 - 1]);
    expect(() => engine.tensor([1], BigInt64Array.of(2n ** 31n), 'i32')).toThrow(
      /"data\[0\]" expected an integer in -2147483648 … 2147483647/,
    );
    expect(() => engine.tensor([1], Uint8Array.of(128), 'i8')).toThrow(/"data\[0\]" expected an integer in -128 … 127, got 128/);
    expect(() => engine.tensor([1], [0.5], 'i32')).toThrow(/"data\[0\]" expected an integer in/);
  });

  test('of a file: shape and type must fit', () => {
    const file = fileOf(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    expect([...engine.tensor([2, 3], file).toArray()]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(() => engine.tensor([3, 2], file)).toThrow('tensor: "data" expected a tensor of shape [3, 2], got [2, 3]');
    expect(() => engine.tensor([2, 3], file, 'i8')).toThrow(TypeError);
    const bools = { dtype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) } as const;
    expect([...engine.tensor([2], bools, 'i8').toArray()]).toEqual([0, 1]);
    expect(() => engine.tensor([2], bools)).toThrow('tensor: "data" expected numbers for f32, got "BOOL"');
  });

  test('shapes: holes are refused, and one that changes between two reads is read once', () => {
    expect(() => engine.tensor(new Array(3) as Any)).toThrow('tensor: "shape[0]" expected an integer, got undefined');
    let reads = 0;
    const shifting = new Proxy([2, 3], { get: (target, key) => (key === '0' ? 2 + 1000 * reads++ : Reflect.get(target, key)) });
    using x = engine.tensor(shifting);
    expect(x.shape).toEqual([2, 3]);
    expect(x.size).toBe(6);
  });
});

const q = engine.tensor(
  [2, 2, 4, 4],
  Float32Array.from({ length: 64 }, (_, n) => (n % 7) / 7),
);
const attend = (options: Any): Float32Array => engine.attentionSync(q, q, q, options).toArray();

describe('attention', () => {
  test.each([
    [{ softcap: 1e-42 }, 'softcap', /2\^-100 … 2\^100/],
    [{ softcap: 1e300 }, 'softcap', /2\^-100 … 2\^100/],
    [{ scale: 1e300 }, 'scale', /2\^-100 … 2\^100/],
    [{ scale: -1e300 }, 'scale', /2\^-100 … 2\^100/],
    [{ scale: 1e-42 }, 'scale', /2\^-100 … 2\^100/],
    [{ scale: 2 ** 60, softcap: 2 ** -60 }, 'softcap', /at least \|scale\| · 2\^-100/],
  ])('%o is beyond f32', (options, name, message) => {
    expect(() => attend(options)).toThrow(RangeError);
    expect(() => attend(options)).toThrow(new RegExp(`"${name}" expected .*${message.source}`));
  });

  test.each([[{ softcap: 2 ** 100 }], [{ softcap: 2 ** -100, scale: 2 ** -100 }], [{ scale: 2 ** 100 }], [{ scale: 0 }]])(
    '%o is the last that is taken, and every number is finite',
    (options) => {
      expect(attend(options).every(Number.isFinite)).toBe(true);
    },
  );

  test('lists of another realm and of 64 bits', () => {
    const other = runInNewContext('({ lengths: Int32Array.of(4, 2), sinks: Float32Array.of(0.5, -1) })');
    expectSameBits(attend({ keyLengths: other.lengths, sinks: other.sinks }), attend({ keyLengths: [4, 2], sinks: [0.5, -1] }));
    expectSameBits(attend({ keyLengths: BigInt64Array.of(4n, 2n) }), attend({ keyLengths: [4, 2] }));
    expectSameBits(attend({ sinks: fileOf(Float32Array.of(0.5, -1), [2]) }), attend({ sinks: [0.5, -1] }));
  });

  test('what the caller changes while a call is under way changes nothing', async () => {
    const options: Any = { sinks: new Float32Array(2), window: { left: 1 }, scale: 0.5 };
    const expected = attend(options);
    const call = engine.attention(q, q, q, options);
    options.sinks.fill(9);
    options.window.left = 0;
    options.scale = 3;
    expectSameBits((await call).toArray(), expected);
  });

  test.each(['attention', 'attentionPartial', 'attentionWeights', 'packed'])('a signal that is none is refused: %s', async (name) => {
    const { used } = engine.memoryUsage();
    const rows = q.restride([8, 2, 4], [8, 4, 1]);
    const run = (signal: unknown): Promise<unknown> => {
      if (name === 'packed') return engine.attentionPartial(rows, rows, rows, { queryOffsets: [0, 8], signal } as Any);
      if (name === 'attentionWeights') return engine.attentionWeights(q, q, { signal } as Any);
      return (engine as Any)[name](q, q, q, { signal });
    };
    const throwing = { addEventListener() {}, removeEventListener() {} };
    Object.defineProperty(throwing, 'aborted', {
      get() {
        throw new Error('not yours');
      },
    });
    for (const signal of [null, 1, {}, { addEventListener() {} }, new AbortController(), throwing]) {
      await expect(run(signal)).rejects.toThrow(/"signal" (expected an AbortSignal|cannot be read: not yours)/);
    }
    if (name === 'packed') {
      await expect(engine.attention(rows, rows, rows, { queryOffsets: [0, 8], onProgress: 1 } as Any)).rejects.toThrow(/"onProgress"/);
    }
    rows.dispose();
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('a tensor that may be padding is not read as [L, S]', () => {
    using square = engine.tensor([2, 2, 2, 4]);
    using padding = engine.tensor([2, 2], [1, 0, 1, 1], 'i8');
    expect(() => engine.attentionSync(square, square, square, { mask: padding })).toThrow(
      /"mask" expected shape \[1, 1, L=2, S=2\].*keyPadding/,
    );
    using short = engine.tensor([2, 4], undefined, 'i8');
    expect(() => engine.attentionSync(q, q, q, { mask: short })).toThrow(
      /got \[2, 4\], which may be \[B, S\]: for padding take keyPadding/,
    );
    using spelt = engine.tensor([1, 1, 2, 2], [1, 0, 1, 1], 'i8');
    engine.attentionSync(square, square, square, { mask: spelt }).dispose();
  });

  test.each([
    ['unsorted', [2, 4, 0, 1]],
    ['overlapping', [0, 3, 2, 4]],
    ['touching', [0, 2, 2, 4]],
    ['empty', [1, 1]],
    ['odd', [0, 2, 3]],
    ['NaN', [0, Number.NaN]],
    ['fractions', [0, 1.5]],
  ])('a mask of %s runs is refused, alone and within others', (_, runs) => {
    const mine: relpos.Mask = { name: 'mine', rows: () => ({ batched: false, runs: () => runs }) };
    for (const mask of [mine, relpos.and(mine, relpos.causalMask()), relpos.or(mine, relpos.causalMask()), relpos.not(mine)]) {
      expect(() => attend({ mask })).toThrow(
        /"mask \(mine\)" expected runs \[from, to, …\] of whole numbers, ascending, apart and not empty/,
      );
    }
  });
});

describe('calls whose other arguments are none', () => {
  const call = engine as Any;
  test.each([
    ['estimate(null)', () => call.estimate(null), 'estimate: "request" expected an object, got null'],
    ['estimate of half', () => call.estimate({ q: [1, 1, 2, 4] }), 'estimate: "request.k" expected an array of integers, got undefined'],
    ['attentionWeights', () => call.attentionWeightsSync(q, q, null), 'attentionWeightsSync: "options" expected an object, got null'],
    [
      'mergeStates of a hole',
      () => call.mergeStatesSync(new Array(1)),
      'mergeStatesSync: "states[0]" expected an object { out, lse }, got undefined',
    ],
    ['mergeStates(null)', () => call.mergeStatesSync(null), 'mergeStatesSync: "states" expected an array of { out, lse }, got null'],
  ])('%s', (_, run, message) => {
    expect(run).toThrow(message);
  });

  test('a state of 2^31 shards or more', () => {
    const state = { shape: [1, 1, 1, 1], out: Float32Array.of(1), lse: Float32Array.of(0) } as const;
    expect(() => relpos.encodeState(state, { shard: { index: 0, count: 2 ** 31 } })).toThrow(/"shard.count"/);
    const bytes = relpos.encodeState(state, { shard: { index: 0, count: 2 ** 31 - 1 } });
    expect(relpos.decodeState(bytes).shard).toEqual({ index: 0, count: 2 ** 31 - 1 });
    const header = new DataView(bytes.buffer);
    header.setUint32(32, 2 ** 31, true);
    header.setUint32(60, crc32(bytes.subarray(0, 60)), true);
    expect(() => relpos.decodeState(bytes)).toThrow('decodeState: "bytes" expected at most 2147483647 shards, got 2147483648');
  });
});

describe('createEngine', () => {
  test.each([1, 2])('refuses a wasm that is none with %i thread(s)', async (threads) => {
    for (const wasm of [1, {}, [], Promise.resolve(new Uint8Array(8))]) {
      await expect(relpos.createEngine({ wasm, threads } as Any)).rejects.toThrow(
        /^createEngine: "wasm" expected a WebAssembly.Module, bytes/,
      );
    }
  });

  test('createEngineSync names what it takes: nothing that has to be fetched', () => {
    const url = 'https://example.org/baseline.wasm';
    for (const precision of ['reproducible', 'int16'] as const) {
      for (const wasm of [1, null, {}, () => new Uint8Array(8), url, new URL(url), new Response()]) {
        expect(() => relpos.createEngineSync({ wasm, precision } as Any)).toThrow(
          /^createEngineSync: "wasm" expected a WebAssembly.Module or bytes, got /,
        );
      }
    }
  });

  test('takes a module and bytes of another realm', async () => {
    const bytes = unpack(baseline);
    const realm = runInNewContext(
      '({ module: (list) => new WebAssembly.Module(Uint8Array.from(list)), bytes: (list) => Uint8Array.from(list) })',
    );
    for (const wasm of [realm.module([...bytes]), realm.bytes([...bytes])]) {
      const made = await relpos.createEngine({ wasm, threads: 1 });
      expect((await made.selfTest()).passed).toBe(true);
      made.dispose();
    }
  });
});
