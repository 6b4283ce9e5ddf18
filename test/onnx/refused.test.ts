/** What is refused, and that the error names the node's input or attribute: never an option of ours. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import { inNamesOf } from '../../src/onnx/attributes.ts';
import {
  groupQueryAttention,
  multiHeadAttention,
  type OnnxAttentionAttributes,
  type OnnxValue,
  onnxAttention,
  onnxRotaryEmbedding,
  rotaryEmbedding,
} from '../../src/onnx/index.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const float = (...dims: number[]): OnnxValue => ({ dims, data: new Float32Array(dims.reduce((a, n) => a * n)) });
const int32 = (...list: number[]): OnnxValue => ({ dims: [list.length], data: Int32Array.from(list) });
const int64 = (...list: number[]): OnnxValue => ({ dims: [list.length], data: BigInt64Array.from(list.map(BigInt)) });
const EMPTY = float(0);
const [B, H, G, L, S, D, E] = [2, 4, 2, 5, 9, 8, 6];

/** Each operator with valid inputs and attributes, some of which are changed. */
const attention = (inputs: object = {}, attributes: object = {}, opset: 23 | 24 | 25 = 25) =>
  onnxAttention<OnnxValue>(
    engine,
    { Q: float(B, H, L, D), K: float(B, G, S, D), V: float(B, G, S, E), ...inputs },
    attributes as OnnxAttentionAttributes,
    opset,
  );
const flatAttention = (attributes: object) =>
  attention({ Q: float(B, L, H * D), K: float(B, S, G * D), V: float(B, S, G * E) }, attributes);
const gqa = (inputs: object = {}, attributes: object = {}) =>
  groupQueryAttention<OnnxValue>(
    engine,
    {
      query: float(1, L, H * D),
      key: float(1, L, G * D),
      value: float(1, L, G * D),
      seqlens_k: int32(L - 1),
      total_sequence_length: int32(L),
      ...inputs,
    },
    { num_heads: H, kv_num_heads: G, ...attributes } as never,
  );
const decoding = (inputs: object = {}, attributes: object = {}) =>
  gqa(
    {
      query: float(1, 1, H * D),
      key: float(1, 1, G * D),
      value: float(1, 1, G * D),
      past_key: float(1, G, 4, D),
      past_value: float(1, G, 4, D),
      seqlens_k: int32(4),
      total_sequence_length: int32(5),
      ...inputs,
    },
    attributes,
  );
const turning = (inputs: object = {}, attributes: object = {}) =>
  gqa({ cos_cache: float(9, D / 2), sin_cache: float(9, D / 2), ...inputs }, { do_rotary: 1, ...attributes });
const mha = (inputs: object = {}, attributes: object = {}) =>
  multiHeadAttention<OnnxValue>(
    engine,
    { query: float(B, L, H * D), key: float(B, S, H * D), value: float(B, S, H * E), ...inputs } as never,
    { num_heads: H, ...attributes },
  );
const onnxRotary = (inputs: object = {}, attributes: object = {}) =>
  onnxRotaryEmbedding<OnnxValue>(
    engine,
    {
      X: float(1, H, L, D),
      cos_cache: float(9, D / 2),
      sin_cache: float(9, D / 2),
      position_ids: { dims: [1, L], data: new BigInt64Array(L) },
      ...inputs,
    },
    attributes,
  );
const rotary = (inputs: object = {}, attributes: object = {}) =>
  rotaryEmbedding<OnnxValue>(
    engine,
    { input: float(1, L, H * D), position_ids: int64(0), cos_cache: float(9, D / 2), sin_cache: float(9, D / 2), ...inputs },
    attributes,
  );

test('the nodes that the others vary are valid', async () => {
  const all = [
    attention(),
    flatAttention({ q_num_heads: H, kv_num_heads: G }),
    gqa(),
    decoding(),
    turning(),
    mha(),
    onnxRotary(),
    rotary(),
  ];
  await expect(Promise.all(all)).resolves.toHaveLength(8);
});

type Row = readonly [what: string, call: () => Promise<unknown>, message: RegExp];

