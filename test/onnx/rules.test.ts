/**
 * Rules of the operators, one number each: zero scores and values 0, 1, 2, … in every channel, so that a row is the mean of the keys that
 * it sees. What onnxruntime 1.30 gives is the answer, but where its own rule breaks: then the operator's text is.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import { groupQueryAttention, multiHeadAttention, type OnnxValue, onnxAttention, rotaryEmbedding } from '../../src/onnx/index.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const D = 8;
const zeros = (...dims: number[]): OnnxValue => ({ dims, data: new Float32Array(dims.reduce((a, n) => a * n)) });
/** [B, rows, D], or with `heads` [B, 1, rows, D], of the numbers `from`, `from` + 1, … of its rows. */
function counting(B: number, rows: number, { from = 0, heads = false } = {}): OnnxValue {
  const data = Float32Array.from({ length: B * rows * D }, (_, n) => from + (Math.floor(n / D) % rows));
  return { dims: heads ? [B, 1, rows, D] : [B, rows, D], data };
}
const int32 = (...list: number[]): OnnxValue => ({ dims: [list.length], data: Int32Array.from(list) });
const float = (dims: number[], value: number): OnnxValue => ({ dims, data: new Float32Array(dims.reduce((a, n) => a * n)).fill(value) });
/** The first channel of every row, to five places: a mean is rounded as f32. */
const firsts = ({ data }: OnnxValue): number[] =>
  Array.from(data as Float32Array)
    .filter((_, n) => n % D === 0)
    .map((x) => Math.round(x * 1e5) / 1e5);
const LEAST = -3.4028234663852886e38;

describe('MultiHeadAttention', () => {
  const heads = { num_heads: 1 };
  const run = async (L: number, S: number, more: object, attributes: object = {}): Promise<number[]> => {
    const inputs = { query: zeros(1, L, D), key: zeros(1, S, D), value: counting(1, S), ...more };
    return firsts((await multiHeadAttention<OnnxValue>(engine, inputs, { ...heads, ...attributes })).output);
  };

  test('a flag above 0 is a visible key, any other hides', async () => {
    const key_padding_mask = { dims: [1, 4], data: Int32Array.of(2, -3, 0, 1) };
    expect(await run(1, 4, { key_padding_mask })).toEqual([1.5]);
    const perQuery = { dims: [1, 2, 4], data: Int32Array.of(-1, 1, 0, 0, 0, 0, -7, 9) };
    expect(await run(2, 4, { key_padding_mask: perQuery })).toEqual([1, 3]);
  });

  test('a length counts keys with the past', async () => {
    expect(await run(1, 4, { key_padding_mask: int32(3) })).toEqual([1]);
    const past = { past_key: zeros(1, 1, 2, D), past_value: counting(1, 2, { from: 10, heads: true }) };
    expect(await run(1, 4, { key_padding_mask: int32(3), ...past })).toEqual([7]);
  });

  test('unidirectional with S > L: the last row too sees no later key (onnxruntime lets it)', async () => {
    expect(await run(2, 4, {}, { unidirectional: 1 })).toEqual([0, 0.5]);
    expect(await run(1, 4, {}, { unidirectional: 1 })).toEqual([0]);
  });

  test('unidirectional begins at the past', async () => {
    const past = { past_key: zeros(1, 1, 2, D), past_value: counting(1, 2, { heads: true }) };
    expect(await run(1, 2, past, { unidirectional: 1 })).toEqual([0.33333]);
  });

  test('no keys: 0', async () => {
    expect(await run(2, 0, {})).toEqual([0, 0]);
  });
});

