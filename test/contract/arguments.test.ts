/** Every wrong argument: the error's type, its message, and that nothing changes. */
import { afterAll, describe, expect, test } from 'vitest';
import { alibi, bias, createEngine, createEngineSync, defineEncoding, rotary, sandwich, type Tensor, t5 } from '../../src/index.ts';
import { baseline } from '../../src/wasm/generated/baseline.ts';
import { unpack } from '../../src/wasm/unpack.ts';

const engine = createEngineSync();
const other = createEngineSync();
afterAll(() => {
  engine.dispose();
  other.dispose();
});

const q = engine.tensor([2, 8, 5, 64]);
const k = engine.tensor([2, 4, 7, 64]);
const v = engine.tensor([2, 4, 7, 32]);
const foreign = other.tensor([2, 8, 5, 64]);
const halves = rotary({ dim: 64, theta: 10000, layout: 'halves' });

// Wrong on purpose, so untyped.
// biome-ignore lint/suspicious/noExplicitAny: the tests give what the types forbid.
type Any = any;
const attention = (...given: Any[]): unknown => (engine.attentionSync as Any)(...given);
const optioned = (options: Any): unknown => attention(q, k, v, options);
const rotate = (...given: Any[]): unknown => (engine.rotateSync as Any)(...given);

type Row = readonly [call: () => unknown, error: Error];

const ATTENTION: readonly Row[] = [
  [() => attention(1, k, v), new TypeError('attentionSync: "q" expected a tensor, got 1')],
  [() => attention(q, undefined, v), new TypeError('attentionSync: "k" expected a tensor, got undefined')],
  [() => attention(q, k, new Float32Array(3)), new TypeError('attentionSync: "v" expected a tensor, got Float32Array(3)')],
  [() => attention(foreign, k, v), new RangeError('attentionSync: "q" expected a tensor of this engine, got one of another engine')],
  [
    () => attention(engine.tensor([2, 8, 5, 64], undefined, 'i32'), k, v),
    new TypeError('attentionSync: "q" expected a tensor of f32, f16 or bf16, got "i32"'),
  ],
  [() => attention(engine.tensor([8, 5, 64]), k, v), new RangeError('attentionSync: "q" expected shape [B, H, L, D], got [8, 5, 64]')],
  [
    () => attention(engine.tensor([2, 8, 5, 1025]), k, v),
    new RangeError('attentionSync: "q" expected shape [B, H ≥ 1, L, 1 ≤ D ≤ 1024], got [2, 8, 5, 1025]'),
  ],
  [
    () => attention(q, engine.tensor([2, 3, 7, 64]), v),
    new RangeError('attentionSync: "k" expected shape [B=2, G, S, D=64], got [2, 3, 7, 64]: H=8 is not divisible by G=3'),
  ],
  [
    () => attention(q, engine.tensor([2, 4, 7, 63]), v),
    new RangeError('attentionSync: "k" expected shape [B=2, G, S, D=64], got [2, 4, 7, 63]'),
  ],
  [
    () => attention(q, engine.tensor([1, 4, 7, 64]), v),
    new RangeError('attentionSync: "k" expected shape [B=2, G, S, D=64], got [1, 4, 7, 64]'),
  ],
  [
    () => attention(q, k, engine.tensor([2, 4, 6, 32])),
    new RangeError('attentionSync: "v" expected shape [B=2, G=4, S=7, 1 ≤ E ≤ 1024], got [2, 4, 6, 32]'),
  ],
  [
    () => attention(q, k, v, { layout: 'blhd' }),
    new RangeError('attentionSync: "k" expected shape [B=2, S, G, D=64], got [2, 4, 7, 64]: H=5 is not divisible by G=7'),
  ],
];

