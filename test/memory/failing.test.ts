/** Memory runs out at each allocation of every operation: it says so, nothing leaks, nothing has changed. */
import { afterAll, describe, expect, test } from 'vitest';
import * as relpos from '../../src/index.ts';
import {
  type AttentionOptions,
  alibi,
  bias,
  causalMask,
  type DType,
  defineMask,
  type Engine,
  encodeState,
  type KVCacheOptions,
  loadState,
  rotary,
  type SafeTensorLike,
  type Tensor,
} from '../../src/index.ts';
import {
  groupQueryAttention,
  multiHeadAttention,
  type OnnxValue,
  onnxAttention,
  onnxRotaryEmbedding,
  rotaryEmbedding,
} from '../../src/onnx/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { schemes } from '../conformance/schemes.ts';
import { type Bits, failEach, type Operation, taken } from './failing.ts';
import { fileOf } from './files.ts';

const [B, H, G, L, S, D, E] = [2, 4, 2, 9, 21, 8, 6] as const;
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);
const made = (engine: Engine, shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor =>
  engine.tensor(shape, numbers(sizeOf(shape), seed), dtype);
const qkv = (engine: Engine, dtype: DType = 'f32'): [Tensor, Tensor, Tensor] => [
  made(engine, [B, H, L, D], 1, dtype),
  made(engine, [B, G, S, D], 2, dtype),
  made(engine, [B, G, S, E], 3, dtype),
];
const halves = rotary({ dim: D, theta: 10000, layout: 'halves' });

let count = 0;
function every(title: string, operations: readonly Operation[]): void {
  describe(title, () => {
    test.each(operations)('$name', async (operation) => {
      count += await failEach(operation);
    });
  });
}

/** An attention call with the options that `make` gives. */
const attending = (name: string, make: (engine: Engine) => AttentionOptions, dtype: DType = 'f32'): Operation => ({
  name,
  setup(engine) {
    const operands = qkv(engine, dtype);
    const options = make(engine);
    return { run: async () => taken(await engine.attention(...operands, options)) };
  },
});

every('tensor', [
  ...(['f32', 'f16', 'bf16', 'i8', 'i32'] as const).flatMap((dtype): Operation[] => [
    { name: `${dtype}, zeros`, setup: (engine) => ({ run: () => taken(engine.tensor([3, 50], undefined, dtype)) }) },
    {
      name: `${dtype}, numbers`,
      setup: (engine) => ({
        run: () =>
          taken(
            engine.tensor(
              [3, 50],
              Array.from({ length: 150 }, (_, n) => n % 100),
              dtype,
            ),
          ),
      }),
    },
    {
      name: `${dtype}, a view of another tensor`,
      setup(engine) {
        const x = made(engine, [3, 50], 1, dtype === 'i8' || dtype === 'i32' ? 'f32' : dtype);
        const ints = engine.tensor([3, 50], undefined, dtype);
        return { run: () => taken(engine.tensor([3, 50], (dtype === 'i8' || dtype === 'i32' ? ints : x).view(), dtype)) };
      },
    },
    {
      name: `${dtype}, toArray of a slice`,
      setup(engine) {
        const x = engine.tensor([3, 50], undefined, dtype).slice(null, [1, 40]);
        return { run: () => [x.toArray()] };
      },
    },
  ]),
  ...(['f16', 'bf16'] as const).map(
    (dtype): Operation => ({
      name: `${dtype}, set`,
      setup(engine) {
        const x = made(engine, [3, 50], 1, dtype);
        const old = x.view().slice();
        return {
          run() {
            x.set(numbers(150, 7));
            const bits = x.view().slice() as Bits;
            x.set(old);
            return [bits];
          },
          probe: () => [x.view().slice() as Bits],
        };
      },
    }),
  ),
]);

const tensorOf = (shape: readonly number[], dtype: DType) => (engine: Engine) => made(engine, shape, 11, dtype);
every('attention', [
  attending('plain', () => ({})),
  attending('f16', () => ({}), 'f16'),
  attending('causal window with softcap and scale', () => ({ causal: true, window: { left: 5 }, softcap: 3, scale: 0.3 })),
  attending('sinks and lengths', () => ({ sinks: [1, 2, 3, 4], keyLengths: [S, 7] })),
  attending('sinks of a tensor', (engine) => ({ sinks: tensorOf([H], 'f16')(engine) })),
  attending('smooth sinks', () => ({ sinks: 'smooth' })),
  attending('normalisation', (engine) => ({
    qkNorm: { kind: 'rms', queryWeight: numbers(D, 1), keyWeight: tensorOf([G, D], 'bf16')(engine) },
  })),
  attending('a mask', () => ({ mask: causalMask() })),
  attending('a mask with holes', () => ({
    mask: defineMask({
      name: 'holes',
      intervals: () => [
        [0, 3],
        [5, 9],
      ],
    }),
  })),
  attending('a mask of numbers', (engine) => ({ mask: tensorOf([L, S], 'f32')(engine) })),
  attending('a mask of f16', (engine) => ({ mask: tensorOf([B, 1, 1, S], 'f16')(engine) })),
  attending('a mask of one column', (engine) => ({ mask: tensorOf([L, 1], 'bf16')(engine) })),
  attending('a mask of bytes', (engine) => ({ mask: engine.tensor([B, 1, L, S], undefined, 'i8') })),
  attending('a mask of bytes whose keys are not neighbours', (engine) => ({ mask: engine.tensor([S, L], undefined, 'i8').permute(1, 0) })),
  attending('masks of all kinds', (engine) => ({
    mask: [causalMask(), tensorOf([S], 'f32')(engine), tensorOf([L, 1], 'f16')(engine), engine.tensor([S], new Int8Array(S).fill(1), 'i8')],
  })),
  attending('a bias of f32', (engine) => ({ encoding: bias(tensorOf([B, H, L, S], 'f32')(engine)) })),
  attending('a bias of f16', (engine) => ({ encoding: bias(tensorOf([1, 1, L, S], 'f16')(engine)) })),
  attending('a bias whose keys are not neighbours', (engine) => ({
    encoding: bias(tensorOf([1, 1, S, L], 'f32')(engine).permute(0, 1, 3, 2)),
  })),
  attending('several encodings', () => ({ encoding: [halves, alibi({ heads: H })], causal: true })),
  attending('explicit positions', () => ({
    encoding: rotary({
      dim: D,
      theta: 100,
      layout: 'pairs',
      positions: Array.from({ length: S }, (_, n) => 3 * n),
      queryPositions: Array.from({ length: L }, (_, n) => n),
    }),
  })),
  attending('a shard of the keys', () => ({ encoding: [halves, alibi({ heads: H })], keyOffset: 5, totalKeys: 90 })),
  {
    name: 'synchronous',
    setup(engine) {
      const operands = qkv(engine);
      return { run: () => taken(engine.attentionSync(...operands, { encoding: halves })) };
    },
  },
  ...(['f32', 'f16'] as const).flatMap((dtype) =>
    [false, true].map(
      (signalled): Operation => ({
        name: `into an output of ${dtype} with gaps${signalled ? ', with a signal' : ''}`,
        setup(engine) {
          const operands = qkv(engine);
          const out = engine.tensor([B, H, L, 2 * E], undefined, dtype).slice(null, null, null, [1, E + 1]);
          const { signal } = new AbortController();
          const clear = (): Tensor => out.set(new Float32Array(B * H * L * E));
          return {
            async run() {
              await engine.attention(...operands, { out, ...(signalled && { signal }) });
              const values = out.toArray();
              clear();
              return [values];
            },
          };
        },
      }),
    ),
  ),
]);

/** The conformance cases of the schemes; each makes its inputs itself. */
every(
  'schemes',
  Object.entries(schemes).map(
    ([name, scheme]): Operation => ({
      name,
      setup(engine) {
        const own: Tensor[] = [];
        // Records what the case makes, so that it can be given back.
        const recording = new Proxy(engine, {
          get(target, key) {
            const value = target[key as 'tensor'];
            if (key !== 'tensor') return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
            return (...args: Parameters<Engine['tensor']>) => {
              const tensor = engine.tensor(...args);
              own.push(tensor);
              return tensor;
            };
          },
        });
        return {
          async run() {
            try {
              return taken(...((await scheme(relpos, recording)) as Tensor[]));
            } finally {
              for (const tensor of own.splice(0)) tensor.dispose();
            }
          },
        };
      },
    }),
  ),
);

const packedOperands = (engine: Engine): [Tensor, Tensor, Tensor] => [
  made(engine, [30, H, D], 1),
  made(engine, [30, G, D], 2),
  made(engine, [30, G, E], 3),
];
const packed = { queryOffsets: [0, 4, 8, 20, 30], encoding: [halves, alibi({ heads: H })], causal: true } as const;
every('packed and partial', [
  {
    name: 'attentionPartial',
    setup(engine) {
      const operands = qkv(engine);
      return {
        async run() {
          const { out, lse } = await engine.attentionPartial(...operands, { encoding: halves });
          return taken(out, lse);
        },
      };
    },
  },
  {
    name: 'attentionPartial into an output',
    setup(engine) {
      const operands = qkv(engine);
      const out = engine.tensor([B, H, L, E]);
      return {
        async run() {
          const { lse } = await engine.attentionPartial(...operands, { out });
          return [out.toArray(), ...taken(lse)];
        },
      };
    },
  },
  {
    name: 'attention, packed',
    setup(engine) {
      const operands = packedOperands(engine);
      return { run: async () => taken(await engine.attention(...operands, packed)) };
    },
  },
  {
    name: 'attention, packed, no documents',
    setup(engine) {
      const none = engine.tensor([0, H, D]);
      return { run: async () => taken(await engine.attention(none, none, none, { queryOffsets: [0] })) };
    },
  },
  {
    name: 'attention, packed, into an output with gaps and with a signal',
    setup(engine) {
      const operands = packedOperands(engine);
      const out = engine.tensor([30, H, 2 * E], undefined, 'f16').slice(null, null, [0, E]);
      const { signal } = new AbortController();
      return {
        async run() {
          await engine.attention(...operands, { ...packed, out, signal });
          return [out.toArray()];
        },
      };
    },
  },
  {
    name: 'attentionPartial, packed',
    setup(engine) {
      const operands = packedOperands(engine);
      return {
        async run() {
          const { out, lse } = await engine.attentionPartial(...operands, { ...packed, sinks: [1, 2, 3, 4] });
          return taken(out, lse);
        },
      };
    },
  },
  {
    name: 'splits of the keys over threads',
    threads: 2,
    setup(engine) {
      const [q, k] = [made(engine, [1, 2, 1, 64], 1), made(engine, [1, 2, 2000, 64], 2)];
      return { run: async () => taken(await engine.attention(q, k, k, { encoding: alibi({ heads: 2 }) })) };
    },
  },
  {
    name: 'mergeStates of several types',
    setup(engine) {
      const state = (seed: number, dtype: DType) => ({
        out: made(engine, [B, H, L, E], seed, dtype),
        lse: made(engine, [B, H, L], seed + 1),
      });
      const states = [state(1, 'f32'), state(3, 'f16'), state(5, 'bf16')];
      return {
        async run() {
          const { out, lse } = await engine.mergeStates(states, { sinks: [1, 2, 3, 4] });
          return taken(out, lse);
        },
      };
    },
  },
  {
    name: 'mergeStates into an output',
    setup(engine) {
      const states = [1, 2].map((seed) => ({ out: made(engine, [B, H, L, E], seed), lse: made(engine, [B, H, L], seed) }));
      const out = engine.tensor([B, H, L, E]);
      return {
        run() {
          const { lse } = engine.mergeStatesSync(states, { out });
          return [out.toArray(), ...taken(lse)];
        },
      };
    },
  },
  {
    name: 'encodeState and loadState',
    setup(engine) {
      const state = { out: made(engine, [B, H, L, E], 1).slice(null, [0, 2]), lse: made(engine, [B, H, L], 2).slice(null, [0, 2]) };
      return {
        run() {
          const bytes = encodeState(state);
          const { out, lse } = loadState(engine, relpos.decodeState(bytes));
          return taken(out, lse);
        },
      };
    },
  },
]);

const weighing = (name: string, options: relpos.WeightsOptions): Operation => ({
  name,
  setup(engine) {
    const [q, k] = qkv(engine);
    return { run: async () => taken(await engine.attentionWeights(q, k, options)) };
  },
});
const rotating = (name: string, options: relpos.RotateOptions, dtype: DType = 'f32'): Operation => ({
  name,
  setup(engine) {
    const x = made(engine, [B, H, L, D], 1, dtype);
    return { run: async () => taken(await engine.rotate(x, halves, options)) };
  },
});
every('weights and rotations', [
  weighing('attentionWeights', { encoding: [halves, alibi({ heads: H })] }),
  weighing('attentionWeights of a window', { queries: [2, 5], keys: [3, 20], causal: true }),
  {
    name: 'attentionWeights, synchronous, more columns than fit at once',
    setup(engine) {
      const [q, k] = [made(engine, [1, 1, 2, 4], 1), made(engine, [1, 1, 1100, 4], 2)];
      return { run: () => taken(engine.attentionWeightsSync(q, k, { layout: 'bhld' })) };
    },
  },
  rotating('rotate', { offset: 3 }),
  rotating('rotate, f16, inverse', { inverse: true }, 'f16'),
  rotating('rotate by positions', { positions: Array.from({ length: B * L }, (_, n) => n * n) }),
  {
    name: 'rotate a longer sequence than before',
    setup(engine) {
      const [short, long] = [made(engine, [1, 1, 10, D], 1), made(engine, [1, 1, 100, D], 1)];
      engine.rotateSync(short, halves, { offset: 200 }).dispose();
      return { run: async () => [...taken(await engine.rotate(short, halves)), ...taken(await engine.rotate(long, halves))] };
    },
  },
  {
    name: 'attention to more keys than before',
    setup(engine) {
      const encoding = [halves, alibi({ heads: H })];
      const [q, k, v] = qkv(engine);
      const rows = (x: Tensor): Tensor => x.slice(null, null, [0, 3]);
      engine.attentionSync(rows(q), rows(k), rows(v), { encoding }).dispose();
      const long = made(engine, [1, H, 150, D], 2);
      return {
        run: async () => [
          ...taken(await engine.attention(q, k, v, { encoding })),
          ...taken(await engine.attention(long, long, long, { encoding })),
        ],
      };
    },
  },
]);

every('tensors of files', [
  {
    name: 'attention with a mask and a bias',
    setup(engine) {
      const [q, k, v] = qkv(engine, 'f16').map(fileOf) as [SafeTensorLike, SafeTensorLike, SafeTensorLike];
      const mask = fileOf(engine.tensor([L, 1], new Int8Array(L).fill(1), 'i8'));
      const encoding = [halves, bias(fileOf(made(engine, [1, H, L, S], 4, 'bf16')))];
      return { run: async () => taken(await engine.attention(q, k, v, { mask, encoding })) };
    },
  },
  {
    name: 'attention, packed',
    setup(engine) {
      const [q, k, v] = packedOperands(engine).map(fileOf) as [SafeTensorLike, SafeTensorLike, SafeTensorLike];
      return { run: async () => taken(await engine.attention(q, k, v, packed)) };
    },
  },
  {
    name: 'attentionWeights',
    setup(engine) {
      const [q, k] = qkv(engine).map(fileOf) as [SafeTensorLike, SafeTensorLike];
      return { run: async () => taken(await engine.attentionWeights(q, k, { causal: true })) };
    },
  },
  {
    name: 'rotate',
    setup(engine) {
      const x = fileOf(made(engine, [B, H, L, D], 1, 'bf16'));
      return { run: async () => taken(await engine.rotate(x, halves)) };
    },
  },
  {
    name: 'mergeStates',
    setup(engine) {
      const state = (seed: number) => ({
        out: fileOf(made(engine, [B, H, L, E], seed, 'f16')),
        lse: fileOf(made(engine, [B, H, L], seed)),
      });
      const states = [state(1), state(2)];
      return {
        async run() {
          const { out, lse } = await engine.mergeStates(states);
          return taken(out, lse);
        },
      };
    },
  },
  {
    name: 'append',
    setup(engine) {
      const [q, k, v] = qkv(engine) as [Tensor, Tensor, Tensor];
      const [keys, values] = [fileOf(k), fileOf(v)];
      const cache = engine.kvCache({ ...CACHE, capacity: 2 * S });
      return {
        run() {
          cache.reset().append(keys, values);
          return taken(engine.attentionSync(q, null, null, { cache }));
        },
      };
    },
  },
]);

const CACHE = { batch: B, heads: G, headDim: D, valueDim: E, capacity: 16, pageSize: 8 } as const;
interface Cached {
  readonly name: string;
  readonly options?: Partial<KVCacheOptions>;
  readonly lengths?: readonly number[];
  /** What attention is called with beside the cache. */
  readonly call?: AttentionOptions;
}
const CACHES: readonly Cached[] = [
  { name: 'f32' },
  { name: 'f16', options: { dtype: 'f16' } },
  { name: 'i8, rotated on append', options: { dtype: 'i8', encoding: halves } },
  { name: 'rotated on append', options: { encoding: halves } },
  { name: 'rotated on read', options: { encoding: halves, rotate: 'on-read' }, call: { encoding: alibi({ heads: H }), causal: true } },
  {
    name: 'rows of different lengths',
    options: { encoding: halves },
    lengths: [11, 5],
    call: { causal: true, encoding: alibi({ heads: H }) },
  },
  { name: 'a window with sinks', options: { encoding: halves, window: { left: 9, sinks: 2 } }, call: { causal: true } },
];
/** What a cache holds, as attention sees it. */
const contents = async (engine: Engine, cache: relpos.KVCache): Promise<Bits[]> => {
  const q = made(engine, [B, H, 1, D], 77);
  try {
    const { out, lse } = await engine.attentionPartial(q, null, null, { cache });
    return [...taken(out, lse), Float64Array.from(cache.lengths)];
  } finally {
    q.dispose();
  }
};
function cacheOf(engine: Engine, { options, lengths }: Cached): { cache: relpos.KVCache; next: [Tensor, Tensor, Tensor] } {
  const cache = engine.kvCache({ ...CACHE, ...options });
  const [k, v] = [made(engine, [B, G, 11, D], 4), made(engine, [B, G, 11, E], 5)];
  cache.append(k, v, lengths && { lengths });
  k.dispose();
  v.dispose();
  return { cache, next: [made(engine, [B, H, 3, D], 6), made(engine, [B, G, 3, D], 7), made(engine, [B, G, 3, E], 8)] };
}
/** What is done to a cache and read from it; `undo` leaves it as it was. */
const caching = (
  kind: Cached,
  name: string,
  act: (engine: Engine, cache: relpos.KVCache, next: [Tensor, Tensor, Tensor]) => Promise<Bits[]>,
): Operation => ({
  name: `${kind.name}: ${name}`,
  async setup(engine) {
    const { cache, next } = cacheOf(engine, kind);
    return { run: () => act(engine, cache, next), probe: () => contents(engine, cache) };
  },
});
every(
  'cache',
  CACHES.flatMap((kind): Operation[] => {
    const { call = {} } = kind;
    const before = kind.lengths ?? [11, 11];
    return [
      {
        name: `${kind.name}: kvCache`,
        setup: (engine) => ({
          run() {
            engine.kvCache({ ...CACHE, ...kind.options }).dispose();
            return [];
          },
        }),
      },
      caching(kind, 'append', async (_, cache, [, k, v]) => {
        cache.append(k, v);
        const after = Float64Array.from(cache.lengths);
        cache.truncate(before);
        return [after];
      }),
      caching(kind, 'append to a fork', async (engine, cache, [, k, v]) => {
        const fork = cache.fork();
        try {
          fork.append(k, v);
          return [Float64Array.from(fork.lengths), ...(await contents(engine, fork))];
        } finally {
          fork.dispose();
        }
      }),
      caching(kind, 'attention that appends', async (engine, cache, next) => {
        const out = taken(await engine.attention(...next, { ...call, cache }));
        cache.truncate(before);
        return out;
      }),
      caching(kind, 'attention that reads', async (engine, cache, [q]) =>
        taken(await engine.attention(q, null, null, { ...call, cache, queryOffset: 12 })),
      ),
      caching(kind, 'attention that appends to a fork, with a signal', async (engine, cache, next) => {
        const fork = cache.fork();
        try {
          return taken(await engine.attention(...next, { ...call, cache: fork, signal: new AbortController().signal }));
        } finally {
          fork.dispose();
        }
      }),
      ...(kind.options?.encoding && kind.options.rotate === undefined
        ? [
            caching(kind, 'remove from a fork', async (engine, cache) => {
              const fork = cache.fork();
              try {
                fork.remove(3, 5);
                return await contents(engine, fork);
              } finally {
                fork.dispose();
              }
            }),
            caching(kind, 'shift of a fork', async (engine, cache) => {
              const fork = cache.fork();
              try {
                fork.shift(-2);
                return await contents(engine, fork);
              } finally {
                fork.dispose();
              }
            }),
          ]
        : []),
    ];
  }),
);

const plain = (shape: readonly number[], seed: number): OnnxValue => ({ dims: shape, data: numbers(sizeOf(shape), seed) });
const outputs = (values: Readonly<Record<string, unknown>>): Bits[] =>
  Object.values(values).flatMap((value) => {
    if (value === undefined) return [];
    return value instanceof Object && 'data' in value ? [(value as { data: Bits }).data] : taken(value as Tensor);
  });
const ids = (...list: number[]): OnnxValue => ({ dims: [1, list.length], data: BigInt64Array.from(list, BigInt) });
const onnx = (name: string, run: (engine: Engine) => Promise<Readonly<Record<string, unknown>>>): Operation => ({
  name,
  setup: (engine) => ({ run: async () => outputs(await run(engine)) }),
});
const half = (shape: readonly number[]): OnnxValue => ({ dims: shape, data: new Uint16Array(sizeOf(shape)).fill(0x3800) });
every('ONNX', [
  onnx('Attention', async (engine) => ({
    ...(await onnxAttention<OnnxValue>(
      engine,
      {
        Q: plain([1, H, L, D], 1),
        K: plain([1, G, L, D], 2),
        V: plain([1, G, L, E], 3),
        attn_mask: { dims: [L, L + 4], data: new Uint8Array(L * (L + 4)).fill(1) },
        past_key: plain([1, G, 4, D], 4),
        past_value: plain([1, G, 4, E], 5),
      },
      { is_causal: 1, qk_matmul_output_mode: 1 },
      24,
      ['Y', 'present_key', 'present_value', 'qk_matmul_output'],
    )),
  })),
  onnx('Attention of three dimensions, f16', async (engine) => ({
    ...(await onnxAttention<OnnxValue>(
      engine,
      { Q: half([1, L, H * D]), K: half([1, L, G * D]), V: half([1, L, G * E]), attn_mask: half([L, 5]) },
      { q_num_heads: H, kv_num_heads: G },
      24,
      ['Y'],
    )),
  })),
  onnx('RotaryEmbedding', async (engine) => ({
    Y: await onnxRotaryEmbedding<OnnxValue>(
      engine,
      {
        X: plain([1, L, H * D], 1),
        cos_cache: plain([32, D / 2], 2),
        sin_cache: plain([32, D / 2], 3),
        position_ids: ids(...Array(L).keys()),
      },
      { num_heads: H },
    ),
  })),
  onnx('com.microsoft RotaryEmbedding', async (engine) => ({
    output: await rotaryEmbedding<OnnxValue>(
      engine,
      {
        input: plain([1, H, L, D], 1),
        position_ids: ids(...Array(L).keys()),
        cos_cache: plain([32, D / 2], 2),
        sin_cache: plain([32, D / 2], 3),
      },
      {},
    ),
  })),
  onnx('GroupQueryAttention', async (engine) => ({
    ...(await groupQueryAttention<OnnxValue>(
      engine,
      {
        query: plain([1, L, H * D], 1),
        key: plain([1, L, G * D], 2),
        value: plain([1, L, G * D], 3),
        seqlens_k: { dims: [1], data: Int32Array.of(L - 1) },
        total_sequence_length: { dims: [], data: Int32Array.of(L) },
        cos_cache: plain([32, D / 2], 4),
        sin_cache: plain([32, D / 2], 5),
      },
      { num_heads: H, kv_num_heads: G, do_rotary: 1 },
    )),
  })),
  onnx('MultiHeadAttention', async (engine) => ({
    ...(await multiHeadAttention<OnnxValue>(
      engine,
      {
        query: plain([1, L, H * D], 1),
        key: plain([1, L, H * D], 2),
        value: plain([1, L, H * D], 3),
        bias: plain([3 * H * D], 4),
        attention_bias: plain([1, 1, L, L], 5),
      },
      { num_heads: H },
    )),
  })),
  {
    name: 'Attention of tensors',
    setup(engine) {
      const [Q, K, V] = [made(engine, [1, L, H * D], 1), made(engine, [1, L, G * D], 2), made(engine, [1, L, G * D], 3)];
      const past = { past_key: made(engine, [1, G, 4, D], 4, 'f32'), past_value: made(engine, [1, G, 4, D], 5) };
      return {
        run: async () =>
          outputs({
            ...(await onnxAttention<Tensor>(engine, { Q, K, V, ...past }, { q_num_heads: H, kv_num_heads: G, is_causal: 1 }, 23, [
              'Y',
              'present_key',
              'present_value',
            ])),
          }),
      };
    },
  },
]);

every('the rest', [
  { name: 'selfTest', setup: (engine) => ({ run: async () => [Float64Array.of((await engine.selfTest()).error)] }) },
  {
    name: 'estimate',
    setup(engine) {
      const shapes = { q: [B, H, L, D], k: [B, G, S, D], v: [B, G, S, E] };
      const encoding = [halves, alibi({ heads: H }), bias(made(engine, [1, H, L, S], 1, 'f16'))];
      return { run: () => [Float64Array.of(engine.estimate(shapes, { encoding, causal: true }).total)] };
    },
  },
]);

// One by one, and each with all that follow it.
afterAll(() => {
  expect(count).toBeGreaterThan(1200);
});
