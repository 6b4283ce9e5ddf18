import { readFileSync } from 'node:fs';
import { type BenchResult, type BenchRow, bench } from 'relpos/bench';
import { describe, expect, it } from 'vitest';
import { makePublished, makeReference, publishedFiles } from '../../scripts/speed.mjs';
import { bitsOf, verdictOf } from '../../src/panels/speed/bits.ts';
import { cases, inWords, MEASURES, measured, tokensOf, unitOf } from '../../src/panels/speed/cases.ts';
import { programOf } from '../../src/panels/speed/code.ts';
import { deviceWords, helpFor } from '../../src/panels/speed/device.ts';
import published from '../../src/panels/speed/published.json';
import { barsOf, publishedOf } from '../../src/panels/speed/published.ts';
import reference from '../../src/panels/speed/reference.json';
import { chosenCases, coresOf, PUBLISHED, settingsFor } from '../../src/panels/speed/settings.ts';
import { runPrograms } from './programs.ts';

const row = (id: string, hash: string, more: Partial<BenchRow> = {}): BenchRow => ({
  ...{ case: id, hash, threads: 1, unit: 'GFLOP/s', work: 1, ms: 1, mad: 0, samples: 5, calls: 1, rate: 1, share: null, error: 0 },
  ...more,
});
const [first] = cases;
if (!first) throw new Error('there are no cases');
const right = (precision: string): BenchRow[] => cases.map(({ id, hashes }) => row(id, hashes[precision] ?? ''));

describe('the reference', () => {
  it('is what Node computes now, in every case and precision', async () => {
    const now = await makeReference();
    expect({ ...now, host: '' }, 'node web/scripts/speed.mjs writes it anew').toEqual({ ...reference, host: '' });
    expect(now.cases.length).toBeGreaterThan(15);
  });
  it('is what two threads compute too', async () => {
    const { rows, precision } = await bench({ threads: 2 }, { calls: 1, only: /^(causal|deberta)/ });
    expect(rows.length).toBe(5);
    expect(rows.map((one) => bitsOf(one, precision))).toEqual(rows.map(() => 'same'));
  });
  it('is what the published runs of every runtime gave', () => {
    for (const file of publishedFiles()) {
      const { results } = JSON.parse(readFileSync(file, 'utf8')) as { results: BenchResult[] };
      expect(results.length).toBeGreaterThan(5);
      for (const { host, rows, precision } of results) {
        const bits = precision === 'relaxed' ? 'own' : 'same';
        for (const one of rows) expect(bitsOf(one, precision), `${host.label}, ${one.case}`).toBe(bits);
      }
    }
  });
});

describe('published runs', () => {
  it('are the newest of bench/results', () => {
    expect(published, 'node web/scripts/speed.mjs writes them anew').toEqual(makePublished());
  });
  it('are bars, after those of this browser', () => {
    const [id = ''] = PUBLISHED;
    const all = publishedOf('reproducible');
    if (!all) throw new Error('there are no published runs');
    const own = {
      label: 'this browser',
      rows: [
        { case: id, threads: 1, ms: 10 },
        { case: id, threads: 2, ms: null },
        { case: 'x', threads: 1, ms: 1 },
      ],
    };
    const bars = barsOf(id, 'ms', own, all);
    expect(bars[0]).toEqual({ label: 'this browser', threads: 1, value: 10, own: true });
    expect(bars.filter((bar) => bar.own).length).toBe(1);
    expect(new Set(bars.map(({ label }) => label.split(' ')[0]))).toEqual(
      new Set(['this', 'Node', 'Deno', 'Bun', 'Chromium', 'Firefox', 'WebKitGTK', 'workerd']),
    );
    for (const { value } of bars) expect(value).toBeGreaterThan(0);
    expect(barsOf(id, 'ms', undefined, all)).toEqual(bars.slice(1));
  });
  it('are none in a precision that nobody published', () => expect(publishedOf('nothing')).toBeUndefined());
});

describe('the badge', () => {
  it.each(['reproducible', 'int16'] as const)('says that all is the same in %s', (precision) => {
    const { kind, badge, text } = verdictOf(right(precision), precision, 'Node 1');
    expect([kind, badge]).toEqual(['good', 'same bits']);
    expect(text).toContain(`the same bits as Node 1 in all ${cases.length} rows`);
  });
  it('says so of a single row', () => {
    const { text } = verdictOf([row(first.id, first.hashes.reproducible ?? '')], 'reproducible', 'Node 1');
    expect(text).toBe('This browser computed the same bits as Node 1 in the one row.');
  });
  it('names the case whose bits are others', () => {
    const rows = right('reproducible').map((one, n) => (n === 2 ? { ...one, hash: 'deadbeef' } : one));
    const { kind, badge, text } = verdictOf(rows, 'reproducible', 'Node 1');
    expect([kind, badge]).toEqual(['bad', 'other bits']);
    expect(text).toContain(`In 1 case (${cases[2]?.id}) this browser did not compute what Node 1 computes.`);
    expect(text).toContain('please report it');
  });
  it('takes hashes of another precision for what they are: others', () => {
    expect(verdictOf(right('int16'), 'reproducible', 'Node 1').kind).toBe('bad');
  });
  it('names a case that failed', () => {
    const { kind, text } = verdictOf([row(first.id, first.hashes.reproducible ?? '', { failure: 'off by 1' })], 'reproducible', 'Node 1');
    expect(kind).toBe('bad');
    expect(text).toContain(first.id);
  });
  it('promises nothing of relaxed bits, and nothing before a run', () => {
    expect(verdictOf(right('reproducible'), 'relaxed', 'Node 1').kind).toBe('none');
    expect(verdictOf([], 'reproducible', 'Node 1').badge).toBe('not compared yet');
  });
  it('counts what has no reference', () => {
    const known = row(first.id, first.hashes.reproducible ?? '');
    expect(verdictOf([known, row('new/1', '0')], 'reproducible', 'Node 1')).toMatchObject({
      kind: 'good',
      text: 'This browser computed the same bits as Node 1 in the one row. For 1 row there is no reference.',
    });
    expect(verdictOf([row('new/1', '0')], 'reproducible', 'Node 1').kind).toBe('none');
  });
});

