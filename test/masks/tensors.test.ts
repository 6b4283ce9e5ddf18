/** Masks as tensors: every way to spread over [B, H, L, S], every type, in place. */
import { afterAll, describe, expect, test } from 'vitest';
import { bias, causalMask, createEngineSync, type DType, defineEncoding, type Tensor } from '../../src/index.ts';
import { attend, expectSameBits } from '../attention/call.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 11, S: 107, D: 12, E: 9 };
const { B, H, L, S } = sizes;
const inputs = draw(sizes, 3);

const SHAPES = [
  [S],
  [1],
  [L, S],
  [1, S],
  [L, 1],
  [H, L, S],
  [1, L, S],
  [H, 1, S],
  [B, H, L, S],
  [B, 1, L, S],
  [1, H, 1, S],
  [B, 1, 1, S],
  [1, 1, 1, 1],
];

/** 0 and 1, about a third 0. */
const bits = (n: number, seed = 0): Int8Array =>
  Int8Array.from({ length: n }, (_, x) => ((x * 7919 + seed * 31 + ((x * x) % 13)) % 3 ? 1 : 0));
const product = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);

/** Entry for b, h, i, j of data of a shape that spreads. */
function entry(data: ArrayLike<number>, shape: readonly number[], at: readonly number[]): number {
  const index = shape.reduce((sum, n, axis) => sum * n + (n === 1 ? 0 : (at[4 - shape.length + axis] as number)), 0);
  return data[index] as number;
}

/** The same as [B, H, L, S]. */
const spread = (data: ArrayLike<number>, shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: B * H * L * S }, (_, n) =>
    entry(data, shape, [Math.floor(n / H / L / S), Math.floor(n / L / S) % H, Math.floor(n / S) % L, n % S]),
  );

async function expectSame(mask: Tensor, other: Tensor): Promise<void> {
  const [a, b] = [await attend(engine, inputs, sizes, { mask }), await attend(engine, inputs, sizes, { mask: other })];
  expectSameBits(a.out, b.out);
  expectSameBits(a.lse, b.lse);
}

describe('shapes', () => {
  test.each(SHAPES.map((shape) => [shape]))('boolean %j', async (shape) => {
    const data = bits(product(shape));
    const visible = ({ b, h, i, j }: Record<'b' | 'h' | 'i' | 'j', number>): boolean => entry(data, shape, [b, h, i, j]) !== 0;
    const mask = engine.tensor(shape, data, 'i8');
    const { out, lse } = await attend(engine, inputs, sizes, { mask });
    expectAccurate({ inputs, sizes, options: { visible }, out, lse });
    await expectSame(mask, engine.tensor([B, H, L, S], Int8Array.from(spread(data, shape)), 'i8'));
  });

  test.each(SHAPES.map((shape) => [shape]))('additive %j', async (shape) => {
    const data = Float32Array.from({ length: product(shape) }, (_, n) => Math.fround(Math.sin(n)));
    await expectSame(engine.tensor(shape, data), engine.tensor([B, H, L, S], spread(data, shape)));
  });

  test('rank 3 is heads, not batch', () => {
    const q = engine.tensor([3, 2, 4, 8]);
    expect(() => engine.attentionSync(q, q, q, { mask: engine.tensor([3, 4, 4], undefined, 'i8') })).toThrow(
      '"mask" expected shape [1|B=3, 1|H=2, 1|L=4, 1|S=4] or the last of these, got [3, 4, 4]',
    );
  });
});

describe('types', () => {
  test.each<DType>(['f16', 'bf16'])('%s is as f32', async (dtype) => {
    const data = Float32Array.from({ length: L * S }, (_, n) => (n % 5 ? (n % 8) / 4 : -Infinity));
    await expectSame(engine.tensor([L, S], data, dtype), engine.tensor([L, S], data));
  });

  test('any byte but 0 is visible', async () => {
    const data = bits(S);
    await expectSame(
      engine.tensor(
        [S],
        data.map((x) => x * -128),
        'i8',
      ),
      engine.tensor([S], data, 'i8'),
    );
  });

  test('an additive tensor is the bias of the same numbers', async () => {
    const data = Float32Array.from({ length: L * S }, (_, n) => (n % 5 ? (n % 8) / 3 : -Infinity));
    const [masked, biased] = [
      await attend(engine, inputs, sizes, { mask: engine.tensor([L, S], data) }),
      await attend(engine, inputs, sizes, { encoding: bias(engine.tensor([1, 1, L, S], data)) }),
    ];
    expectSameBits(masked.out, biased.out);
  });

  test('i32 is none, nor a tensor of another engine, nor a disposed one', () => {
    const q = engine.tensor([1, 1, 4, 8]);
    const call = (mask: Tensor) => () => engine.attentionSync(q, q, q, { mask });
    expect(call(engine.tensor([4], undefined, 'i32'))).toThrow(TypeError);
    const other = createEngineSync();
    expect(call(other.tensor([4], undefined, 'i8'))).toThrow('of this engine');
    const gone = engine.tensor([4], undefined, 'i8');
    gone.dispose();
    expect(call(gone)).toThrow('disposed');
    other.dispose();
  });
});

