/** Which token is chosen: against the formulas of transformers' logits processors, in f64 and over the whole vocabulary. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { threefry, uniform } from '../../../src/models/random.ts';
import { Sampler, type Sampling, type Scores } from '../../../src/models/sampling.ts';
import { StopFilter } from '../../../src/models/stop.ts';

const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
const SAMPLED: Sampling = { ...GREEDY, temperature: 1 };

/** Scores as the kernels would hold them. */
function scoresOf(given: ArrayLike<number>): Scores & { asked: number } {
  const values = Float32Array.from(given);
  const ranked = (): number[] => {
    const rank = (x: number): number => (Number.isNaN(x) ? Infinity : x);
    return [...values.keys()].sort((a, b) =>
      rank(values[b] as number) > rank(values[a] as number) ? 1 : rank(values[b] as number) < rank(values[a] as number) ? -1 : a - b,
    );
  };
  return {
    values,
    asked: 0,
    largest(count) {
      this.asked = Math.max(this.asked, count);
      return ranked().slice(0, count);
    },
    softmax(temperature) {
      const scaled = [...values].map((x) => x / temperature);
      const most = Math.max(...scaled);
      const sum = scaled.reduce((total, x) => total + Math.exp(x - most), 0);
      values.set(scaled.map((x) => Math.exp(x - most) / sum));
    },
  };
}

/** What the processors leave: probabilities of all tokens, 0 for those that are out. */
function expected(
  given: readonly number[],
  seen: ReadonlySet<number>,
  { temperature, topK, topP, minP, repetitionPenalty }: Sampling,
): number[] {
  let scores = given.map((x, token) => (seen.has(token) ? (x < 0 ? x * repetitionPenalty : x / repetitionPenalty) : x));
  scores = scores.map((x) => x / temperature);
  const softmax = (): number[] => {
    const most = Math.max(...scores);
    const sum = scores.reduce((total, x) => total + Math.exp(x - most), 0);
    return scores.map((x) => Math.exp(x - most) / sum);
  };
  if (topK > 0) {
    const least = [...scores].sort((a, b) => b - a)[Math.min(topK, scores.length) - 1] as number;
    scores = scores.map((x) => (x < least ? -Infinity : x));
  }
  if (topP < 1) {
    const probabilities = softmax();
    const rising = [...scores.keys()].sort((a, b) => (probabilities[a] as number) - (probabilities[b] as number) || b - a);
    let sum = 0;
    const out = new Set<number>();
    for (const token of rising.slice(0, -1)) {
      sum += probabilities[token] as number;
      if (sum <= 1 - topP) out.add(token);
    }
    scores = scores.map((x, token) => (out.has(token) ? -Infinity : x));
  }
  if (minP > 0) {
    const probabilities = softmax();
    const least = minP * Math.max(...probabilities);
    scores = scores.map((x, token) => ((probabilities[token] as number) < least ? -Infinity : x));
  }
  return softmax();
}

/** How often each token is chosen by different seeds. */
function counts(given: readonly number[], sampling: Sampling, draws: number, seen: Iterable<number> = []): number[] {
  const found = given.map(() => 0);
  for (let seed = 0; seed < draws; seed++) {
    const token = new Sampler({ ...sampling, seed }, 0, seen).next(scoresOf(given));
    found[token] = (found[token] as number) + 1;
  }
  return found;
}