describe('Attention', () => {
  const run = async (L: number, S: number, more: object, attributes: object = {}, opset: 23 | 24 | 25 = 23): Promise<number[]> => {
    const inputs = { Q: zeros(1, 1, L, D), K: zeros(1, 1, S, D), V: counting(1, S, { heads: true }), ...more };
    return firsts((await onnxAttention<OnnxValue>(engine, inputs, attributes, opset)).Y);
  };

  test('is_causal with one query, a past of one and two new keys: the second new key is hidden (onnxruntime shows it)', async () => {
    const past = { past_key: zeros(1, 1, 1, D), past_value: float([1, 1, 1, D], 100) };
    expect(await run(1, 2, past, { is_causal: 1 })).toEqual([50]);
  });

  test('opset 23 spreads a mask of one column; the next pads it, and one that is shorter', async () => {
    const one = { dims: [2, 1], data: Uint8Array.of(1, 0) };
    expect(await run(2, 4, { attn_mask: one })).toEqual([1.5, 0]);
    expect(await run(2, 4, { attn_mask: one }, {}, 24)).toEqual([0, 0]);
    expect(await run(1, 4, { attn_mask: { dims: [1, 3], data: Uint8Array.of(0, 1, 1) } }, {}, 25)).toEqual([1.5]);
  });

  test('a float mask is added, the least float32 too', async () => {
    expect(await run(1, 4, { attn_mask: float([1, 4], LEAST) })).toEqual([1.5]);
    expect(await run(1, 4, { attn_mask: float([1, 4], -Infinity) })).toEqual([0]);
  });

  test('scale 0 sees all alike', async () => {
    expect(await run(1, 3, { Q: float([1, 1, 1, D], 1), K: counting(1, 3, { heads: true }) }, { scale: 0 })).toEqual([1]);
  });
});