const OPTIONS: readonly Row[] = [
  [() => optioned(null), new TypeError('attentionSync: "options" expected an object, got null')],
  [() => optioned('causal'), new TypeError('attentionSync: "options" expected an object, got "causal"')],
  [() => optioned({ layout: 'bldh' }), new RangeError(`attentionSync: "layout" expected 'bhld' or 'blhd', got "bldh"`)],
  [() => optioned({ layout: 1 }), new TypeError(`attentionSync: "layout" expected 'bhld' or 'blhd', got 1`)],
  [() => optioned({ scale: '1' }), new TypeError('attentionSync: "scale" expected a number, got "1"')],
  [() => optioned({ scale: Number.NaN }), new RangeError('attentionSync: "scale" expected a finite number, got NaN')],
  [() => optioned({ softcap: 0 }), new RangeError('attentionSync: "softcap" expected a finite number > 0, got 0')],
  [() => optioned({ causal: 1 }), new TypeError('attentionSync: "causal" expected true or false, got 1')],
  [() => optioned({ causal: null }), new TypeError('attentionSync: "causal" expected true or false, got null')],
  [() => optioned({ causal: {} }), new TypeError('attentionSync: "causal.offset" expected an integer, got undefined')],
  [() => optioned({ window: 5 }), new TypeError('attentionSync: "window" expected an object, got 5')],
  [() => optioned({ window: { size: 5 } }), new TypeError('attentionSync: "window" has no "size"; it knows left, right')],
  [() => optioned({ window: { left: -1 } }), new RangeError(`attentionSync: "window.left" expected an integer in 0 … ${2 ** 30}, got -1`)],
  [
    () => optioned({ window: { right: 0.5 } }),
    new RangeError(`attentionSync: "window.right" expected an integer in 0 … ${2 ** 30}, got 0.5`),
  ],
  [() => optioned({ sinks: 3 }), new TypeError('attentionSync: "sinks" expected a Float32Array, an array or a tensor, got 3')],
  [() => optioned({ sinks: [1, 2] }), new RangeError('attentionSync: "sinks" expected 8 numbers, got 2')],
  [() => optioned({ keyLengths: [1] }), new RangeError('attentionSync: "keyLengths" expected B=2 lengths, got 1')],
  [() => optioned({ keyLengths: [1, 8] }), new RangeError('attentionSync: "keyLengths[1]" expected an integer in 0 … 7, got 8')],
  [() => optioned({ keyLengths: [1, '2'] }), new TypeError('attentionSync: "keyLengths[1]" expected an integer, got "2"')],
  [() => optioned({ out: 1 }), new TypeError('attentionSync: "out" expected a tensor, got 1')],
  [() => optioned({ out: q }), new RangeError('attentionSync: "out" expected shape [2, 8, 5, 32], got [2, 8, 5, 64]')],
  [
    () => optioned({ encoding: 'rotary' }),
    new TypeError(
      'attentionSync: "encoding" expected an encoding such as rotary({ … }), or one of your own by defineEncoding, got "rotary"',
    ),
  ],
  [
    () => optioned({ encoding: [halves, rotary] }),
    new TypeError(
      'attentionSync: "encoding[1]" expected an encoding such as rotary({ … }), or one of your own by defineEncoding, got a function',
    ),
  ],
  [
    () => optioned({ encoding: { name: 'mine', lower: () => ({}) } }),
    new TypeError('attentionSync: "encoding" expected an encoding such as rotary({ … }), or one of your own by defineEncoding, got Object'),
  ],
  ...[
    { ...halves, lower: alibi({ heads: 8 }).lower },
    { ...halves, name: 3 },
    { ...halves, lower: () => 5 },
    Object.create(halves),
  ].flatMap((copy): Row[] => [
    [
      () => optioned({ encoding: copy }),
      new TypeError(
        'attentionSync: "encoding" expected an encoding such as rotary({ … }), or one of your own by defineEncoding, got Object',
      ),
    ],
    [() => rotate(q, copy), new TypeError('rotateSync: "encoding" expected an encoding that rotates, got Object')],
    [
      () => engine.kvCache({ batch: 1, heads: 1, headDim: 64, capacity: 4, encoding: copy }),
      new TypeError('kvCache: "encoding" expected an encoding, got Object'),
    ],
  ]),
  [() => optioned({ encoding: [halves, halves] }), new RangeError('attentionSync: "encoding" expected at most one rotation, got 2')],
  [
    () => optioned({ encoding: rotary({ dim: 66, theta: 1e4, layout: 'pairs' }) }),
    new RangeError('attentionSync: "encoding (rotary)" expected dim ≤ D=64, got dim 66'),
  ],
  [() => optioned({ encoding: alibi({ heads: 4 }) }), new RangeError('attentionSync: "encoding (alibi)" expected heads 1 or H=8, got 4')],
  [
    () => optioned({ encoding: bias(engine.tensor([1, 1, 5, 8])) }),
    new RangeError('attentionSync: "encoding (bias)" expected shape [1|B=2, 1|H=8, 1|L=5, S=7], got [1, 1, 5, 8]'),
  ],
  [
    () => optioned({ signal: new AbortController().signal }),
    new TypeError('attentionSync: "signal" works with the asynchronous form only'),
  ],
  [() => optioned({ onProgress: () => {} }), new TypeError('attentionSync: "onProgress" works with the asynchronous form only')],
];