describe('the steps', () => {
  const logits = [2.5, -1, 0.25, 3.1, 3.1, -4, 1.9, 0, 2.4999, -0.5];
  const CASES: readonly (readonly [string, Partial<Sampling>, readonly number[]])[] = [
    ['all tokens', {}, []],
    ['a low temperature', { temperature: 0.3 }, []],
    ['a high temperature', { temperature: 4 }, []],
    ['top-k', { topK: 4 }, []],
    ['top-k with two as likely as the last', { topK: 1 }, []],
    ['top-k of more than there are', { topK: 99 }, []],
    ['top-p', { topP: 0.8 }, []],
    ['top-p of next to nothing', { topP: 0.01 }, []],
    ['min-p', { minP: 0.2 }, []],
    ['min-p of all', { minP: 1 }, []],
    ['a repetition penalty', { repetitionPenalty: 1.5 }, [0, 1, 3]],
    ['a repetition penalty below 1', { repetitionPenalty: 0.7 }, [5, 2]],
    ['all of them', { temperature: 1.7, topK: 7, topP: 0.9, minP: 0.1, repetitionPenalty: 1.3 }, [3, 4, 7]],
  ];

  test.each(CASES)('%s: as often as the formulas say', (_, given, seen) => {
    const sampling = { ...SAMPLED, ...given };
    const draws = 20_000;
    const found = counts(logits, sampling, draws, seen);
    for (const [token, probability] of expected(logits, new Set(seen), sampling).entries()) {
      // Five deviations of a binomial count; never a token that is out.
      const deviation = Math.sqrt(draws * probability * (1 - probability));
      expect(Math.abs((found[token] as number) - draws * probability), `token ${token}`).toBeLessThanOrEqual(5 * deviation);
    }
  });

  test('the tokens that are kept, whatever the scores and settings are', () => {
    const settings = fc.record({
      temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
      topK: fc.nat(12),
      topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
      minP: fc.double({ min: 0, max: 0.9, noNaN: true }),
      repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
      seed: fc.nat(),
    });
    const score = fc.integer({ min: -40, max: 40 }).map((x) => x / 8);
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 300 }),
        fc.array(fc.nat(299), { maxLength: 5 }),
        settings,
        (given, before, sampling) => {
          const seen = new Set(before.filter((token) => token < given.length));
          const kept = expected(given, seen, sampling);
          const token = new Sampler(sampling, 0, seen).next(scoresOf(given));
          const least = Math.min(...kept.filter((probability) => probability > 0));
          // At a border of top-p and min-p one rounding may decide either way, among tokens next to it in likelihood.
          const before_ = expected(given, seen, { ...sampling, topP: 1, minP: 0 });
          expect((kept[token] as number) > 0 || (before_[token] as number) >= least * 0.999).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('top-p takes no more of a large vocabulary than it needs', () => {
    const scores = scoresOf(Float32Array.from({ length: 5000 }, (_, n) => -n / 4));
    new Sampler({ ...SAMPLED, topP: 0.9 }).next(scores);
    expect(scores.asked).toBe(64);
    const flat = scoresOf(new Float32Array(5000));
    new Sampler({ ...SAMPLED, topP: 0.9 }).next(flat);
    expect(flat.asked).toBe(5000);
  });

  test('greedy takes the likeliest, of several the first, after the penalty', () => {
    expect(new Sampler(GREEDY).next(scoresOf(logits))).toBe(3);
    const sampler = new Sampler({ ...GREEDY, repetitionPenalty: 1.3 }, 0, [3]);
    expect([1, 2, 3, 4].map(() => sampler.next(scoresOf(logits)))).toEqual([4, 0, 8, 3]);
  });

  test('scores that are no numbers are an error', () => {
    for (const odd of [Number.NaN, Infinity]) {
      const error = expect.objectContaining({ code: 'bad-checkpoint', message: expect.stringContaining(`${odd} for token 1`) });
      expect(() => new Sampler(SAMPLED).next(scoresOf([1, odd, 2]))).toThrow(error);
      expect(() => new Sampler(GREEDY).next(scoresOf([1, odd, 2]))).toThrow(error);
    }
    expect(new Sampler(SAMPLED).next(scoresOf([-Infinity, 0, -Infinity]))).toBe(1);
  });
});

describe('draws', () => {
  const row = Float32Array.from({ length: 1000 }, (_, n) => ((n * 7919) % 1000) / 400);
  const tokens = (sampler: Sampler, count = 12): number[] => Array.from({ length: count }, () => sampler.next(scoresOf(row)));
  const warm = { ...SAMPLED, seed: 11 };

  test('are the same for the same seed, and others for another one, or another of a batch', () => {
    expect(tokens(new Sampler(warm))).toEqual(tokens(new Sampler(warm)));
    expect(new Set(tokens(new Sampler(warm))).size).toBeGreaterThan(9);
    expect(tokens(new Sampler({ ...warm, seed: 12 }))).not.toEqual(tokens(new Sampler(warm)));
    expect(tokens(new Sampler({ ...warm, seed: 11 + 2 ** 32 }))).not.toEqual(tokens(new Sampler(warm)));
    expect(tokens(new Sampler(warm, 1))).not.toEqual(tokens(new Sampler(warm)));
  });

  test('of a fork are those that it would have drawn itself', () => {
    const sampler = new Sampler({ ...warm, repetitionPenalty: 1.2 });
    tokens(sampler, 5);
    const [fork, other] = [sampler.fork(), sampler.fork(3)];
    const own = tokens(sampler);
    expect(tokens(fork)).toEqual(own);
    expect(tokens(other)).not.toEqual(own);
  });

  // Known answers of the authors' own test (kat_vectors of Random123).
  test.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ])('threefry of %j and %j', (key, counter, expected) => {
    expect(threefry(key as [number, number], counter as [number, number])).toEqual(expected);
  });

  test('are even, in [0, 1), and far apart for neighbouring seeds and steps', () => {
    const bins = new Array(64).fill(0);
    let sum = 0;
    for (let step = 0; step < 64_000; step++) {
      const u = uniform(step % 7, step % 3, step);
      expect(u >= 0 && u < 1).toBe(true);
      bins[Math.floor(u * 64)]++;
      sum += u;
    }
    // 1000 in each on average, with a deviation of 31.4; the mean's is 0.00114.
    for (const count of bins) expect(Math.abs(count - 1000)).toBeLessThan(160);
    expect(Math.abs(sum / 64_000 - 0.5)).toBeLessThan(0.006);
  });
});

