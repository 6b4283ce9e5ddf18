/** `relpos bench`, its comparison, and `relpos report`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BenchResult, BenchRow } from '../../src/bench/index.ts';
import type { Any } from '../contract/calls.ts';
import { folder, relpos } from './process.ts';

const row = (id: string, ms: number | null, hash: string, more: Partial<BenchRow> = {}): BenchRow => ({
  case: id,
  threads: 1,
  unit: 'GFLOP/s',
  work: 8e8,
  ms,
  mad: 0.1,
  samples: 9,
  calls: 1,
  rate: ms === null ? null : 8e8 / ms / 1e6,
  share: 0.5,
  error: 1e-7,
  hash,
  ...more,
});

const result = (label: string, rows: readonly BenchRow[], more: Partial<BenchResult> = {}): BenchResult => ({
  format: 'relpos-bench',
  relpos: '0.1.0',
  date: '2026-11-26T18:00:00.000Z',
  host: { label, runtime: 'node', version: '1', platform: 'linux', cpu: 'Some CPU', cores: 2 },
  precision: 'reproducible',
  quick: true,
  engines: [{ asked: 1, threads: 1 }],
  clock: { kind: 'runs', resolution: 0.001 },
  peak: { mulAdd: 48, fused: null },
  rows,
  hash: 'abcdabcd',
  ...more,
});

/** Writes results into a folder of its own; their paths. */
function files(...contents: unknown[]): string[] {
  const { path } = folder();
  return contents.map((content, n) => {
    const file = path(`${'abcdef'[n]}.json`);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  });
}

const A = result('Node 20.0.0', [row('attention/x', 10, '11111111'), row('rotary/y', 4, '22222222')]);
const B = result('Bun 1.0.0', [row('attention/x', 5, '11111111'), row('rotary/y', 16, '22222222')]);

describe('relpos bench', () => {
  it('prints a row as it comes, the peak and the hash, and writes the same as JSON', async () => {
    const file = folder().path('r.json');
    const { code, stdout, stderr } = await relpos(['bench', '--quick', '--only', '^swin', '--threads', '1', '--json', file]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`relpos 0.1.0 on Node ${process.versions.node}, ${process.platform}`);
    expect(stdout).toMatch(/^swin\/64x7x7x12x32 +1 +[\d.]+ \w+ +[\d.]+ % +[\d.]+ GFLOP\/s +\d+ % +ed4ad09e$/m);
    expect(stdout).toMatch(/^peak +[\d.]+ GFLOP\/s on one thread/m);
    const { rows, hash } = JSON.parse(readFileSync(file, 'utf8')) as BenchResult;
    expect(rows).toHaveLength(1);
    expect(stdout).toContain(`${hash} of 1 case, the same wherever these cases run`);
  });

  it('runs in int16, whose bits are everybody’s too', async () => {
    const { code, stdout } = await relpos(['bench', '--only', '^attention/128', '--threads', '1,2', '--precision', 'int16', '--json', '-']);
    expect(code).toBe(0);
    const { precision, rows, peak } = JSON.parse(stdout) as BenchResult;
    expect(precision).toBe('int16');
    expect(rows.map(({ threads, hash }) => [threads, hash])).toEqual([1, 2].map((threads) => [threads, rows[0]?.hash]));
    // Farther off than f32 gets; its own error is some 2e-4 of a row.
    expect(rows[0]?.error).toBeGreaterThan(1e-6);
    expect(rows[0]?.error).toBeLessThan(1e-3);
    const { rate, share } = rows[0] as BenchRow;
    expect(share).toBeCloseTo((rate as number) / (peak.int16 as number), 9);
  });

  it('prints JSON alone where that goes to stdout', async () => {
    const { code, stdout } = await relpos(['bench', '--quick', '--only', 'swin', '--threads', '1,2', '--json', '-']);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as BenchResult).rows.map(({ threads }) => threads)).toEqual([1, 2]);
  });

  it('draws its progress on a terminal', async () => {
    const { stderr } = await relpos(['bench', '--quick', '--only', 'swin', '--threads', '1', '--json', '-'], { isTTY: true });
    expect(stderr).toContain('\r\u001b[Kbench 0 %');
    expect(stderr.endsWith('\r\u001b[K')).toBe(true);
  });

  it.each([
    [['bench', 'a.json'], 'bench expected no files without --compare; see relpos bench --help'],
    [['bench', '--only', '('], '--only expected a regular expression, got "("'],
    [['bench', '--threads', '0'], '--threads expected auto or a whole number from 1 to 256, got "0"'],
    [['bench', '--json', '/nowhere/r.json'], 'cannot write /nowhere/r.json: no such folder'],
    [['bench', '--compare'], '--compare expected the files that --json wrote; see relpos bench --help'],
    [['bench', '--compare', '--quick', 'a.json'], '--compare runs nothing: it does not go with --quick'],
    [['bench', '--compare', '/nowhere/a.json'], 'cannot read /nowhere/a.json: no such file'],
    [['report', 'a.json'], 'report expected -o <report.html>; see relpos report --help'],
    [['report', '-o', 'x.html'], 'report expected files that relpos bench --json wrote; see relpos report --help'],
  ])('%j: %s', async (argv, message) => {
    const { code, stdout, stderr } = await relpos(argv);
    expect([code, stdout, stderr]).toEqual([2, '', `relpos: ${message}\n`]);
  });

  it('names the cases that there are when a pattern fits none', async () => {
    const { code, stderr } = await relpos(['bench', '--only', 'nothing']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^relpos: bench: "only" expected a part of attention\/128x12x64, .*swin/);
  });

  it('teaches', async () => {
    const { stdout } = await relpos(['bench', '--help']);
    for (const word of [
      '--quick',
      '--compare',
      'deno run -A npm:relpos bench',
      'Exit code 1',
      'f64',
      '2x = half the time',
      'also with --quick',
    ])
      expect(stdout).toContain(word);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(130);
  });
});