const ROTATE: readonly Row[] = [
  [() => rotate(1, halves), new TypeError('rotateSync: "x" expected a tensor, got 1')],
  [() => rotate(foreign, halves), new RangeError('rotateSync: "x" expected a tensor of this engine, got one of another engine')],
  [() => rotate(engine.tensor([5, 64]), halves), new RangeError('rotateSync: "x" expected shape [B, H, L, D], got [5, 64]')],
  [() => rotate(q, alibi({ heads: 8 })), new RangeError('rotateSync: "encoding" expected an encoding that rotates, got alibi')],
  [() => rotate(q, undefined), new TypeError('rotateSync: "encoding" expected an encoding that rotates, got undefined')],
  [() => rotate(q, halves, { inverse: 1 }), new TypeError('rotateSync: "inverse" expected true or false, got 1')],
  [() => rotate(q, halves, { positions: [1, 2] }), new RangeError('rotateSync: "positions" expected 5 or 2×5 positions, got 2')],
  [
    () => rotate(q, halves, { positions: [1, 2, Number.NaN, 4, 5] }),
    new RangeError('rotateSync: "positions[2]" expected a finite number, got NaN'),
  ],
  [
    () => rotate(q, halves, { out: q.slice(null, null, null, [0, 64]) }),
    new RangeError('rotateSync: "out" expected memory of its own, got an overlap with "x"'),
  ],
  [() => rotate(q, halves, { positions: [0, 1, 2, 3, 4n] }), new TypeError('rotateSync: "positions[4]" expected a number, got 4n')],
  [() => rotate(q, halves, { offset: Symbol('five') }), new TypeError('rotateSync: "offset" expected a number, got Symbol(five)')],
  [
    () => rotate(q, halves, { positions: [0, 1, 2, 3, 4], offset: 0 }),
    new TypeError('rotateSync: "offset" expected none beside "positions", got 0'),
  ],
];

const tensor = (...given: Any[]): Tensor => (engine.tensor as Any)(...given);
const TENSOR: readonly Row[] = [
  [() => tensor(4), new TypeError('tensor: "shape" expected an array of integers, got 4')],
  [() => tensor([2, -1]), new RangeError('tensor: "shape[1]" expected an integer ≥ 0, got -1')],
  [() => tensor([2, '3']), new TypeError('tensor: "shape[1]" expected an integer, got "3"')],
  [() => tensor([2 ** 31]), new RangeError('tensor: "shape[0]" expected an integer in 0 … 2147483647, got 2147483648')],
  [() => tensor([65536, 65536]), new RangeError('tensor: "shape" expected at most 4 GiB, got [65536, 65536], 17179869184 bytes')],
  [() => tensor([3], new Float32Array(2)), new RangeError('tensor: "data" expected 3 elements, got Float32Array(2) with 2')],
  [
    () => tensor([3], new Int32Array(3)),
    new TypeError('tensor: "data" expected a Float32Array or an array of numbers for f32, got Int32Array(3)'),
  ],
  [() => tensor([3], 'abc'), new TypeError('tensor: "data" expected a Float32Array or an array of numbers for f32, got "abc"')],
  [() => tensor([3], [1, 2, 3], 'f64'), new RangeError('tensor: "dtype" expected f32, f16, bf16, i8, i32, got "f64"')],
  [() => q.slice(null, null, null, null, null), new RangeError('slice: "ranges" expected at most 4 ranges, got 5')],
  [() => q.slice([1, 3]), new RangeError('slice: "ranges[0]" expected an integer in -2 … 2, got 3')],
  [() => q.slice([2, 1]), new RangeError('slice: "ranges[0]" expected start ≤ end within 2, got [2, 1]')],
  [() => q.slice('0' as Any), new TypeError('slice: "ranges[0]" expected [start, end], an index or null, got "0"')],
  [() => q.permute(0, 1, 2, 2), new RangeError('permute: "axes" expected an order of 0 … 3, got [0, 1, 2, 2]')],
  [
    () => q.slice(null, [1, 3]).view(),
    new RangeError(`view: "tensor" expected contiguous elements, got strides [2560, 320, 64, 1]: use toArray()`),
  ],
];

