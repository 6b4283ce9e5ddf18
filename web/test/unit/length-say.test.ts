import { expect, test } from 'vitest';
import { byPosition, difference, keyOf, type Results, rise, riseByPosition } from '../../src/panels/length/results.ts';
import { leavesAt, listed, sentences, signed, verdictOf } from '../../src/panels/length/say.ts';
import type { SchemeName } from '../../src/panels/length/schemes.ts';
import { bytesOf, fitting, MOST, PART, readSettings, writeSettings } from '../../src/panels/length/texts.ts';

/** Blocks of 32 bytes: `windows` windows whose blocks, by place, have these losses, and a little that differs from window to window. */
const blocks = (windows: number, places: readonly number[], wave = 0): Float32Array =>
  Float32Array.from(
    { length: windows * places.length },
    (_, n) => (places[n % places.length] as number) + (Math.floor(n / places.length) % 2 ? wave : -wave),
  );

const flat = (count: number, loss: number): number[] => new Array<number>(count).fill(loss);

/** Losses by scheme and window. */
const resultsOf = (losses: Partial<Record<SchemeName, Record<number, Float32Array>>>): Results =>
  new Map(
    Object.entries(losses).flatMap(([scheme, by]) =>
      Object.entries(by).map(([window, list]) => [keyOf(scheme as SchemeName, Number(window)), list] as const),
    ),
  );

const holds = { 64: blocks(16, [1.3, 1.2]), 128: blocks(8, flat(4, 1.24)), 256: blocks(4, flat(8, 1.23)) };
const fails = { 64: blocks(16, [1.3, 1.2]), 128: blocks(8, flat(4, 1.25)), 256: blocks(4, [1.3, 1.2, 1.25, 1.25, 2, 3, 4, 4], 0.01) };

test('losses by place are means over the windows', () => {
  expect(byPosition([1, 2, 3, 4, 5, 6, 7, 8], 128)).toEqual([3, 4, 5, 6]);
  expect(byPosition([1, 2, 3, 4], 32)).toEqual([2.5]);
});

test('a difference is that of the bytes both read, its error that of the means of windows', () => {
  // Differences of the windows of 64: 1, 2, 3; of the last block of the first list the second knows nothing.
  const found = difference(Float32Array.of(2, 2, 4, 4, 6, 6, 9, 9), Float32Array.of(1, 1, 2, 2, 3, 3), 64);
  expect(found.mean).toBe(2);
  expect(found.error).toBeCloseTo(Math.sqrt(2 / 2 / 3), 12);
  expect(difference(Float32Array.of(2, 2), Float32Array.of(1, 1), 64)).toEqual({ mean: 1, error: Number.POSITIVE_INFINITY });
  // One window of 256: its four parts of 64 differ by 1, 1, 3 and 3.
  const one = difference(Float32Array.of(1, 1, 1, 1, 3, 3, 3, 3), new Float32Array(8), 256);
  expect(one.mean).toBe(2);
  expect(one.error).toBeCloseTo(Math.sqrt(4 / 3 / 4), 12);
});

test('a scheme fails where it rises by more than 0.02 and two errors, and one part alone tells nothing', () => {
  expect(verdictOf({ mean: 0.02, error: 0 })).toBe('holds');
  expect(verdictOf({ mean: -1, error: 9 })).toBe('holds');
  expect(verdictOf({ mean: 0.05, error: 0.014 })).toBe('fails');
  expect(verdictOf({ mean: 0.05, error: 0.016 })).toBe('unclear');
  expect(verdictOf({ mean: 5, error: Number.POSITIVE_INFINITY })).toBe('unclear');
});

test('where it goes wrong is the first byte from which it is worse to the end', () => {
  const results = resultsOf({ shaw: holds, t5: fails });
  expect(riseByPosition(results, 't5', 256, 64)?.map((x) => Math.round(x * 100) / 100)).toEqual([0, 0, -0.05, 0.05, 0.7, 1.8, 2.7, 2.8]);
  expect(leavesAt(results, 't5', 256)).toBe(128);
  expect(leavesAt(results, 'shaw', 256)).toBeUndefined();
  expect(leavesAt(results, 'alibi', 256)).toBeUndefined();
  expect(rise(results, 'alibi', 256, 64)).toBeUndefined();
});