describe('relpos bench --compare', () => {
  it('prints how many times as fast each is as the first, and the geometric mean', async () => {
    const { code, stdout, stderr } = await relpos(['bench', '--compare', ...files(A, B)]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('A  Node 20.0.0 (a): Node 20.0.0, linux, Some CPU, 2 cores');
    expect(stdout).toMatch(/^case +threads +A +B +speed\/A$/m);
    expect(stdout).toMatch(/^attention\/x +1 +10 ms +5 ms +2\.00x$/m);
    expect(stdout).toMatch(/^rotary\/y +1 +4 ms +16 ms +0\.25x$/m);
    expect(stdout).toMatch(/^geometric mean +0\.71x$/m);
    expect(stdout).toContain('bits: the same in 2 of 2 cases that both results have');
  });

  it('fails on other bits, and names them', async () => {
    const other = { ...B, rows: [row('attention/x', 5, '33333333'), row('rotary/y', 16, '22222222')] };
    const { code, stdout, stderr } = await relpos(['bench', '--compare', ...files(A, other)]);
    expect(code).toBe(1);
    expect(stdout).toContain('bits: the same in 1 of 2 cases that both results have; DIFFERENT in attention/x');
    expect(stderr).toBe('relpos: attention/x: Node 20.0.0 has the bits 11111111, Bun 1.0.0 33333333\n');
  });

  it('counts the cases that two or more of several results have, not all of them', async () => {
    const third = result('Deno 1.0.0', [row('attention/x', 5, '11111111'), row('swin/z', 5, '44444444')]);
    const { code, stdout } = await relpos(['bench', '--compare', ...files(A, B, third)]);
    expect(code).toBe(0);
    expect(stdout).toContain('bits: the same in 2 of 2 cases that two or more of the 3 results have\n');
  });

  it('compares no bits where no case is in two results', async () => {
    const other = result('Deno 1.0.0', [row('swin/z', 5, '44444444')]);
    const { code, stdout } = await relpos(['bench', '--compare', ...files(A, other)]);
    expect(code).toBe(0);
    expect(stdout).toContain('bits: not compared; no two results of one precision have a case in common\n');
  });

  it('does not judge relaxed bits, which are each host’s own', async () => {
    const relaxed = { ...B, precision: 'relaxed' as const, rows: [row('attention/x', 5, '33333333')] };
    const { code, stdout } = await relpos(['bench', '--compare', ...files(A, relaxed)]);
    expect(code).toBe(0);
    expect(stdout).toContain('B  Bun 1.0.0, relaxed (b)');
    expect(stdout).toContain('bits: not compared');
  });

  it('judges int16 bits among themselves, and reproducible ones apart', async () => {
    const int16 = (label: string, hash: string): BenchResult =>
      result(label, [row('attention/x', 5, hash)], { precision: 'int16', peak: { mulAdd: 48, fused: null, int16: 96 } });
    const apart = await relpos(['bench', '--compare', ...files(A, int16('Node 20.0.0', '55555555'))]);
    expect(apart.code).toBe(0);
    expect(apart.stdout).toContain('B  Node 20.0.0, int16 (b)');
    expect(apart.stdout).toContain('bits: not compared; no two results of one precision have a case in common\n');
    const { code, stderr } = await relpos([
      ...['bench', '--compare'],
      ...files(A, B, int16('Node 20.0.0', '55555555'), int16('Bun 1.0.0', '66666666')),
    ]);
    expect(code).toBe(1);
    expect(stderr).toBe('relpos: attention/x in int16: Node 20.0.0, int16 has the bits 55555555, Bun 1.0.0, int16 66666666\n');
  });

  it('has no ratio where there is no time', async () => {
    const still = result('workerd', [row('attention/x', null, '11111111')]);
    const { stdout } = await relpos(['bench', '--compare', ...files(A, still)]);
    expect(stdout).toMatch(/^attention\/x +1 +10 ms +–$/m);
  });

  it('takes several results of one file, and other packages', async () => {
    const many = { format: 'relpos-bench-runtimes', results: [A, B] };
    const peers = {
      date: '2026-11-22T00:00:00Z',
      node: 'v20.0.0',
      cpu: 'Some CPU',
      cpus: 2,
      peers: { relpos: '0.1.0', other: '3.0.0' },
      results: [
        {
          id: 'attention/x',
          rows: [
            { peer: 'other', threads: 1, medianMs: 30, rate: 27, unit: 'GFLOP/s', sameWork: false },
            { peer: 'other', threads: 1, medianMs: 40, rate: 20, unit: 'GFLOP/s', sameWork: true },
          ],
        },
      ],
    };
    const { code, stdout } = await relpos(['bench', '--compare', ...files(many, peers)]);
    expect(code).toBe(0);
    expect(stdout).toContain('D  other 3.0.0 (b): Node 20.0.0, Some CPU, 2 cores');
    expect(stdout).toMatch(/^attention\/x +1 +10 ms +5 ms +2\.00x +– +40 ms +0\.25x$/m);
  });

  it('takes other packages on several hosts in one file, with the share of the peak of each', async () => {
    const of = (label: string, relaxed: number): object => ({
      host: 'x',
      label,
      peers: { relpos: '0.1.0', 'relpos relaxed': '0.1.0' },
      peak: { mulAdd: 50, fused: 60, int16: 90 },
      results: [
        {
          id: 'attention/x',
          rows: [
            { peer: 'relpos', threads: 1, medianMs: 10, rate: 40, unit: 'GFLOP/s', share: 0.8, sameWork: true },
            { peer: 'relpos relaxed', threads: 1, medianMs: relaxed, rate: 50, unit: 'GFLOP/s', share: 0.83, sameWork: true },
          ],
        },
      ],
    });
    const table = { format: 'relpos-bench-peers', date: '2026-11-26', node: 'v20.0.0', cpu: 'CPU', cpus: 2 };
    const [file = ''] = files({ ...table, runs: [of('Node 24.0.0', 8), of('Firefox 153.0', 5)] });
    const { code, stdout } = await relpos(['bench', '--compare', file]);
    expect(code).toBe(0);
    expect(stdout).toContain('D  relpos relaxed 0.1.0, Firefox 153.0 (a): Firefox 153.0, CPU, 2 cores');
    expect(stdout).toMatch(/^attention\/x +1 +10 ms +8 ms +1\.25x +10 ms +1\.00x +5 ms +2\.00x$/m);
    const page = folder().path('r.html');
    await relpos(['report', file, '-o', page]);
    const bars = JSON.parse(/id="data">(.*?)<\/script>/.exec(readFileSync(page, 'utf8'))?.[1] ?? '').charts[0].bars;
    expect(bars[1].detail).toBe('50 GFLOP/s, 8 ms, 83 % of its peak');
    expect(readFileSync(page, 'utf8')).toContain('50, fused 60, int16 90');
  });

  it.each([
    ['no JSON', 'a.json: no JSON'],
    [
      { format: 'relpos-bench' },
      'a.json: not a result of relpos bench --json, nor of npm run bench:runtimes or bench:peers of the repository',
    ],
    [
      { ...A, rows: [{ case: 7 }] },
      'a.json: not a result of relpos bench --json, nor of npm run bench:runtimes or bench:peers of the repository',
    ],
    [A, '--compare expected two results or more, got one'],
  ])('refuses %j', async (content, message) => {
    const { code, stderr } = await relpos(['bench', '--compare', ...files(content)]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('relpos report', () => {
  it('writes one page that holds everything', async () => {
    const target = folder().path('r.html');
    const evil = { ...B, host: { ...B.host, label: 'Bun </script><script>alert(1)</script> 1.0.0' } };
    const { code, stdout } = await relpos(['report', ...files(A, evil), '-o', target, '--title', 'A & B']);
    expect([code, stdout.endsWith('r.html: 2 results\n')]).toEqual([0, true]);
    const page = readFileSync(target, 'utf8');
    expect(page).toContain('<title>A &#38; B</title>');
    expect(page).not.toContain('<script>alert');
    expect(page).not.toMatch(/(?:src|href)="/);
    expect(page).toContain("default-src 'none'");
    expect(page.match(/<\/script>/g)).toHaveLength(2);
    expect(page).toContain('<p class="verdict same">Bits: the same in 2 of 2 cases that both results have</p>');
    const data = JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/.exec(page)?.[1] ?? '');
    expect(data.names).toEqual(['Node 20.0.0', 'Bun </script><script>alert(1)</script> 1.0.0']);
    expect(data.charts[0].bars[0]).toEqual({
      name: 'Node 20.0.0',
      case: 'attention/x',
      threads: 1,
      rate: 80,
      detail: '80 GFLOP/s, 10 ms, 50 % of its peak',
    });
    expect(page).toMatch(
      /<th scope="row">attention\/x<\/th><td>1<\/td><td>80 <span class="soft">10 ms, 50 %<\/span><\/td><td class="best">160/,
    );
  });

  it('leaves out files that are no results, and names them', async () => {
    const target = folder().path('r.html');
    const [lock, a, text, list, b] = files({ lockfileVersion: 3 }, A, 'no JSON', null, B) as [string, string, string, string, string];
    const { code, stdout, stderr } = await relpos(['report', lock, a, text, list, b, '-o', target]);
    expect([code, stdout]).toEqual([0, `${target}: 2 results\n`]);
    const why = 'not a result of relpos bench --json, nor of npm run bench:runtimes or bench:peers of the repository';
    expect(stderr).toBe(`relpos: ${lock}: ${why}; left out\nrelpos: ${text}: no JSON; left out\nrelpos: ${list}: ${why}; left out\n`);
    const page = readFileSync(target, 'utf8');
    expect(JSON.parse(/id="data">(.*?)<\/script>/.exec(page)?.[1] ?? '').names).toEqual(['Node 20.0.0', 'Bun 1.0.0']);
  });

  it('fails where no file is a result, and writes nothing', async () => {
    const { path, names } = folder();
    const { code, stdout, stderr } = await relpos(['report', ...files({ lockfileVersion: 3 }), '-o', path('r.html')]);
    expect([code, stdout, names()]).toEqual([2, '', []]);
    expect(stderr).toMatch(/; left out\nrelpos: none of the files is a result of relpos bench --json; see relpos report --help\n$/);
  });

  it('fails at a file that cannot be read', async () => {
    const { path, names } = folder();
    const { code, stderr } = await relpos(['report', ...files(A), '/nowhere/a.json', '-o', path('r.html')]);
    expect([code, stderr, names()]).toEqual([2, 'relpos: cannot read /nowhere/a.json: no such file\n', []]);
  });

  it('teaches', async () => {
    const { stdout } = await relpos(['report', '--help']);
    for (const word of ['npm run bench:runtimes', 'left out', 'repository']) expect(stdout).toContain(word);
    expect(stdout).not.toContain('runtimes.mjs');
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(130);
  });

  it('says in red that bits differ', async () => {
    const target = folder().path('r.html');
    await relpos(['report', ...files(A, { ...B, rows: [row('attention/x', 5, '33333333')] }), '-o', target]);
    expect(readFileSync(target, 'utf8')).toContain(
      '<p class="verdict different">Bits: the same in 0 of 1 cases that both results have; DIFFERENT in attention/x</p>',
    );
  });
});

describe('files of strangers', () => {
  const one = (more: Any): Any => result('Node 20.0.0', [{ ...row('attention/x', 10, '11111111'), ...more }]);
  const peers = (more: Any): Any => {
    const rows = [{ peer: 'relpos', threads: 1, medianMs: 1, rate: 1, unit: 'GFLOP/s', sameWork: true, ...more.row }];
    return {
      date: '2026-11-26',
      node: 'v20.0.0',
      cpu: 'CPU',
      cpus: 2,
      peers: { relpos: '0.1.0' },
      results: [{ id: 'x', rows, ...more.result }],
    };
  };
  const markup = '"><img src=x onerror="document.title=1">';
  const wrong: Readonly<Record<string, Any>> = {
    'a unit that nobody has': one({ unit: markup }),
    'threads that are text': peers({ row: { threads: markup } }),
    'no threads': one({ threads: null }),
    'threads below one': one({ threads: -1.5 }),
    'a rate below zero': one({ rate: -5 }),
    'an infinite rate': JSON.stringify(one({})).replace(/"rate":[\d.]+/, '"rate":1e999'),
    'another precision': { ...A, precision: 'x' },
    'memory in words': { ...A, host: { ...A.host, memory: 'x' } },
    'a case by number': peers({ result: { id: 5 } }),
    'no case': peers({ result: { id: undefined } }),
    'rows without end': { ...A, rows: Array.from({ length: 20_000 }, () => A.rows[0]) },
    'rows that are none': { ...A, rows: 'x' },
  };

  it.each(Object.entries(wrong))('%s: no result', async (_, content) => {
    const paths = files(A, content);
    const compared = await relpos(['bench', '--compare', ...paths]);
    expect([compared.code, compared.stdout]).toEqual([2, '']);
    expect(compared.stderr).toMatch(/b\.json: not a result/);
    const page = folder().path('r.html');
    const { code, stderr } = await relpos(['report', ...paths, '-o', page]);
    expect([code, stderr.split('\n').length]).toEqual([0, 2]);
    expect(stderr).toMatch(/b\.json: not a result of .*; left out/);
    expect(readFileSync(page, 'utf8')).not.toContain('<img');
  });

  it('says nothing to the terminal but text', async () => {
    const id = 'rot\u001b]0;OWNED\u0007\u001b[31mred\nline';
    const said = (hash: string): Any => result(`Node\u001b[2J ${hash}`, [row(id, 10, `${hash}\u001b[2J`)]);
    const { code, stdout, stderr } = await relpos(['bench', '--compare', ...files(said('aa'), said('bb'))]);
    expect(code).toBe(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    expect(stdout).toMatch(/red line/);
  });

  it('a page does not replace a result that it is made of', async () => {
    const [path = ''] = files(A);
    const before = readFileSync(path, 'utf8');
    const { code, stderr } = await relpos(['report', path, '-o', path]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/would replace .*a\.json/);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });
});