const ENCODINGS: readonly Row[] = [
  [() => rotary({ dim: 63, theta: 1e4, layout: 'halves' }), new RangeError('rotary: "dim" expected an even number, got 63')],
  [() => rotary({ dim: 64, theta: 0, layout: 'halves' }), new RangeError('rotary: "theta" expected a finite number > 0, got 0')],
  [() => rotary({ dim: 64, theta: 1e-29, layout: 'halves' }), new RangeError('rotary: "theta" expected a number ≥ 1e-6, got 1e-29')],
  [() => sandwich({ heads: 2, theta: 9e-7 }), new RangeError('sandwich: "theta" expected a number ≥ 1e-6, got 9e-7')],
  [() => rotary({ dim: 64, theta: 1e4 } as Any), new TypeError(`rotary: "layout" expected 'halves' or 'pairs', got undefined`)],
  [() => alibi({ heads: 0 }), new RangeError('alibi: "heads" expected an integer in 1 … 65536, got 0')],
  [
    () => t5({ heads: 8, buckets: 32, maxDistance: 128, bidirectional: true, table: [1, 2] }),
    new RangeError('t5: "table" expected [32, 8], 256 numbers, got 2'),
  ],
  [() => bias([1, 2] as Any), new TypeError('bias: "tensor" expected a tensor, got [1, 2]')],
  [() => defineEncoding({ name: 'x' } as Any), new TypeError('defineEncoding: "lower" expected a function, got undefined')],
];

describe.each([
  ['attention', ATTENTION],
  ['options of attention', OPTIONS],
  ['rotate', ROTATE],
  ['tensors', TENSOR],
  ['encodings', ENCODINGS],
])('%s', (_, rows) => {
  test.each(rows.map(([call, error]) => ({ call, error, message: error.message })))('$message', ({ call, error }) => {
    expect(call).toThrow(error);
    expect(call).toThrow(error.constructor as typeof TypeError);
  });
});

test('after all these failures the engine holds what it held, and works', () => {
  const fresh = createEngineSync();
  const x = fresh.tensor([1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
  const expected = fresh.attentionSync(x, x, x).toArray();
  fresh.dispose();
  const { used } = engine.memoryUsage();
  for (const [call] of [...OPTIONS, ...ROTATE.slice(3, 8)]) expect(call).toThrow();
  // Those calls that make a tensor of their own keep it: only the dense bias above does.
  const dense = 5 * 8 * 4 + 64;
  expect(engine.memoryUsage().used - used).toBeLessThanOrEqual(dense + 64);
  const y = engine.tensor([1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
  expect(engine.attentionSync(y, y, y).toArray()).toEqual(expected);
});

describe('createEngine', () => {
  test.each([
    [{ threads: 0 }, new RangeError('createEngine: "threads" expected an integer in 1 … 256, got 0')],
    [{ threads: 'two' }, new TypeError(`createEngine: "threads" expected a number or 'auto', got "two"`)],
    [{ precision: 'fast' }, new RangeError(`createEngine: "precision" expected 'reproducible' or 'int16' or 'relaxed', got "fast"`)],
    [{ maxMemory: 10 }, new RangeError('createEngine: "maxMemory" expected a finite number > 65535, got 10')],
    [{ worker: 'x' }, new TypeError('createEngine: "worker" expected a function, got "x"')],
    [
      { workers: 2 },
      new TypeError(
        'createEngine: "options" has no "workers"; it knows threads, precision, maxMemory, wasm, worker, logger: did you mean "worker"?',
      ),
    ],
  ])('%o', async (options, error) => {
    await expect(createEngine(options as Any)).rejects.toThrow(error);
  });

  test.each([
    [new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]), 'bad-wasm'],
    [new Uint8Array([1, 2, 3]), 'bad-wasm'],
    [new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), 'bad-wasm'],
    [unpack(baseline).subarray(0, 4000), 'bad-wasm'],
  ])('other wasm than the kernels, on one thread and on two: %o', async (wasm, code) => {
    for (const threads of [1, 2]) await expect(createEngine({ wasm, threads, logger: { warn() {} } })).rejects.toMatchObject({ code });
    expect(() => createEngineSync({ wasm })).toThrow(expect.objectContaining({ code }));
  });

  test('the kernels as bytes run on as many threads as their own', async () => {
    const own = await createEngine({ wasm: unpack(baseline), threads: 2 });
    expect(own.capabilities.threads).toBe(2);
    expect((await own.selfTest()).passed).toBe(true);
    own.dispose();
  });
});