describe('GroupQueryAttention', () => {
  const heads = { num_heads: 1, kv_num_heads: 1 };
  const prompt = (
    B: number,
    L: number,
    more: object = {},
  ): Record<string, OnnxValue> & { query: OnnxValue; seqlens_k: OnnxValue; total_sequence_length: OnnxValue } => ({
    query: zeros(B, L, D),
    key: zeros(B, L, D),
    value: counting(B, L),
    seqlens_k: int32(...Array(B).fill(L - 1)),
    total_sequence_length: int32(L),
    ...more,
  });

  test('a bias of the least float32 on a whole row gives 0, on some keys the mean of the others', async () => {
    const bias = float([1, 1, 3, 3], LEAST);
    expect(firsts((await groupQueryAttention<OnnxValue>(engine, prompt(1, 3, { attention_bias: bias }), heads)).output)).toEqual([0, 0, 0]);
    (bias.data as Float32Array).fill(0, 3, 5);
    expect(firsts((await groupQueryAttention<OnnxValue>(engine, prompt(1, 3, { attention_bias: bias }), heads)).output)).toEqual([
      0, 0.5, 0,
    ]);
  });

  /** Keys turned by a quarter for each position: [x, 0, 0, 0, y, 0, 0, 0] with R = 2 pairs channels 0 and 1 in halves. */
  const quarters = {
    cos_cache: { dims: [12, 1], data: Float32Array.from({ length: 12 }, (_, n) => [1, 0, -1, 0][n % 4] as number) },
    sin_cache: { dims: [12, 1], data: Float32Array.from({ length: 12 }, (_, n) => [0, 1, 0, -1][n % 4] as number) },
  };
  const unit = (B: number, L: number): OnnxValue => ({
    dims: [B, L, D],
    data: Float32Array.from({ length: B * L * D }, (_, n) => (n % D ? 0 : 1)),
  });
  const positionsOf = ({ data }: OnnxValue): number[] => {
    const all = data as Float32Array;
    return Array.from({ length: all.length / D }, (_, row) =>
      ['1,0', '0,1', '-1,0', '0,-1'].indexOf(`${Math.round(all[row * D] as number)},${Math.round(all[row * D + 1] as number)}`),
    );
  };
  const ids = (dims: number[], ...list: number[]): OnnxValue => ({ dims, data: BigInt64Array.from(list, BigInt) });

  test('in a first prompt the first of position_ids counts, and every row goes on from it', async () => {
    const one = { ...prompt(1, 2), key: unit(1, 2), ...quarters, position_ids: ids([1, 2], 2, 0) };
    expect(positionsOf((await groupQueryAttention<OnnxValue>(engine, one, { ...heads, do_rotary: 1 })).present_key)).toEqual([2, 3]);
    const two = { ...prompt(2, 2), key: unit(2, 2), ...quarters, position_ids: ids([2, 2], 1, 3, 7, 7) };
    expect(positionsOf((await groupQueryAttention<OnnxValue>(engine, two, { ...heads, do_rotary: 1 })).present_key)).toEqual([1, 2, 1, 2]);
  });

  test('after a past every one of position_ids counts', async () => {
    const past = { past_key: unit(1, 3), past_value: counting(1, 3, { heads: true }) };
    const chunk = {
      ...prompt(1, 2),
      key: unit(1, 2),
      ...quarters,
      past_key: { ...past.past_key, dims: [1, 1, 3, D] },
      past_value: past.past_value,
      seqlens_k: int32(4),
      total_sequence_length: int32(5),
      position_ids: ids([1, 2], 2, 0),
    };
    const { present_key } = await groupQueryAttention<OnnxValue>(engine, chunk, { ...heads, do_rotary: 1 });
    expect(positionsOf(present_key)).toEqual([0, 0, 0, 2, 0]);
  });

  test('keys and values of no rows: the past holds them all, query i stands at length − L + i', async () => {
    const shared = {
      query: zeros(2, 2, D),
      key: zeros(2, 0, D),
      value: zeros(2, 0, D),
      past_key: zeros(2, 1, 8, D),
      past_value: counting(2, 8, { heads: true }),
      seqlens_k: int32(4, 7),
      total_sequence_length: int32(8),
    };
    const { output, present_value } = await groupQueryAttention<OnnxValue>(engine, shared, heads);
    expect(firsts(output)).toEqual([1.5, 2, 3, 3.5]);
    expect(firsts(present_value)).toEqual([0, 1, 2, 3, 4, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('total_sequence_length is [1] or a scalar', async () => {
    const scalar = prompt(1, 3, { total_sequence_length: { dims: [], data: BigInt64Array.of(3n) } });
    expect(firsts((await groupQueryAttention<OnnxValue>(engine, scalar, heads)).output)).toEqual([0, 0.5, 1]);
  });
});

test('sizes of 0 give results of that size', async () => {
  const { Y, present_key } = await onnxAttention<OnnxValue>(
    engine,
    { Q: zeros(0, 2, 3, D), K: zeros(0, 1, 4, D), V: zeros(0, 1, 4, D) },
    {},
    25,
    ['Y', 'present_key'],
  );
  expect([Y.dims, present_key?.dims]).toEqual([
    [0, 2, 3, D],
    [0, 1, 4, D],
  ]);
  const noRows = await onnxAttention<OnnxValue>(engine, { Q: zeros(2, 2, 0, D), K: zeros(2, 1, 4, D), V: zeros(2, 1, 4, D) });
  expect(noRows.Y.dims).toEqual([2, 2, 0, D]);
  const noKeys = await onnxAttention<OnnxValue>(engine, { Q: float([1, 1, 2, D], 1), K: zeros(1, 1, 0, D), V: zeros(1, 1, 0, D) });
  expect(firsts(noKeys.Y)).toEqual([0, 0]);
  const noPast = { past_key: zeros(1, 1, 0, D), past_value: zeros(1, 1, 0, D) };
  const started = await onnxAttention<OnnxValue>(
    engine,
    { Q: zeros(1, 1, 2, D), K: zeros(1, 1, 2, D), V: counting(1, 2, { heads: true }), ...noPast },
    { is_causal: 1 },
  );
  expect([firsts(started.Y), started.present_value?.dims]).toEqual([
    [0, 0.5],
    [1, 1, 2, D],
  ]);
  const batchless = await groupQueryAttention<OnnxValue>(
    engine,
    { query: zeros(0, 2, D), key: zeros(0, 2, D), value: zeros(0, 2, D), seqlens_k: int32(), total_sequence_length: int32(2) },
    { num_heads: 1, kv_num_heads: 1 },
  );
  expect(batchless.output.dims).toEqual([0, 2, D]);
  const cache = zeros(3, D / 2);
  const turned = await rotaryEmbedding<OnnxValue>(engine, {
    input: zeros(1, 0, D),
    position_ids: int32(0),
    cos_cache: cache,
    sin_cache: cache,
  });
  expect(turned.dims).toEqual([1, 0, D]);
});