describe('cases', () => {
  it('have words of their own', () => {
    const words = cases.map(({ id }) => inWords(id));
    expect(new Set(words).size).toBe(cases.length);
    for (const text of words) expect(text).not.toMatch(/undefined|NaN/);
    expect(inWords('prefill/512xH32G8x64')).toBe('prefill: rotary, causal, 512 tokens, 32 heads of 64 on 8 of keys');
  });
  it('count the tokens that ask', () => {
    expect(['attention/512x12x64', 'decode/2047xH32G8x64', 'prefill/512xH32G8x64', 'swin/64x7x7x12x32'].map(tokensOf)).toEqual([
      512, 1, 512, 3136,
    ]);
  });
  it('are shown as rates, as tokens a second and as times', () => {
    expect(measured('rate', 'attention/512x12x64', 10)).toBeCloseTo((4 * 512 * 512 * 12 * 64) / 1e7, 6);
    expect(measured('tokens', 'attention/512x12x64', 10)).toBe(51_200);
    expect(measured('ms', 'attention/512x12x64', 10)).toBe(10);
    for (const [measure] of MEASURES) expect(measured(measure, 'attention/512x12x64', null)).toBeUndefined();
    expect(unitOf('rate', 'decode/2047xH32G8x64')).toBe('GB/s');
  });
});

describe('settings', () => {
  const four = settingsFor(4);
  it('leave one core to the page, unless they say otherwise', () => {
    expect(four.read({}).threads).toBe(3);
    expect(four.read({ threads: '4' }).threads).toBe(4);
    expect(settingsFor(1).read({}).threads).toBe(1);
    expect(coresOf(undefined)).toBe(1);
  });
  it.each(['0', '-1', '1.5', 'many', ''])('take %j threads for no number of threads', (threads) =>
    expect(four.read({ threads }).threads).toBe(3),
  );
  it('have no more threads than the host', () => expect(four.read({ threads: '64' }).threads).toBe(4));
  it('come back from the address', () => {
    const words = { threads: '4', one: 'no', precision: 'int16', cases: 'causal/512x12x64', measure: 'tokens', beside: 'alibi/512x12x64' };
    expect(four.write(four.read(words))).toEqual(words);
    expect(
      Object.values(four.write(four.read({ precision: 'x', cases: 'y', measure: 'z', beside: '' }))).filter((one) => one !== undefined),
    ).toEqual([]);
  });
  it('name cases', () => {
    expect(chosenCases('quick').length).toBe(9);
    expect(chosenCases('all').length).toBe(cases.length);
    expect(chosenCases('causal/512x12x64')).toEqual(['causal/512x12x64']);
  });
});

describe('the copied program', () => {
  const { read } = settingsFor(2);
  it('runs what the panel runs', () => {
    const program = programOf(read({ threads: '2', precision: 'int16', cases: 'rotary/512x32x64' }));
    const [lines] = runPrograms([program]);
    const hash = cases.find(({ id }) => id === 'rotary/512x32x64')?.hashes.int16;
    expect(lines).toEqual([1, 2].map((threads) => ({ id: 'rotary/512x32x64', threads, rate: expect.any(Number), unit: 'GB/s', hash })));
    expect(program).toContain('npx relpos bench --threads 1,2 --precision int16 --quick --only rotary/512x32x64');
  });
  it('has the options that are chosen', () => {
    expect(programOf(read({ cases: 'all', one: 'no', threads: '2' }))).toContain(
      "await bench({ threads: [2], precision: 'reproducible' });",
    );
    expect(programOf(read({}))).toContain("await bench({ threads: [1], precision: 'reproducible' }, { quick: true });");
  });
});

describe('the device in words', () => {
  const device = { simd: true, threads: 4, requested: 4, fused: true };
  it('says what there is', () => {
    expect(deviceWords(device).at(-1)).toBe('Threads: 4, all that this device gives.');
    expect(deviceWords(device)[1]).toContain('faster here');
  });
  it('says why there is less', () => {
    const less = {
      ...device,
      threads: 1,
      reason: 'the page is not cross-origin isolated',
      fused: false,
      unfused: 'this host does not fuse',
    };
    expect(deviceWords(less).slice(1)).toEqual([
      'Relaxed SIMD: of no use here, because this host does not fuse.',
      'One thread, because the page is not cross-origin isolated.',
    ]);
    expect(deviceWords({ ...device, threads: 1, requested: 1 }).at(-1)).toContain('one core');
  });
  it('says what helps, by what stands in the way', () => {
    const place = { isolated: false, secure: true, serviceWorkers: true, framed: false };
    expect(helpFor({ ...place, isolated: true })).toBeUndefined();
    expect(helpFor({ ...place, framed: true })).toContain('frame');
    expect(helpFor({ ...place, secure: false })).toContain('https');
    expect(helpFor({ ...place, serviceWorkers: false })).toContain('private window');
    expect(helpFor(place)).toContain('load the page again');
  });
});