test('sentences say who holds, who fails, from which window on and by how much', () => {
  const said = sentences({ results: resultsOf({ shaw: holds, t5: fails }), schemes: ['shaw', 't5'], windows: [64, 128, 256] });
  expect(said[0]).toBe('In windows of 64 bytes, as in training, Shaw and T5 are best, and alike: 1.25 nats a byte.');
  expect(said[1]).toBe('Up to 256 bytes, 4 times as many, Shaw (−0.02) holds the level.');
  expect(said[2]).toBe('The level is lost from 256 on by T5 (+1.00): so much more a byte at 256.');
  expect(said[3]).toMatch(/^Probable reasons: T5 /);
  expect(said[4]).toBe(
    'Where in a window of 256 it goes wrong: from byte 128 on T5. There it is worse to the end, by more than 0.1, than windows of 64 on the same bytes.',
  );
  expect(said).toHaveLength(5);
});

test('windows that not all have read yet are not spoken of; nothing computed, nothing said', () => {
  const results = resultsOf({ shaw: { 64: holds[64], 128: holds[128] }, t5: fails });
  const said = sentences({ results, schemes: ['shaw', 't5'], windows: [64, 128, 256] }).join(' ');
  expect(said).toContain('Up to 128 bytes');
  expect(said).not.toContain('256');
  expect(sentences({ results: new Map(), schemes: ['shaw', 't5'], windows: [64, 128] })).toEqual([]);
  expect(sentences({ results, schemes: [], windows: [64, 128] })).toEqual([]);
});

test('a text that is too short to tell is said to be', () => {
  const one = { 64: blocks(4, [1.3, 1.2]), 256: blocks(1, [1.2, 1.3, 0.9, 1, 2.9, 3.1, 1, 0.9]) };
  const said = sentences({ results: resultsOf({ alibi: one }), schemes: ['alibi'], windows: [64, 256] });
  expect(said[0]).toBe('Of ALiBi (+0.29) this text is too short to tell.');
});

test('the best of the rotary rows is one, or those that it does not lead by anything that means something', () => {
  const of = (loss: number) => ({ 64: blocks(16, [1.3, 1.2]), 128: blocks(8, flat(4, loss)) });
  const results = resultsOf({ rotary: of(1.4), 'rotary-linear': of(2.7), 'rotary-ntk': of(1.27), 'rotary-yarn': of(1.28) });
  const said = sentences({ results, schemes: ['rotary', 'rotary-linear', 'rotary-ntk', 'rotary-yarn'], windows: [64, 128] });
  expect(said.at(-1)).toBe('Best of the rotary rows, none of which was trained on long windows: at 128 rotary NTK and rotary YaRN.');
});

test('words and signs', () => {
  expect(['', 'a', 'a and b', 'a, b and c']).toEqual([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed));
  expect([signed(0.126), signed(-0.126), signed(-0.001), signed(0.004)]).toEqual(['+0.13', '−0.13', '0.00', '0.00']);
});

test('the address holds what is chosen, and says nothing of defaults', () => {
  const first = readSettings({});
  expect(first).toMatchObject({ source: 'part', windows: [64, 128, 256, 512, 1024], at: undefined });
  expect(first.schemes).toHaveLength(9);
  expect(Object.values(writeSettings(first)).every((word) => word === undefined)).toBe(true);
  const some = { schemes: ['t5', 'rotary-yarn'], windows: [64, 1024], text: 'all', at: '1024' };
  const words = { ...some, schemes: some.schemes.join(), windows: some.windows.join() };
  expect(writeSettings(readSettings(words))).toEqual(words);
  expect(readSettings({ schemes: 'alibi,nonsense', windows: '65', text: 'what', at: '7' })).toMatchObject({
    schemes: ['alibi'],
    windows: first.windows,
    source: 'part',
    at: undefined,
  });
  const nothing = writeSettings({ ...first, schemes: [] });
  expect(nothing.schemes).toBe('');
  expect(readSettings(nothing as Record<string, string>).schemes).toEqual([]);
});

test('a text of one’s own is read as bytes, up to a limit; windows need a byte more than they have', () => {
  const heldOut = new Uint8Array(20_000);
  expect(bytesOf('part', heldOut, '')).toHaveLength(PART);
  expect(bytesOf('all', heldOut, '')).toHaveLength(20_000);
  expect([...bytesOf('own', heldOut, 'é’')]).toEqual([0xc3, 0xa9, 0xe2, 0x80, 0x99]);
  expect(bytesOf('own', heldOut, 'é'.repeat(MOST))).toHaveLength(MOST);
  expect(fitting([64, 128], new Uint8Array(64))).toEqual([]);
  expect(fitting([64, 128], new Uint8Array(65))).toEqual([64]);
  expect(fitting([64, 128], new Uint8Array(129))).toEqual([64, 128]);
});