describe('stop strings', () => {
  const filtered = (stops: readonly string[], pieces: readonly string[]): { text: string; stopped: boolean; given: string[] } => {
    const filter = new StopFilter(stops);
    const given = pieces.map((piece) => filter.push(piece));
    return { text: given.join('') + (filter.stopped ? '' : filter.end()), stopped: filter.stopped, given };
  };

  test.each([
    ['one within a piece', ['END'], ['abENDcd'], 'ab', true],
    ['one over three pieces', ['END'], ['abE', 'N', 'Dcd', 'x'], 'ab', true],
    ['what only looked like one', ['END'], ['abE', 'NE', 'N', 'D'], 'abEN', true],
    ['its beginning at the end', ['END'], ['abEN'], 'abEN', false],
    ['a beginning within a beginning', ['aab'], ['aa', 'a', 'b'], 'a', true],
    ['of two the one that ends first', ['abc', 'b'], ['ab', 'c'], 'a', true],
    ['of two that end together the longer', ['b', 'ab'], ['xab'], 'x', true],
    ['at once', ['x'], ['xabc'], '', true],
    ['none', [], ['abc', 'd'], 'abcd', false],
    ['a line', ['\n\n'], ['a\n', 'b\n', '\nc'], 'a\nb', true],
  ])('%s', (_, stops, pieces, text, stopped) => {
    expect(filtered(stops, pieces)).toMatchObject({ text, stopped });
  });

  test('lets through at once what can be no beginning', () => {
    expect(filtered(['END'], ['abc', 'dE', 'f']).given).toEqual(['abc', 'd', 'Ef']);
  });

  test('the cut into pieces changes nothing', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.array(fc.nat(4), { minLength: 1 }), (whole, stops, sizes) => {
        const pieces: string[] = [];
        for (let at = 0, n = 0; at < whole.length; n++) {
          const size = Math.max(1, sizes[n % sizes.length] as number);
          pieces.push(whole.slice(at, at + size));
          at += size;
        }
        const one = filtered(stops, [...whole]);
        expect(filtered(stops, pieces)).toMatchObject({ text: one.text, stopped: one.stopped });
        expect(filtered(stops, [whole])).toMatchObject({ text: one.text, stopped: one.stopped });
        const ends = stops.map((each) => whole.indexOf(each)).filter((begin) => begin >= 0);
        expect(one.stopped).toBe(ends.length > 0);
      }),
      { numRuns: 1000 },
    );
  });
});