describe('where the elements lie', () => {
  const data = bits(L * S);

  test.each<DType>(['i8', 'f32'])('a slice and a transposed view of %s', async (dtype) => {
    const plain = engine.tensor([L, S], [...data], dtype);
    const wide = engine.tensor([L + 2, S + 5], undefined, dtype);
    wide.slice([1, L + 1], [3, S + 3]).set([...data]);
    await expectSame(wide.slice([1, L + 1], [3, S + 3]), plain);
    const turned = engine.tensor(
      [S, L],
      Array.from({ length: L * S }, (_, n) => data[(n % L) * S + Math.floor(n / L)] as number),
      dtype,
    );
    await expectSame(turned.permute(1, 0), plain);
  });

  test('several masks all bind, values and tensors', async () => {
    const [a, b] = [bits(L * S, 1), bits(H * S, 2)];
    const both = await attend(engine, inputs, sizes, {
      mask: [engine.tensor([L, S], a, 'i8'), causalMask(), engine.tensor([H, 1, S], b, 'i8')],
    });
    const visible = ({ h, i, j }: Record<'h' | 'i' | 'j', number>): boolean => a[i * S + j] === 1 && b[h * S + j] === 1 && j <= i + S - L;
    expectAccurate({ inputs, sizes, options: { visible }, ...both });
  });

  test('no memory stays in use', async () => {
    const mask = [engine.tensor([L, S], bits(L * S), 'i8'), engine.tensor([S], new Float32Array(S), 'f16')];
    await attend(engine, inputs, sizes, { mask });
    const before = engine.memoryUsage();
    await attend(engine, inputs, sizes, { mask });
    expect(engine.memoryUsage()).toEqual(before);
  });
});

describe('rows that see nothing', () => {
  test.each(['boolean', 'additive'])('%s: exactly 0 and −Infinity, whatever k and v hold', async (kind) => {
    const hidden = kind === 'boolean' ? engine.tensor([L, 1], undefined, 'i8') : engine.tensor([1], [-Infinity]);
    const spoilt = { q: inputs.q, k: inputs.k.map(() => Number.NaN), v: inputs.v.map(() => Infinity) };
    const { out, lse } = await attend(engine, spoilt, sizes, { mask: hidden });
    expect(out.every((x) => Object.is(x, 0))).toBe(true);
    expect(lse.every((x) => x === -Infinity)).toBe(true);
  });

  test('a bias by offset that is −Infinity hides, whatever k and v hold', async () => {
    const far = defineEncoding({
      name: 'far',
      lower: () => ({
        biases: [
          {
            kind: 'offset',
            heads: 1,
            fill(out, first) {
              for (let n = 0; n < out.length; n++) out[n] = first + n < -40 ? -Infinity : 0;
            },
          },
        ],
      }),
    });
    const spoil = (x: Float32Array, width: number): Float32Array => x.map((y, n) => (Math.floor(n / width) % S < 56 ? Number.NaN : y));
    const spoilt = { q: inputs.q, k: spoil(inputs.k, 12), v: spoil(inputs.v, 9) };
    const { out, lse } = await attend(engine, spoilt, sizes, { encoding: far });
    const expected = await attend(engine, inputs, sizes, { window: { left: 40 } });
    expectSameBits(out, expected.out);
    expectSameBits(lse, expected.lse);
  });

  test('a table by index that holds −Infinity: what v holds behind it stays there', async () => {
    const index = Int32Array.from({ length: L * S }, (_, n) => (n % S < 60 ? 1 : 0));
    const hiding = defineEncoding({
      name: 'hiding',
      lower: () => ({ biases: [{ kind: 'index', heads: 1, table: Float32Array.of(0, -Infinity), index }] }),
    });
    const v = inputs.v.map((y, n) => (Math.floor(n / 9) % S < 60 ? Number.NaN : y));
    const { out } = await attend(engine, { ...inputs, v }, sizes, { encoding: hiding });
    expectSameBits(out, (await attend(engine, inputs, sizes, { encoding: hiding })).out);
  });

  test('poison behind some rows only: the others keep their bits', async () => {
    const data = bits(L * S);
    const mask = engine.tensor([L, S], data, 'i8');
    const clean = await attend(engine, inputs, sizes, { mask });
    for (const j of [0, 50, 106]) {
      const spoil = (x: Float32Array, width: number): Float32Array => x.map((y, n) => (Math.floor(n / width) % S === j ? Number.NaN : y));
      const { out } = await attend(engine, { q: inputs.q, k: spoil(inputs.k, 12), v: spoil(inputs.v, 9) }, sizes, { mask });
      for (let r = 0; r < B * H * L; r++) {
        const [got, expected] = [out.slice(r * 9, r * 9 + 9), clean.out.slice(r * 9, r * 9 + 9)];
        if (data[(r % L) * S + j]) expect(got.every(Number.isNaN)).toBe(true);
        else expectSameBits(got, expected);
      }
    }
  });
});
