/** ALiBi's slopes on their own. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Arithmetic,
  alibi,
  alibiSlopes,
  createEngineSync,
  defineEncoding,
  type LowerContext,
  type OffsetBias,
} from '../../src/index.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** What an encoding is lowered with. */
function context(): LowerContext {
  let seen: LowerContext | undefined;
  const spy = defineEncoding({
    name: 'spy',
    lower(given) {
      seen = given;
      return {};
    },
  });
  const tiny = engine.tensor([1, 1, 1, 1]);
  engine.attentionSync(tiny, tiny, tiny, { encoding: spy });
  return seen as unknown as LowerContext;
}
const math: Arithmetic = context().math;

describe('alibiSlopes', () => {
  test('follow the paper: a power of two, and the rest from every other slope of twice as many', () => {
    const exponents = (heads: number): number[] => [...alibiSlopes(heads)].map((slope) => Math.log2(slope));
    expect(exponents(8)).toEqual([-1, -2, -3, -4, -5, -6, -7, -8].map((x) => expect.closeTo(x, 14)));
    expect(exponents(12)).toEqual([-1, -2, -3, -4, -5, -6, -7, -8, -0.5, -1.5, -2.5, -3.5].map((x) => expect.closeTo(x, 14)));
    expect(exponents(1)).toEqual([expect.closeTo(-8, 14)]);
    expect(exponents(3)).toEqual([-4, -8, -2].map((x) => expect.closeTo(x, 14)));
    expect([...alibiSlopes(4, 16)].map((slope) => Math.log2(slope))).toEqual([-4, -8, -12, -16].map((x) => expect.closeTo(x, 13)));
  });

  test('are powers by the arithmetic of the kernels, bit for bit', () => {
    for (const maxBias of [8, 16, 0.37, 120, 1500]) {
      for (let heads = 1; heads <= 70; heads++) {
        const n = 2 ** Math.floor(Math.log2(heads));
        const powers = Float64Array.from({ length: heads }, (_, h) =>
          math.pow(2, h < n ? (-maxBias * (h + 1)) / n : (-(maxBias / 2) * (2 * (h - n) + 1)) / n),
        );
        expect(alibiSlopes(heads, maxBias)).toEqual(powers);
      }
    }
  });

  test('are those of the scheme', () => {
    const slopesOf = (options: Parameters<typeof alibi>[0]): Float32Array => {
      const [bias] = alibi(options).lower(context()).biases as [OffsetBias];
      const out = new Float32Array(options.heads);
      bias.fill(out, -1, 1);
      return out.map((x) => -x);
    };
    expect(slopesOf({ heads: 20, maxBias: 6 })).toEqual(Float32Array.from(alibiSlopes(20, 6)));
    expect(slopesOf({ heads: 20, slopes: alibiSlopes(20) })).toEqual(slopesOf({ heads: 20 }));
  });

  test.each<[string, () => unknown, RegExp]>([
    ['no heads', () => alibiSlopes(0), /alibiSlopes: "heads" expected an integer/],
    ['heads that are text', () => alibiSlopes('8' as never), /alibiSlopes: "heads" expected an integer, got "8"/],
    ['a bias of 0', () => alibiSlopes(8, 0), /alibiSlopes: "maxBias" expected a finite number > 0/],
  ])('refuse %s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
