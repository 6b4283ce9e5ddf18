/** What the operator says and its own cases leave out; and what is refused. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import { Tensor } from '../../src/memory/tensor.ts';
import { type OnnxAttentionAttributes, type OnnxAttentionInputs, type OnnxValue, onnxAttention } from '../../src/onnx/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { relativeError } from './compare.ts';
import { type Options, onnxReference } from './reference.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 5, S: 9, D: 8, E: 6 };
const { B, H, G, L, S, D, E } = sizes;
const float = (dims: number[], seed: number): OnnxValue & { data: Float32Array } => {
  return {
    dims,
    data: numbers(
      dims.reduce((a, n) => a * n),
      seed,
    ),
  };
};
const bool = (dims: number[]): OnnxValue & { data: Uint8Array } => {
  return { dims, data: Uint8Array.from({ length: dims.reduce((a, n) => a * n) }, (_, n) => ((n * 5 + (n % 7)) % 3 ? 1 : 0)) };
};
const int64 = (...list: number[]): OnnxValue => ({ dims: [list.length], data: BigInt64Array.from(list.map(BigInt)) });
const [Q, K, V] = [float([B, H, L, D], 1), float([B, G, S, D], 2), float([B, G, S, E], 3)];

async function expectOnnx(
  more: Partial<OnnxAttentionInputs<OnnxValue>>,
  attributes: OnnxAttentionAttributes,
  options: Options,
  { opset = 25, at = sizes }: { opset?: 23 | 24 | 25; at?: typeof sizes } = {},
): Promise<void> {
  const { Y, scores } = onnxReference(Q.data, K.data, V.data, at, options);
  for (const mode of [0, 1, 2, 3]) {
    const got = await onnxAttention<OnnxValue>(engine, { Q, K, V, ...more }, { ...attributes, qk_matmul_output_mode: mode }, opset, [
      'Y',
      'qk_matmul_output',
    ]);
    expect(relativeError(got.Y.data as Float32Array, Y)).toBeLessThan(1e-6);
    expect(relativeError(got.qk_matmul_output?.data as Float32Array, scores[mode] as Float64Array)).toBeLessThan(1e-6);
  }
}

const sees = (rule: (b: number, h: number, i: number, j: number) => boolean) => (b: number, h: number, i: number, j: number) =>
  rule(b, h, i, j) ? 0 : -Infinity;

describe('attn_mask', () => {
  test('booleans that hide, every rank', async () => {
    for (const dims of [[S], [L, S], [1, S], [H, L, S], [1, L, S], [H, 1, S], [B, H, L, S], [B, 1, 1, S]]) {
      const mask = bool(dims);
      const shape = [1, 1, 1, 1, ...dims].slice(-4) as [number, number, number, number];
      const bias = sees((b, h, i, j) => {
        const at = [b, h, i, j].reduce((sum, x, axis) => sum * shape[axis as 0] + (shape[axis as 0] === 1 ? 0 : x), 0);
        return mask.data[at] === 1;
      });
      await expectOnnx({ attn_mask: mask }, {}, { bias });
    }
  });

  test('shorter than S: nothing is visible beyond, whether it is boolean or added', async () => {
    await expectOnnx({ attn_mask: { dims: [6], data: new Uint8Array(6).fill(1) } }, {}, { bias: sees((_, __, ___, j) => j < 6) });
    const added = float([L, 6], 9);
    await expectOnnx({ attn_mask: added }, {}, { bias: (_, __, i, j) => (j < 6 ? (added.data[i * 6 + j] as number) : -Infinity) });
  });

  test('a last dimension of 1: opset 23 spreads it, later ones pad it', async () => {
    const mask = { dims: [1], data: Uint8Array.of(1) };
    await expectOnnx({ attn_mask: mask }, {}, {}, { opset: 23 });
    for (const opset of [24, 25] as const) await expectOnnx({ attn_mask: mask }, {}, { bias: sees((_, __, ___, j) => j === 0) }, { opset });
  });

  test('rank 1 with causal and a window: all bind', async () => {
    const mask = bool([S]);
    const bias = sees((_, __, i, j) => mask.data[j] === 1 && j <= i && j >= i - 2);
    await expectOnnx({ attn_mask: mask }, { is_causal: 1, left_window_size: 2 }, { bias });
  });

  test('f16 and bf16 masks are added', async () => {
    const bits = Uint16Array.from({ length: S }, (_, n) => (n % 2 ? 0x3c00 : 0xc000)); // 1, −2
    await expectOnnx({ attn_mask: { dims: [S], data: bits } }, {}, { bias: (_, __, ___, j) => (j % 2 ? 1 : -2) });
    const wide = Uint16Array.from({ length: S }, (_, n) => (n % 2 ? 0x3f80 : 0xc000));
    await expectOnnx({ attn_mask: { dims: [S], data: wide, type: 'bfloat16' } }, {}, { bias: (_, __, ___, j) => (j % 2 ? 1 : -2) });
  });
});

describe('bounds', () => {
  test('a right window, alone and with nonpad', async () => {
    await expectOnnx({}, { right_window_size: 1 }, { bias: sees((_, __, i, j) => j <= i + 1) });
    const nonpad = [7, 3];
    const bias = sees(
      (b, _, i, j) => j < (nonpad[b] as number) && j <= i + (nonpad[b] as number) - L + 2 && j >= i + (nonpad[b] as number) - L - 1,
    );
    await expectOnnx({ nonpad_kv_seqlen: int64(...nonpad) }, { left_window_size: 1, right_window_size: 2 }, { bias });
  });

  test('nonpad without causal still cuts', async () => {
    await expectOnnx({ nonpad_kv_seqlen: int64(4, 0) }, {}, { bias: sees((b, _, __, j) => j < (b ? 0 : 4)) });
  });

  test('a past moves causal and window', async () => {
    const cut = (x: OnnxValue, from: number, to: number): OnnxValue => {
      const width = x.dims[3] as number;
      const part = engine.tensor(x.dims, x.data as Float32Array).slice(null, null, [from, to]);
      return { dims: [B, G, to - from, width], data: part.toArray() };
    };
    const more = { K: cut(K, 4, S), V: cut(V, 4, S), past_key: cut(K, 0, 4), past_value: cut(V, 0, 4) };
    await expectOnnx(more, { is_causal: 1, left_window_size: 3 }, { bias: sees((_, __, i, j) => j <= i + 4 && j >= i + 1) });
    const { present_key, present_value } = await onnxAttention(engine, { Q, ...more });
    expectSameBits(present_key?.data as Float32Array, K.data);
    expectSameBits(present_value?.data as Float32Array, V.data);
  });

  test('softcap with every output mode', async () => {
    const added = float([L, S], 4);
    await expectOnnx(
      { attn_mask: added },
      { softcap: 0.7, scale: 0.9, is_causal: 1 },
      {
        softcap: 0.7,
        scale: 0.9,
        bias: (_, __, i, j) => (j <= i ? (added.data[i * S + j] as number) : -Infinity),
      },
    );
  });
});

describe('tensors of the engine', () => {
  const tensors = { Q: engine.tensor(Q.dims, Q.data), K: engine.tensor(K.dims, K.data), V: engine.tensor(V.dims, V.data) };

  test('give tensors, with the bits of plain data, and nothing else stays in memory', async () => {
    const plain = await onnxAttention(engine, { Q, K, V, attn_mask: bool([S]) }, { is_causal: 1 });
    const mask = engine.tensor([S], Int8Array.from(bool([S]).data), 'i8');
    const before = engine.memoryUsage().used;
    const { Y, present_key } = await onnxAttention(engine, { ...tensors, attn_mask: mask }, { is_causal: 1 }, 25, ['Y', 'present_key']);
    expect(Y).toBeInstanceOf(Tensor);
    expectSameBits(Y.toArray(), plain.Y.data as Float32Array);
    present_key?.dispose();
    Y.dispose();
    expect(engine.memoryUsage().used).toBe(before);
  });

  test('a failed call leaves nothing either', async () => {
    const before = engine.memoryUsage().used;
    await expect(onnxAttention(engine, { Q, K, V, attn_mask: float([3, S], 1) })).rejects.toThrow(RangeError);
    await expect(onnxAttention(engine, { Q, K, V: float([B, G, 3, E], 1) })).rejects.toThrow(RangeError);
    expect(engine.memoryUsage().used).toBe(before);
  });
});