const ATTENTION: readonly Row[] = [
  ['float64', () => attention({ Q: { dims: [1], data: new Float64Array(1) } }), /"Q" expected a typed array of float32, float16, bfloat16/],
  ['an input that is none', () => attention({ mask: EMPTY }), /"inputs" has no "mask"/],
  ['Q left out', () => attention({ Q: null }), /"Q" expected \{ data, dims \} or a tensor, got null/],
  ['a window before opset 25', () => attention({}, { left_window_size: 1 }, 24), /no "left_window_size"/],
  ['another opset', () => attention({}, {}, 22 as 23), /"opset"/],
  ['nonpad before opset 24', () => attention({ nonpad_kv_seqlen: int64(1, 1) }, {}, 23), /"nonpad_kv_seqlen"/],
  [
    'nonpad beyond S',
    () => attention({ nonpad_kv_seqlen: int64(1, S + 1) }),
    /"nonpad_kv_seqlen\[1\]" expected an integer in 0 … 9, got 10/,
  ],
  ['nonpad below 0', () => attention({ nonpad_kv_seqlen: int64(-1, 1) }), /"nonpad_kv_seqlen\[0\]"/],
  ['nonpad of another shape', () => attention({ nonpad_kv_seqlen: int64(1) }), /"nonpad_kv_seqlen" expected shape \[B=2\], got \[1\]/],
  [
    'nonpad beside a past',
    () => attention({ nonpad_kv_seqlen: int64(1, 1), past_key: float(B, G, 1, D), past_value: float(B, G, 1, E) }),
    /"nonpad_kv_seqlen"/,
  ],
  [
    'a mask that is shorter, opset 23',
    () => attention({ attn_mask: float(L, S - 1) }, {}, 23),
    /"attn_mask" expected shape \[1\|L=5, 1\|S=9\], got \[5, 8\]/,
  ],
  [
    'a mask shorter than nonpad',
    () => attention({ attn_mask: float(L, 3), nonpad_kv_seqlen: int64(2, 4) }),
    /"attn_mask" expected shape \[1\|L=5, 4 … S=9\]/,
  ],
  ['a mask that is longer', () => attention({ attn_mask: float(L, S + 1) }), /"attn_mask"/],
  ['a mask of other rows', () => attention({ attn_mask: float(3, S) }), /"attn_mask" expected shape \[1\|L=5/],
  ['a mask of other heads', () => attention({ attn_mask: float(3, L, S) }), /"attn_mask" expected shape \[1\|H=4/],
  ['a mask of rank 5', () => attention({ attn_mask: float(1, 1, 1, 1, S) }), /"attn_mask" expected shape/],
  ['an empty mask', () => attention({ attn_mask: EMPTY }), /"attn_mask"/],
  [
    'a mask of whole numbers',
    () => attention({ attn_mask: int32(...Array(S).fill(1)) }),
    /"attn_mask" expected bool, float32, float16, bfloat16, got "int32"/,
  ],
  ['past_key alone', () => attention({ past_key: float(B, G, 1, D) }), /"past_value" expected a tensor beside past_key, got undefined/],
  ['past_value alone', () => attention({ past_value: float(B, G, 1, E) }), /"past_key" expected a tensor beside past_value, got undefined/],
  [
    'past_value longer than past_key',
    () => attention({ past_key: float(B, G, 1, D), past_value: float(B, G, 2, E) }),
    /"past_value" expected the P=1 rows of past_key/,
  ],
  ['an empty past', () => attention({ past_key: EMPTY, past_value: EMPTY }), /"past_key"/],
  ['3-D without q_num_heads', () => flatAttention({ kv_num_heads: G }), /"q_num_heads" expected an integer, got undefined/],
  ['3-D without kv_num_heads', () => flatAttention({ q_num_heads: H }), /"kv_num_heads" expected an integer, got undefined/],
  [
    'heads that do not divide',
    () => flatAttention({ q_num_heads: 3, kv_num_heads: G }),
    /"Q" expected a last dimension that q_num_heads=3 divides/,
  ],
  ['other heads than 4-D has', () => attention({}, { kv_num_heads: 3 }), /"kv_num_heads" expected the 2 heads of K/],
  ['K of other rank', () => attention({ K: float(B, S, G * D) }), /"K" expected 4 dimensions, as Q has/],
  ['K of other width', () => attention({ K: float(B, G, S, D + 1) }), /"K"/],
  [
    'K of heads that do not divide',
    () => attention({ K: float(B, 3, S, D), V: float(B, 3, S, E) }),
    /"K" expected a number of heads that divides the H=4/,
  ],
  ['V of other rows', () => attention({ V: float(B, G, S - 1, E) }), /"V"/],
  [
    'channels beyond the kernels',
    () => attention({ Q: float(B, H, L, 1025), K: float(B, G, S, 1025) }),
    /"Q" expected .*1 to 1024 channels/,
  ],
  ['NaN for scale', () => attention({}, { scale: Number.NaN }), /"scale" expected a finite number, got NaN/],
  ['a negative scale', () => attention({}, { scale: -1 }), /"scale"/],
  ['NaN for softcap', () => attention({}, { softcap: Number.NaN }), /"softcap"/],
  ['a negative softcap', () => attention({}, { softcap: -1 }), /"softcap" expected a finite number ≥ 0, got -1/],
  ['is_causal 2', () => attention({}, { is_causal: 2 }), /"is_causal" expected an integer in 0 … 1, got 2/],
  ['is_causal true', () => attention({}, { is_causal: true }), /"is_causal" expected an integer, got true/],
  ['another precision', () => attention({}, { softmax_precision: 7 }), /"softmax_precision" expected 1, 10, 11, 16, got 7/],
  [
    'outputs as a string',
    () => onnxAttention(engine, { Q: EMPTY, K: EMPTY, V: EMPTY }, {}, 25, 'Y' as never),
    /"outputs" expected an array of names, got "Y"/,
  ],
  ['attributes as an array', () => attention({}, []), /"attributes" expected a plain object, got \[\]/],
];

const GROUPS: readonly Row[] = [
  ['a quantised cache', () => gqa({}, { kv_cache_bit_width: 8 }), /"kv_cache_bit_width".*not/],
  ['a norm of heads', () => gqa({ q_norm_weight: EMPTY }), /"q_norm_weight"/],
  [
    'a bias narrower than T',
    () => gqa({ attention_bias: float(1, 1, L, L - 1) }),
    /"attention_bias" expected shape \[1\|B=1, 1\|H=4, L=5, T=5\], got \[1, 1, 5, 4\]/,
  ],
  ['a bias wider than T', () => gqa({ attention_bias: float(1, 1, L, L + 1) }), /"attention_bias"/],
  ['a bias of one row', () => gqa({ attention_bias: float(1, 1, 1, L) }), /"attention_bias"/],
  ['an empty bias', () => gqa({ attention_bias: EMPTY }), /"attention_bias"/],
  ['NaN for scale', () => gqa({}, { scale: Number.NaN }), /"scale" expected a finite number, got NaN/],
  ['NaN for softcap', () => gqa({}, { softcap: Number.NaN }), /"softcap"/],
  ['causal 2', () => gqa({}, { causal: 2 }), /"causal" expected an integer in 0 … 1, got 2/],
  ['causal 0 with a window', () => gqa({}, { causal: 0, local_window_size: 2 }), /"local_window_size" expected −1 with causal = 0, got 2/],
  ['a window of nothing', () => gqa({}, { local_window_size: 0 }), /"local_window_size"/],
  ['heads that do not divide', () => gqa({}, { kv_num_heads: 3 }), /"kv_num_heads" expected a divisor of num_heads=4, got 3/],
  ['no heads', () => gqa({}, { num_heads: undefined }), /"num_heads"/],
  ['past_value longer than past_key', () => decoding({ past_value: float(1, G, 5, D) }), /"past_value" expected the P=4 rows of past_key/],
  ['past_key alone', () => decoding({ past_value: undefined }), /"past_value"/],
  ['past_value alone', () => decoding({ past_key: undefined }), /"past_key"/],
  [
    'a past that is too short',
    () => decoding({ past_key: float(1, G, 3, D), past_value: float(1, G, 3, D) }),
    /"past_key" expected at least the 4 rows/,
  ],
  [
    'a past too short for keys of no rows',
    () => decoding({ key: float(1, 0, G * D), value: float(1, 0, G * D) }),
    /"past_key" expected at least the 5 rows/,
  ],
  [
    'keys of no rows without a past',
    () => gqa({ key: float(1, 0, G * D), value: float(1, 0, G * D) }),
    /"key" expected shape \[B=1, L=5, G·D=16\], got \[1, 0, 16\]/,
  ],
  ['an empty past', () => decoding({ past_key: EMPTY, past_value: EMPTY }), /"past_key"/],
  ['value of another width', () => gqa({ value: float(1, L, G * E) }), /"value" expected shape/],
  ['key of another width', () => gqa({ key: float(1, L, G * E) }), /"key" expected shape/],
  ['key alone', () => gqa({ value: undefined }), /"value" expected a tensor beside key/],
  ['total_sequence_length 0', () => gqa({ total_sequence_length: int32(0) }), /"total_sequence_length" expected an integer ≥ 1, got 0/],
  [
    'total_sequence_length of nothing',
    () => gqa({ total_sequence_length: int32() }),
    /"total_sequence_length" expected shape \[1\], got \[0\]/,
  ],
  [
    'total_sequence_length of two',
    () => gqa({ total_sequence_length: int32(L, L) }),
    /"total_sequence_length" expected shape \[1\], got \[2\]/,
  ],
  [
    'total_sequence_length below L',
    () => gqa({ total_sequence_length: int32(L - 1) }),
    /"total_sequence_length" expected at least the L=5 rows of query/,
  ],
  [
    'total_sequence_length left out',
    () => gqa({ total_sequence_length: undefined }),
    /"total_sequence_length" expected \{ data, dims \} or a tensor/,
  ],
  ['a length beyond the total', () => gqa({ seqlens_k: int32(L) }), /"seqlens_k\[0\]" expected an integer in 0 … 4, got 5/],
  ['a length for another batch', () => gqa({ seqlens_k: int32(1, 1) }), /"seqlens_k" expected shape \[B=1\]/],
  ['sinks of other heads', () => gqa({ head_sink: float(3) }), /"head_sink" expected shape \[H=4\]/],
  ['no caches', () => gqa({}, { do_rotary: 1 }), /"cos_cache" expected a tensor \[rows, R\/2\], as do_rotary is 1/],
  ['one cache', () => turning({ sin_cache: undefined }), /"sin_cache" expected a tensor beside cos_cache/],
  ['caches that are too wide', () => turning({ cos_cache: float(9, D), sin_cache: float(9, D) }), /"cos_cache"/],
  [
    'caches that are too short',
    () => turning({ cos_cache: float(4, 4), sin_cache: float(4, 4) }),
    /"cos_cache" expected shape \[T=5 or more rows/,
  ],
  ['caches that differ', () => turning({ sin_cache: float(9, 3) }), /"sin_cache" expected the shape of cos_cache/],
  [
    'positions of another shape',
    () => turning({ position_ids: { dims: [L], data: new BigInt64Array(L) } }),
    /"position_ids" expected shape \[B=1, L=5\]/,
  ],
  [
    'a first position whose prompt ends beyond the caches',
    () => turning({ position_ids: { dims: [1, L], data: new BigInt64Array(L).fill(6n) } }),
    /"position_ids\[0\]" expected an integer in 0 … 4, got 6/,
  ],
];

const HEADS: readonly Row[] = [
  ['packed QKV', () => mha({ key: undefined, value: undefined }), /"key" expected a tensor: packed QKV and KV are not supported/],
  ['beams', () => mha({ cache_indirection: EMPTY }), /"cache_indirection"/],
  ['past_value alone', () => mha({ past_value: float(B, H, 1, E) }), /"past_key" expected a tensor beside past_value, got undefined/],
  ['past_key alone', () => mha({ past_key: float(B, H, 1, D) }), /"past_value" expected a tensor beside past_key, got undefined/],
  ['past_value longer than past_key', () => mha({ past_key: float(B, H, 1, D), past_value: float(B, H, 2, E) }), /"past_value"/],
  ['a length below 0', () => mha({ key_padding_mask: int32(-1, 3) }), /"key_padding_mask\[0\]" expected an integer in 0 … 9, got -1/],
  ['a length beyond the keys', () => mha({ key_padding_mask: int32(1, S + 1) }), /"key_padding_mask\[1\]"/],
  ['an empty padding', () => mha({ key_padding_mask: int32() }), /"key_padding_mask" expected shape \[B=2\], \[B, T=9\] or \[B, L=5, T\]/],
  ['packed lengths', () => mha({ key_padding_mask: int32(1, 1, 0, 1, 2, 0, 1, 2) }), /"key_padding_mask".*\[3B \+ 2\] are not supported/],
  ['an attention_bias narrower than T', () => mha({ attention_bias: float(1, 1, L, S - 1) }), /"attention_bias" expected shape/],
  ['an empty attention_bias', () => mha({ attention_bias: EMPTY }), /"attention_bias"/],
  ['an empty bias', () => mha({ bias: EMPTY }), /"bias" expected shape \[32 \+ 32 \+ 24\], got \[0\]/],
  ['num_heads that does not divide', () => mha({}, { num_heads: 3 }), /"query" expected a last dimension that num_heads=3 divides/],
  ['NaN for scale', () => mha({}, { scale: Number.NaN }), /"scale"/],
  ['NaN for mask_filter_value', () => mha({}, { mask_filter_value: Number.NaN }), /"mask_filter_value"/],
  ['unidirectional 2', () => mha({}, { unidirectional: 2 }), /"unidirectional"/],
  ['value of another rank', () => mha({ value: float(B, H, S, E) }), /"value" expected 3 dimensions, as key has/],
];

const ROTATIONS: readonly Row[] = [
  ['packed batching', () => rotary({}, { is_packed_batching: 1 }), /"is_packed_batching"/],
  [
    'rotary_embedding_dim without num_heads',
    () => rotary({}, { rotary_embedding_dim: D }),
    /"num_heads" expected a number beside rotary_embedding_dim, got undefined/,
  ],
  [
    'a width that the caches do not divide',
    () => rotary({ input: float(1, L, 12) }),
    /"input" expected a last dimension that the head width of the caches, 8, divides/,
  ],
  [
    'positions of one dimension',
    () => rotary({ position_ids: int64(0, 1, 2, 3, 4) }),
    /"position_ids" expected shape \[1\] or \[B=1, L=5\], got \[5\]/,
  ],
  ['no positions', () => rotary({ position_ids: null }), /"position_ids"/],
  ['an offset beyond the caches', () => rotary({ position_ids: int64(5) }), /"position_ids\[0\]" expected an integer in 0 … 4, got 5/],
  ['NaN for num_heads', () => rotary({}, { num_heads: Number.NaN }), /"num_heads"/],
  ['interleaved 2', () => rotary({}, { interleaved: 2 }), /"interleaved"/],
  [
    'a position beyond the caches',
    () => onnxRotary({ position_ids: { dims: [1, L], data: BigInt64Array.of(0n, 9n, 0n, 0n, 0n) } }),
    /"position_ids\[1\]" expected a row of the caches, 0 … 8, got 9/,
  ],
  ['3-D without num_heads', () => onnxRotary({ X: float(1, L, H * D) }), /"num_heads"/],
  [
    'caches of two dimensions without positions',
    () => onnxRotary({ position_ids: null }),
    /"cos_cache" expected shape \[B=1, L=5, R\/2\] without position_ids/,
  ],
  ['a width that is odd', () => onnxRotary({}, { rotary_embedding_dim: 3 }), /"rotary_embedding_dim"/],
];

describe.each([
  ['onnxAttention', ATTENTION],
  ['groupQueryAttention', GROUPS],
  ['multiHeadAttention', HEADS],
  ['RotaryEmbedding of either', ROTATIONS],
] as const)('%s', (operator, rows) => {
  test.each(rows)('%s', async (_, call, message) => {
    const { used } = engine.memoryUsage();
    const error = await call().then(
      () => new Error('accepted'),
      (reason: unknown) => reason as Error,
    );
    expect(error.message).toMatch(message);
    if (!operator.includes(' ')) expect(error.message.startsWith(`${operator}: "`)).toBe(true);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect(engine.memoryUsage().used).toBe(used);
  });
});

test('null is left out, among inputs and attributes', async () => {
  const left = { attention_bias: null, past_key: null, past_value: null, head_sink: null, position_ids: null };
  await expect(gqa(left, { scale: null, softcap: null, local_window_size: null, causal: null })).resolves.toBeDefined();
  await expect(attention({ attn_mask: null, nonpad_kv_seqlen: null }, { is_causal: null, scale: null })).resolves.toBeDefined();
});

test('an engine that is none is named', async () => {
  const calls = [onnxAttention, groupQueryAttention, multiHeadAttention, onnxRotaryEmbedding, rotaryEmbedding] as readonly ((
    ...args: unknown[]
  ) => Promise<unknown>)[];
  for (const call of calls) {
    for (const none of [null, undefined, {}, 'engine']) {
      await expect(call(none, {}, {})).rejects.toThrow(new RegExp(`^${call.name}: "engine" expected an engine of createEngine, got`));
    }
  }
});

describe('data', () => {
  const with1 = (value: object) => attention({ Q: { dims: [1, H, 1, 2], ...value }, K: float(1, G, S, 2), V: float(1, G, S, E) });

  test('fill the dimensions, which are whole numbers', async () => {
    await expect(with1({ data: new Float32Array(7) })).rejects.toThrow(/"Q" expected 8 elements for \[1, 4, 1, 2\], got 7/);
    await expect(with1({ dims: [1, -4, 1, -2], data: new Float32Array(8) })).rejects.toThrow(
      /"Q" expected dimensions that are whole numbers/,
    );
    const holes = Array(4);
    await expect(with1({ dims: holes, data: new Float32Array(8) })).rejects.toThrow(/"Q" expected dimensions/);
  });

  test('are of the stated type', async () => {
    await expect(with1({ data: new BigInt64Array(8), type: 'float32' })).rejects.toThrow(
      /"Q" expected data of float32, got BigInt64Array\(8\)/,
    );
    await expect(with1({ data: new Float32Array(8), type: 'complex64' })).rejects.toThrow(
      /"Q" expected float32, float16, bfloat16, got "complex64"/,
    );
    await expect(with1({ data: [1, 2, 3, 4, 5, 6, 7, 'x'], type: 'float32' })).rejects.toThrow(/"Q\[7\]" expected a number, got "x"/);
    await expect(with1({ data: { length: 8 }, type: 'float32' })).rejects.toThrow(/"Q" expected data of float32, got Object/);
    await expect(with1({ data: [1, 2, 3, 4, 5, 6, 7, 8], type: 'float32' })).resolves.toBeDefined();
    await expect(turning({ position_ids: { dims: [1, L], data: [0, 1.5, 2, 3, 4], type: 'int64' } })).rejects.toThrow(
      /"position_ids\[1\]"/,
    );
  });
});

test('what the engine refuses is told in the names of the node', async () => {
  const refusing = (message: string) => inNamesOf('onnxAttention', { mask: 'attn_mask' }, () => Promise.reject(new RangeError(message)));
  await expect(refusing('attention: "mask[0]" expected shape [5], got [6]')).rejects.toThrow(
    /^onnxAttention: "attn_mask" expected shape \[5\], got \[6\]$/,
  );
  await expect(refusing('attentionPartial: "softcap" expected more')).rejects.toThrow(/^onnxAttention: "softcap" expected more$/);
  await expect(refusing('onnxAttention: "K[3]" expected more')).rejects.toThrow(/^onnxAttention: "K\[3\]" expected more$/);
});
