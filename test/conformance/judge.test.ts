/** The conformance suite sees what it is there to see: other bits, lost threads, a runtime that is not the one it claims to be or is not here. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Host, judge, type Row } from './judge.mjs';
import { digest, table } from './table.mjs';

afterEach(() => vi.unstubAllEnvs());

const HASHES = { plain: '0badcafe', causal: '12345678' };

const row = (change: Partial<Row> = {}): Row => ({
  host: 'one',
  version: '1.2.3',
  context: 'module',
  asked: 2,
  expected: { threads: 2 },
  capabilities: { runtime: 'node', version: '1.2.3', threads: 2 },
  hashes: HASHES,
  failures: {},
  ms: 1234,
  ...change,
});

const host = (change: Partial<Row> = {}, name = 'one'): Host => ({
  name,
  runtime: 'node',
  missing: () => undefined,
  run: async () => ({ rows: [row({ host: name, ...change })] }),
});

/** What is wrong with the second of two hosts, of which the first is as it should be. */
async function wrongWith(change: Partial<Row>): Promise<string[]> {
  const { checks } = await judge([host(), host(change, 'two')], {});
  expect(checks.filter(({ name, error }) => name.startsWith('one') && error)).toEqual([]);
  return checks.flatMap(({ name, error }) => (error ? [`${name}: ${error}`] : []));
}

const threads = (threads: number, reason?: string): Row['capabilities'] => ({
  runtime: 'node',
  version: '1.2.3',
  threads,
  ...(reason && { reason }),
});
const one = { threads: 1, reason: /no workers/ };

describe('a row', () => {
  test('that is as it should be', async () => {
    expect(await wrongWith({})).toEqual([]);
    expect(await wrongWith({ expected: one, capabilities: threads(1, 'there are no workers') })).toEqual([]);
  });

  test.each<[string, Partial<Row>, RegExp]>([
    ['other bits', { hashes: { ...HASHES, causal: '12345679' } }, /they differ in causal$/],
    ['a hash that is missing', { hashes: { plain: '0badcafe' } }, /they differ in causal$/],
    ['a hash too many', { hashes: { ...HASHES, other: '0' } }, /they differ in other$/],
    ['a case that fails', { failures: { causal: 'Error: no' } }, /causal: Error: no$/],
    ['lost threads', { capabilities: threads(1, 'there are no workers') }, /2 thread\(s\): it has 1: there are no workers$/],
    ['fewer threads without a reason', { expected: one, capabilities: threads(1) }, /no reason is given$/],
    ['fewer threads for another reason', { expected: one, capabilities: threads(1, 'it rains') }, /the reason is "it rains"/],
    ['threads that nobody expects', { expected: one }, /1 thread\(s\): it has 2/],
    ['a page that stands still', { frames: { perSecond: 12, longestGapMs: 300 } }, /draws during a call: \{"perSecond":12/],
    ['another runtime', { capabilities: { ...threads(2), runtime: 'bun' } }, /is node: it is bun 1\.2\.3$/],
  ])('with %s', async (_, change, message) => {
    const wrong = await wrongWith(change);
    expect(wrong.length).toBe(1);
    expect(wrong[0]).toMatch(message);
  });
});

describe('a host', () => {
  const outcome = async (change: Partial<Host>): Promise<(string | undefined)[]> => {
    const { checks } = await judge([host(), { ...host({}, 'two'), ...change }], {});
    return checks.filter(({ name }) => name.startsWith('two')).map(({ error }) => error);
  };

  test('that throws, or finds nothing', async () => {
    const throws = async (): Promise<never> => {
      throw new Error('it broke');
    };
    expect((await outcome({ run: throws }))[0]).toMatch(/it broke/);
    expect(await outcome({ run: async () => ({ rows: [] }) })).toEqual(['it found nothing']);
    expect((await outcome({ run: async () => ({ rows: [row({ host: 'two', hashes: {} })] }) }))[0]).toBe('it found nothing');
  });

  test('whose own checks fail', async () => {
    const found = { rows: [row({ host: 'two' })], checks: [{ name: 'two: more', error: 'no' }], notes: ['a line'] };
    expect((await outcome({ run: async () => found })).at(-1)).toBe('no');
  });

  test('that is not here: a line, and a failure where everything must be', async () => {
    const absent = { missing: () => 'no program' };
    vi.stubEnv('CI', '');
    expect(await outcome(absent)).toEqual([]);
    vi.stubEnv('CI', 'true');
    expect(await outcome(absent)).toEqual(['no program']);
    const found = await judge([host(), { ...host({}, 'two'), ...absent }], {});
    expect(found.absent).toEqual([{ name: 'two', missing: 'no program' }]);
  });
});

test('the table has all rows, one digest for the same hashes in any order, and who is not here', () => {
  const { plain, causal } = HASHES;
  expect(digest({ causal, plain })).toBe(digest(HASHES));
  expect(digest({ causal: plain, plain: causal })).not.toBe(digest(HASHES));
  const few = row({ capabilities: threads(1, 'no workers'), frames: { perSecond: 59.6, longestGapMs: 33.2 } });
  const lines = table([row(), few], [{ name: 'three', missing: 'no program' }]).split('\n');
  expect(lines[1]?.split(/ {2,}/)).toEqual(['one', '1.2.3', 'module', '2', digest(HASHES), '1.2 s']);
  expect(lines[2]?.split(/ {2,}/).slice(3)).toEqual(['1 of 2', digest(HASHES), '1.2 s', '60/s, gaps to 33 ms', 'no workers']);
  expect(lines[3]).toMatch(/^three +not here: no program$/);
});
