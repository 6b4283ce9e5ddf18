import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { RelposError } from '../../src/arguments/errors.ts';
import { Engine } from '../../src/engine.ts';
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../src/safetensors/index.ts';
import { blhd, f32, f64, type NaiveOptions, naive, noise, rotation, type Sizes, t5Bucket } from './naive.ts';
import { folder, type Ran, relpos } from './process.ts';

const SIZES: Sizes = { B: 2, H: 4, G: 2, L: 9, S: 13, D: 16, E: 8 };
/** Twice the largest relative error of a naive f32 evaluation of these inputs (measured: 2.04e-7 in out, 1.1e-7 in lse). */
const TOLERANCE = 4.1e-7;

const inputs = ({ B, H, G, L, S, D, E }: Sizes) => ({
  q: noise(B * H * L * D, 1),
  k: noise(B * G * S * D, 2),
  v: noise(B * G * S * E, 3),
});

const { q, k, v } = inputs(SIZES);
const shapes = { q: [2, 4, 9, 16], k: [2, 2, 13, 16], v: [2, 2, 13, 8], out: [2, 4, 9, 8], lse: [2, 4, 9] };
const sinks = noise(4, 4);
const table = noise(32 * 4, 5);
const dense = noise(4 * 9 * 13, 6);

/** A file of q, k, v, tables and what a case should give. */
function fileOf(options: NaiveOptions, metadata: Record<string, string> = {}): Uint8Array {
  const tensors: Record<string, SafeTensor> = {
    q: f32(shapes.q, q),
    k: f32(shapes.k, k),
    v: f32(shapes.v, v),
    expected: f64(shapes.out, naive(q, k, v, SIZES, options).out),
    sinks: f32([4], sinks),
    table: f32([32, 4], table),
    dense: f32([1, 4, 9, 13], dense),
  };
  return writeSafetensors(tensors, metadata);
}

/** The arrays of an output file. */
function outputOf(path: string): { out: Float32Array; lse: Float32Array; shapes: (readonly number[])[] } {
  const { tensors } = readSafetensors(readFileSync(path));
  const floats = (name: string): Float32Array => new Float32Array(Uint8Array.from((tensors.get(name) as SafeTensor).data).buffer);
  return { out: floats('out'), lse: floats('lse'), shapes: ['out', 'lse'].map((name) => (tensors.get(name) as SafeTensor).shape) };
}

/** The largest difference relative to the largest expected. */
function apart(actual: ArrayLike<number>, wanted: Float64Array): number {
  expect(actual.length).toBe(wanted.length);
  let largest = 0;
  let size = 0;
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs((actual[i] as number) - (wanted[i] as number)));
    size = Math.max(size, Math.abs(wanted[i] as number));
    if (Number.isNaN(actual[i])) return Number.NaN;
  }
  return largest / size;
}

const causal = (p: number, j: number): boolean => j <= p;
const alibi = (h: number, p: number, j: number): number => 2 ** ((-8 * (h + 1)) / 4) * (j - p);
const t5 = (bidirectional: boolean) => (h: number, p: number, j: number) => table[t5Bucket(j - p, bidirectional) * 4 + h] as number;
const denseBias = (h: number, _: number, j: number, i: number): number => dense[(h * 9 + i) * 13 + j] as number;

const CASES: [flags: string, options: NaiveOptions][] = [
  ['', {}],
  ['--encoding none', {}],
  ['--causal', { visible: causal }],
  ['--window-left 3 --window-right 0', { visible: (p, j) => p - 3 <= j && j <= p }],
  ['--window-left 2', { visible: (p, j) => p - 2 <= j }],
  ['--scale 0.5 --softcap 1.5', { scale: 0.5, softcap: 1.5 }],
  ['--scale=-0.25', { scale: -0.25 }],
  ['--sinks sinks --causal', { sinks, visible: causal }],
  ['--encoding rotary --layout halves', { rotate: rotation(16, 10000, 'halves') }],
  ['--encoding rotary --theta 500 --layout pairs --dim 8 --causal', { rotate: rotation(8, 500, 'pairs'), visible: causal }],
  ['--encoding rotary --layout halves --offset 1000', { rotate: rotation(16, 10000, 'halves') }],
  ['--encoding alibi --causal', { bias: alibi, visible: causal }],
  ['--encoding t5 --table table --causal', { bias: t5(false), visible: causal }],
  ['--encoding t5 --table table --bidirectional --scale 1', { bias: t5(true), scale: 1 }],
  [
    '--encoding t5 --table table --buckets 32 --max-distance 20 --bidirectional',
    { bias: (h, p, j) => table[t5Bucket(j - p, true, 32, 20) * 4 + h] as number },
  ],
  ['--encoding bias --bias dense', { bias: denseBias }],
  ['--encoding rotary,bias --layout halves --bias dense', { rotate: rotation(16, 10000, 'halves'), bias: denseBias }],
  ['--encoding rotary --encoding bias --layout halves --bias dense', { rotate: rotation(16, 10000, 'halves'), bias: denseBias }],
  ['--threads 2 --precision relaxed --repeat 3', {}],
];

describe('attend gives what the formula gives', () => {
  it.each(CASES)('%s', async (flags, options) => {
    const { path, names } = folder();
    writeFileSync(path('in.safetensors'), fileOf(options));
    const argv = flags === '' ? [] : flags.split(' ');
    const ran = await relpos(['attend', path('in.safetensors'), '-o', path('out.safetensors'), '--json', ...argv]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(ran.stdout);
    expect(report.difference.from).toBe('expected');
    expect(report.difference.relative).toBeLessThan(TOLERANCE);
    expect(names()).toEqual(['in.safetensors', 'out.safetensors']);
    const wanted = naive(q, k, v, SIZES, options);
    const got = outputOf(path('out.safetensors'));
    expect(got.shapes).toEqual([shapes.out, shapes.lse]);
    expect(apart(got.out, wanted.out)).toBeLessThan(TOLERANCE);
    expect(apart(got.lse, wanted.lse)).toBeLessThan(TOLERANCE);
  });

  it('and says how far off a wrong case is', async () => {
    const { path } = folder();
    writeFileSync(path('in.safetensors'), fileOf({ visible: causal }));
    const { difference } = JSON.parse((await relpos(['attend', path('in.safetensors'), '--json'])).stdout);
    const wanted = naive(q, k, v, SIZES, { visible: causal }).out;
    const { out } = naive(q, k, v, SIZES);
    expect(difference.relative).toBeCloseTo(apart(out, wanted), 4);
    const [b, h, i, e] = difference.at as [number, number, number, number];
    const at = ((b * 4 + h) * 9 + i) * 8 + e;
    expect(difference.largest).toBeCloseTo(Math.abs((out[at] as number) - (wanted[at] as number)), 5);
  });

  it('in the order of dimensions that projections give', async () => {
    const { path } = folder();
    const { out, lse } = naive(q, k, v, SIZES, { visible: causal });
    const file = writeSafetensors({
      q: f32([2, 9, 4, 16], blhd(q, [2, 4, 9, 16])),
      k: f32([2, 13, 2, 16], blhd(k, [2, 2, 13, 16])),
      v: f32([2, 13, 2, 8], blhd(v, [2, 2, 13, 8])),
      expected: f64([2, 9, 4, 8], blhd(out, [2, 4, 9, 8])),
    });
    writeFileSync(path('in'), file);
    const ran = await relpos(['attend', path('in'), '-o', path('out'), '--tensor-layout', 'blhd', '--causal', '--json']);
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.stdout).difference.relative).toBeLessThan(TOLERANCE);
    expect(apart(outputOf(path('out')).lse, lse)).toBeLessThan(TOLERANCE);
  });

  it('on half-precision tensors, under other names, at odd addresses', async () => {
    const { path } = folder();
    const eighths = (x: Float32Array): Float32Array => x.map((value) => Math.round(value * 8) / 8);
    const [q8, k8, v8] = [eighths(q), eighths(k), eighths(v)];
    const bits = (x: Float32Array, encode: (value: number) => number): Uint8Array => new Uint8Array(Uint16Array.from(x, encode).buffer);
    const bf16 = (value: number): number => (new Uint32Array(Float32Array.of(value).buffer)[0] as number) >>> 16;
    const f16 = (value: number): number => {
      if (value === 0) return 0;
      const exponent = Math.floor(Math.log2(Math.abs(value)));
      return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
    };
    const file = writeSafetensors({
      query: { dtype: 'BF16', shape: shapes.q, data: bits(q8, bf16) },
      key: { dtype: 'F16', shape: shapes.k, data: bits(k8, f16) },
      value: { dtype: 'F16', shape: shapes.v, data: bits(v8, f16) },
      // What it should be, cut to bf16: off by up to 2^-7 of its size.
      wanted: { dtype: 'BF16', shape: shapes.out, data: bits(Float32Array.from(naive(q8, k8, v8, SIZES).out), bf16) },
      pad: { dtype: 'U8', shape: [3], data: new Uint8Array(3) },
    });
    // The data begins at an odd address: one more space in the header.
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    const odd = new Uint8Array(file.length + 1).fill(0x20);
    odd.set(file.subarray(0, 8 + length));
    odd.set(file.subarray(8 + length), 9 + length);
    new DataView(odd.buffer).setBigUint64(0, BigInt(length + 1), true);
    for (const bytes of [file, odd]) {
      writeFileSync(path('in'), bytes);
      const ran = await relpos([
        'attend',
        path('in'),
        '--q',
        'query',
        '--k',
        'key',
        '--v',
        'value',
        '--expected',
        'wanted',
        '-o',
        path('out'),
        '--json',
      ]);
      expect(ran.stderr).toBe('');
      const { from, relative } = JSON.parse(ran.stdout).difference;
      expect(from).toBe('wanted');
      expect(relative).toBeLessThan(2 ** -7);
      expect(relative).toBeGreaterThan(2 ** -12);
      expect(apart(outputOf(path('out')).out, naive(q8, k8, v8, SIZES).out)).toBeLessThan(TOLERANCE);
    }
  });
});

describe('attend takes the case from the metadata', () => {
  const rotary = { name: 'rotary', options: { dim: 16, theta: 500, layout: 'pairs' } };
  const caseOf = (encoding: unknown, attention: unknown = {}): Record<string, string> => ({
    case: JSON.stringify({ encoding, attention }),
  });
  const relative = async (bytes: Uint8Array, ...flags: string[]): Promise<number> => {
    const { path } = folder();
    writeFileSync(path('in'), bytes);
    const ran = await relpos(['attend', path('in'), '--from-metadata', '--json', '--repeat', '1', ...flags]);
    const { relative, within } = JSON.parse(ran.stdout).difference;
    expect(within).toBe(relative <= 1e-5);
    expect(ran.code).toBe(within ? 0 : 1);
    return relative;
  };

  it('one encoding', async () => {
    const bytes = fileOf({ rotate: rotation(16, 500, 'pairs'), visible: causal, scale: 0.3 }, caseOf(rotary, { causal: true, scale: 0.3 }));
    expect(await relative(bytes)).toBeLessThan(TOLERANCE);
  });

  it('several, with tensors of the file', async () => {
    const list = [rotary, { name: 't5', options: { heads: 4, buckets: 32, maxDistance: 128, bidirectional: true, table: '@table' } }];
    const options = { rotate: rotation(16, 500, 'pairs'), bias: t5(true), sinks, visible: (p: number, j: number) => p - 4 <= j };
    expect(await relative(fileOf(options, caseOf(list, { sinks: '@sinks', window: { left: 4 } })))).toBeLessThan(TOLERANCE);
  });

  it.each([[null], [[]], [{ name: 'none' }], [undefined]])('none: %j', async (encoding) => {
    expect(await relative(fileOf({}, caseOf(encoding)))).toBeLessThan(TOLERANCE);
  });

  it('and flags win, option by option', async () => {
    const window = (p: number, j: number): boolean => p - 2 <= j && j <= p + 1;
    const bytes = fileOf(
      { rotate: rotation(16, 90, 'pairs'), scale: 1, visible: window },
      caseOf(rotary, { causal: true, scale: 0.3, window: { left: 9, right: 1 } }),
    );
    expect(await relative(bytes, '--theta', '90', '--no-causal', '--scale', '1', '--window-left', '2')).toBeLessThan(TOLERANCE);
    expect(await relative(bytes, '--theta', '90', '--no-causal', '--scale', '1')).toBeGreaterThan(1e-3);
    const plain = fileOf({}, caseOf(rotary));
    expect(await relative(plain, '--encoding', 'none')).toBeLessThan(TOLERANCE);
    expect(await relative(plain, '--encoding', 'rotary')).toBeGreaterThan(1e-3);
  });

  it('but not unless asked', async () => {
    const { path } = folder();
    writeFileSync(path('in'), fileOf({}, caseOf(rotary, { causal: true })));
    expect(JSON.parse((await relpos(['attend', path('in'), '--json'])).stdout).difference.relative).toBeLessThan(TOLERANCE);
  });
});

describe('the report', () => {
  const attend = async (...flags: string[]): Promise<Ran> => {
    const { path } = folder();
    writeFileSync(path('in'), fileOf({}));
    return relpos(['attend', path('in'), ...flags]);
  };

  it('as JSON', async () => {
    const { stdout } = await attend('--json', '--threads', '1', '--repeat', '3', '--causal', '--encoding', 'rotary', '--layout', 'halves');
    expect(stdout.endsWith('}\n')).toBe(true);
    const report = JSON.parse(stdout);
    expect(report).toEqual({
      relpos: expect.stringMatching(/^\d+\.\d+\.\d+/),
      input: expect.stringMatching(/in$/),
      tensors: {
        q: { dtype: 'f32', shape: shapes.q },
        k: { dtype: 'f32', shape: shapes.k },
        v: { dtype: 'f32', shape: shapes.v },
        out: { dtype: 'f32', shape: shapes.out },
        lse: { dtype: 'f32', shape: shapes.lse },
      },
      encoding: [{ name: 'rotary', options: { dim: 16, theta: 10000, layout: 'halves' } }],
      attention: { causal: true },
      precision: 'reproducible',
      capabilities: expect.objectContaining({
        threads: 1,
        requestedThreads: 1,
        simd: true,
        runtime: 'node',
        version: process.versions.node,
      }),
      milliseconds: {
        first: expect.any(Number),
        median: expect.any(Number),
        least: expect.any(Number),
        most: expect.any(Number),
        runs: 3,
      },
      gflops: expect.any(Number),
      difference: {
        from: 'expected',
        largest: expect.any(Number),
        relative: expect.any(Number),
        at: expect.any(Array),
        tolerance: 1e-5,
        within: false,
      },
      output: null,
    });
    const { least, median, most } = report.milliseconds;
    expect(least).toBeLessThanOrEqual(median);
    expect(median).toBeLessThanOrEqual(most);
    expect(report.gflops).toBeCloseTo((2 * 2 * 4 * 9 * 13 * (16 + 8)) / median / 1e6, 9);
  });

  it('as text', async () => {
    const { code, stdout, stderr } = await attend('--threads', '1', '--softcap', '1e6');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual([
      'q',
      'k',
      'v',
      'out',
      'encoding',
      'attention',
      'threads',
      'time',
      'rate',
      'difference',
    ]);
    expect(lines[0]).toBe('q           [2, 4, 9, 16] f32');
    expect(lines[5]).toBe('attention   softcap 1000000');
    expect(lines[6]).toMatch(/^threads {5}1 \(asked: 1/);
    expect(lines[7]).toMatch(/^time {8}[\d.]+ (us|ms|s), median of \d+ warm runs \(the first: [\d.]+ (us|ms)\), reproducible$/);
    expect(lines[8]).toMatch(/^rate {8}[\d.e-]+ GFLOP\/s$/);
    expect(lines[9]).toMatch(/^difference {2}.*; within 0\.00001$/);
  });

  it('calls a run of more than a tenth of a second cold, as it is the only one', async () => {
    const { path } = folder();
    const shape = [1, 8, 2048, 64];
    const data = f32(shape, noise(8 * 2048 * 64, 1));
    writeFileSync(path('in'), writeSafetensors({ q: data, k: data, v: data }));
    const { stdout } = await relpos(['attend', path('in'), '--threads', '1']);
    expect(stdout).toMatch(/^time +[\d.]+ (ms|s), one cold run, reproducible\nrate +[\d.]+ GFLOP\/s \(cold\)$/m);
    const { milliseconds } = JSON.parse((await relpos(['attend', path('in'), '--threads', '1', '--json'])).stdout);
    expect(milliseconds).toEqual({
      first: milliseconds.first,
      median: milliseconds.first,
      least: milliseconds.first,
      most: milliseconds.first,
      runs: 0,
    });
  });

  it('is nothing with --quiet', async () => {
    expect(await attend('--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('has no difference without "expected"', async () => {
    const { path } = folder();
    writeFileSync(path('in'), writeSafetensors({ q: f32(shapes.q, q), k: f32(shapes.k, k), v: f32(shapes.v, v) }));
    expect(JSON.parse((await relpos(['attend', path('in'), '--json'])).stdout).difference).toBe(null);
    expect((await relpos(['attend', path('in')])).stdout).not.toContain('difference');
  });

  it('counts NaN where a number was expected as the largest difference', async () => {
    const { path } = folder();
    const broken = q.slice();
    broken[0] = Number.NaN;
    const wanted = naive(q, k, v, SIZES).out;
    writeFileSync(
      path('in'),
      writeSafetensors({ q: f32(shapes.q, broken), k: f32(shapes.k, k), v: f32(shapes.v, v), expected: f64(shapes.out, wanted) }),
    );
    const { difference } = JSON.parse((await relpos(['attend', path('in'), '--json'])).stdout);
    expect(difference).toMatchObject({ largest: 'NaN', relative: 'NaN', at: [0, 0, 0, 0] });
  });
});

describe('what differs from "expected"', () => {
  const off = naive(q, k, v, SIZES).out.map((x, n) => (n === 5 ? x + 0.01 : x));
  const largest = off.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const fileWith = (expected: SafeTensor, metadata: Record<string, string> = {}): Uint8Array =>
    writeSafetensors({ q: f32(shapes.q, q), k: f32(shapes.k, k), v: f32(shapes.v, v), expected }, metadata);
  const attend = async (bytes: Uint8Array, ...flags: string[]): Promise<Ran & { names: string[] }> => {
    const { path, names } = folder();
    writeFileSync(path('in'), bytes);
    const ran = await relpos(['attend', path('in'), '-o', path('out'), '--quiet', ...flags]);
    return { ...ran, names: names() };
  };

  it('beyond the tolerance gives exit code 1 and a line, and the output all the same', async () => {
    const ran = await attend(fileWith(f64(shapes.out, off)));
    expect(ran).toMatchObject({ code: 1, stdout: '', names: ['in', 'out'] });
    expect(ran.stderr).toBe(
      `relpos: out is ${(0.01 / largest).toPrecision(3)} of the largest value away from "expected", more than the tolerance of 0.00001\n`,
    );
    expect((await attend(fileWith(f64(shapes.out, off)), '--json')).stdout).toContain('"within":false');
  });

  it('within the tolerance given gives 0', async () => {
    const bytes = fileWith(f64(shapes.out, off));
    expect((await attend(bytes, '--tolerance', String((0.01 / largest) * 1.001))).code).toBe(0);
    expect((await attend(bytes, '--tolerance', String((0.01 / largest) * 0.999))).code).toBe(1);
    expect((await attend(fileOf({}), '--tolerance', '0')).code).toBe(1);
  });

  it('is judged by the precision', async () => {
    // Off by a thousandth of the largest value at most: f32 never is, sums of 16-bit products may be.
    const near = (part: number): Uint8Array => {
      const values = naive(q, k, v, SIZES).out;
      values[0] = (values[0] as number) + part * largest;
      return fileWith(f64(shapes.out, values));
    };
    const judged = async (part: number, ...flags: string[]) => {
      const { code, stdout } = await attend(near(part), '--json', ...flags);
      return { code, ...(JSON.parse(stdout).difference as object) };
    };
    expect(await judged(0.0004, '--precision', 'int16')).toMatchObject({ code: 0, tolerance: 1e-3, within: true });
    expect(await judged(0.002, '--precision', 'int16')).toMatchObject({ code: 1, tolerance: 1e-3, within: false });
    expect(await judged(0.0004)).toMatchObject({ code: 1, tolerance: 1e-5, within: false });
    expect(await judged(0.0004, '--precision', 'relaxed')).toMatchObject({ code: 1, tolerance: 1e-5, within: false });
  });

  it('within twice the error that the file states gives 0', async () => {
    expect((await attend(fileWith(f64(shapes.out, off), { naive_error: '0.00501' }))).code).toBe(0);
    expect((await attend(fileWith(f64(shapes.out, off), { naive_error: '0.00499' }))).code).toBe(1);
    expect((await attend(fileWith(f64(shapes.out, off), { naive_error: 'none' }))).code).toBe(1);
  });

  it('may be off by two units of a 16-bit type', async () => {
    const bits = (values: Float64Array): SafeTensor => {
      const wide = new Uint32Array(Float32Array.from(values).buffer);
      return { dtype: 'BF16', shape: shapes.out, data: new Uint8Array(Uint16Array.from(wide, (x) => x >>> 16).buffer) };
    };
    expect((await attend(fileWith(bits(naive(q, k, v, SIZES).out)))).code).toBe(0);
    expect((await attend(fileWith(bits(off.map((x) => x * 1.1))))).code).toBe(1);
  });

  it('NaN differs, whatever the tolerance', async () => {
    const none = off.map((x, n) => (n === 5 ? Number.NaN : x));
    const ran = await attend(fileWith(f64(shapes.out, none)), '--tolerance', '9');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^relpos: out is NaN of the largest value away from "expected"/);
  });

  it('--tolerance needs something to compare with, and is not negative', async () => {
    const bytes = writeSafetensors({ q: f32(shapes.q, q), k: f32(shapes.k, k), v: f32(shapes.v, v) });
    expect(await attend(bytes, '--tolerance', '1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--tolerance needs --expected'),
    });
    expect(await attend(fileOf({}), '--tolerance=-1')).toMatchObject({ code: 2, stderr: expect.stringContaining('--tolerance expected') });
  });
});

describe('keys that do not count', () => {
  const lengths = [13, 4];
  const flags = [1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 1];
  const tree = Uint8Array.from({ length: 9 * 13 }, (_, n) => (n % 3 || n % 13 === 0 ? 1 : 0));
  const added = noise(4 * 9 * 13, 7);
  const extra: Record<string, SafeTensor> = {
    lengths: { dtype: 'I64', shape: [2], data: new Uint8Array(BigInt64Array.from(lengths, BigInt).buffer) },
    attention_mask: { dtype: 'I64', shape: [2, 13], data: new Uint8Array(BigInt64Array.from(flags, BigInt).buffer) },
    padding: { dtype: 'BOOL', shape: [2, 13], data: Uint8Array.from(flags) },
    tree: { dtype: 'BOOL', shape: [9, 13], data: tree },
    added: f32([1, 4, 9, 13], added),
  };
  /** out of the formula, where `hidden` says what a pair has: batch row, head, query, key. */
  function expected(bias: (b: number, h: number, i: number, j: number) => number): Float64Array {
    const out = new Float64Array(2 * 4 * 9 * 8);
    for (let b = 0; b < 2; b++) {
      const of = (x: Float32Array, size: number): Float32Array => x.subarray((b * x.length) / size, ((b + 1) * x.length) / size);
      const one = naive(of(q, 2), of(k, 2), of(v, 2), { ...SIZES, B: 1 }, { bias: (h, _, j, i) => bias(b, h, i, j) });
      out.set(one.out, (b * out.length) / 2);
    }
    return out;
  }
  const CALLS: [string[], (b: number, h: number, i: number, j: number) => boolean | number][] = [
    [['--key-lengths', '13,4'], (b, _, __, j) => j < (lengths[b] as number)],
    [['--key-lengths', 'lengths'], (b, _, __, j) => j < (lengths[b] as number)],
    [['--key-padding', 'attention_mask'], (b, _, __, j) => flags[b * 13 + j] === 1],
    [['--key-padding', 'padding', '--mask', 'tree'], (b, _, i, j) => flags[b * 13 + j] === 1 && tree[i * 13 + j] === 1],
    [['--mask', 'tree,added'], (_, h, i, j) => (tree[i * 13 + j] ? (added[(h * 9 + i) * 13 + j] as number) : false)],
    [['--window', '2'], (_, __, i, j) => j >= i + 4 - 2],
    [['--window', '2,1'], (_, __, i, j) => j >= i + 4 - 2 && j <= i + 4 + 1],
    [['--causal-offset', '0'], (_, __, i, j) => j <= i],
  ];

  it.each(CALLS)('%j', async (argv, visible) => {
    const { path } = folder();
    const bias = (b: number, h: number, i: number, j: number): number => {
      const sees = visible(b, h, i, j);
      return typeof sees === 'number' ? sees : sees ? 0 : -Infinity;
    };
    const { tensors } = readSafetensors(fileOf({}));
    const all = { ...Object.fromEntries(tensors), ...extra, expected: f64(shapes.out, expected(bias)) };
    writeFileSync(path('in'), writeSafetensors(all));
    const ran = await relpos(['attend', path('in'), '--json', '--repeat', '1', ...argv]);
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout).difference.relative).toBeLessThan(TOLERANCE);
  });

  it('and from the metadata', async () => {
    const { path } = folder();
    const attention = { keyLengths: '@lengths', mask: ['@tree'], keyPadding: '@padding' };
    const sees = (b: number, i: number, j: number): boolean =>
      j < (lengths[b] as number) && tree[i * 13 + j] === 1 && flags[b * 13 + j] === 1;
    const wanted = f64(
      shapes.out,
      expected((b, _, i, j) => (sees(b, i, j) ? 0 : -Infinity)),
    );
    const all = { q: f32(shapes.q, q), k: f32(shapes.k, k), v: f32(shapes.v, v), ...extra, expected: wanted };
    writeFileSync(path('in'), writeSafetensors(all, { case: JSON.stringify({ attention }) }));
    expect(await relpos(['attend', path('in'), '--from-metadata', '--quiet'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each([
    [['--key-lengths', '13'], /^attention\w*: "keyLengths" expected/],
    [['--key-lengths', '13,x'], /^--key-lengths expected a whole number from 0, got "x"$/],
    [['--key-lengths', 'nope'], /^"@nope": the file has no tensor "nope"/],
    [['--key-padding', 'tree'], /^attention\w*: "mask\[0\]" expected shape/],
    [['--key-padding', 'added'], /^"@added": a key padding expected shape \[B, S\], got \[1, 4, 9, 13\]$/],
    [['--mask', 'lengths'], /^attention\w*: "mask\[0\]" expected shape/],
    [['--mask', 'expected'], /^"@expected": tensor "expected" expected I32, I64, I8, U8, BOOL, F32, F16, BF16, got F64$/],
    [['--window', '1,2,3'], /^--window expected <left> or <left>,<right>, got "1,2,3"$/],
    [['--window=-1'], /^--window expected a whole number from 0, got "-1"$/],
  ] as [string[], RegExp][])('%j', async (argv, message) => {
    const { path } = folder();
    const { tensors } = readSafetensors(fileOf({}));
    writeFileSync(path('in'), writeSafetensors({ ...Object.fromEntries(tensors), ...extra }));
    const ran = await relpos(['attend', path('in'), ...argv]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr.slice('relpos: '.length, -1)).toMatch(message);
  });
});

it.each([
  ['a trap', new RelposError('kernel-trap', 'a worker died'), 1, 'a worker died'],
  ['a defect', new TypeError('x is not a function'), 1, 'unexpected TypeError: x is not a function'],
  ['too little memory', new RelposError('out-of-memory', 'asked for 9 bytes of 8'), 2, 'asked for 9 bytes of 8'],
  ['a wrong argument', new RangeError('attention: "k" expected X, got Y'), 2, 'attention: "k" expected X, got Y'],
])('%s in the engine gives one line and exit code', async (_, error, code, message) => {
  const { path, names } = folder();
  writeFileSync(path('in'), fileOf({}));
  const failing = vi.spyOn(Engine.prototype, 'attentionPartial').mockRejectedValue(error);
  try {
    expect(await relpos(['attend', path('in'), '-o', path('out')])).toEqual({ code, stdout: '', stderr: `relpos: ${message}\n` });
    expect(names()).toEqual(['in']);
  } finally {
    failing.mockRestore();
  }
});

describe('the output file', () => {
  const small = (): Uint8Array => fileOf({});
  /** Work of seconds. */
  const large = (): Uint8Array => {
    const shape = [1, 8, 3072, 64];
    const data = f32(shape, noise(8 * 3072 * 64, 1));
    return writeSafetensors({ q: data, k: data, v: data });
  };

  it('replaces a file, also its own input and through a link', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    writeFileSync(path('target'), 'old');
    symlinkSync(path('target'), path('link'));
    expect((await relpos(['attend', path('in'), '-o', path('link'), '--quiet'])).code).toBe(0);
    expect(outputOf(path('target')).shapes).toEqual([shapes.out, shapes.lse]);
    expect((await relpos(['attend', path('in'), '-o', path('in'), '--quiet'])).code).toBe(0);
    expect(readFileSync(path('in'))).toEqual(readFileSync(path('link')));
    expect(names()).toEqual(['in', 'link', 'target']);
  });

  it('keeps the permissions of the file it replaces', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    for (const mode of [0o600, 0o640, 0o755]) {
      writeFileSync(path('out'), 'old');
      chmodSync(path('out'), mode);
      expect((await relpos(['attend', path('in'), '-o', path('out'), '--quiet'])).code).toBe(0);
      expect(statSync(path('out')).mode & 0o7777).toBe(mode);
    }
    expect(names()).toEqual(['in', 'out']);
  });

  it('may have a name as long as a name can be', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    const name = 'o'.repeat(255);
    expect((await relpos(['attend', path('in'), '-o', path(name), '--quiet'])).code).toBe(0);
    expect(names()).toEqual(['in', name]);
  });

  it('is refused where it may not be written, before any work', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    writeFileSync(path('closed'), 'old');
    chmodSync(path('closed'), 0o444);
    symlinkSync(path('gone'), path('dangling'));
    symlinkSync(path('circle'), path('circle'));
    const watched = vi.spyOn(Engine.prototype, 'attentionPartial');
    const write = async (name: string): Promise<string> => {
      const ran = await relpos(['attend', path('in'), '-o', path(name)]);
      expect(ran).toMatchObject({ code: 2, stdout: '' });
      return ran.stderr.replaceAll(`${path('')}/`, '$');
    };
    expect(await write('closed')).toBe('relpos: cannot write $closed: it is read-only\n');
    expect(await write('dangling')).toBe('relpos: cannot write $dangling: a link to a file that is not there\n');
    expect(await write('circle')).toBe('relpos: cannot write $circle: links that lead in a circle\n');
    expect(await write('o'.repeat(256))).toMatch(/: the name is too long\n$/);
    expect(watched).not.toHaveBeenCalled();
    watched.mockRestore();
    expect(readFileSync(path('closed'), 'utf8')).toBe('old');
    expect(names()).toEqual(['circle', 'closed', 'dangling', 'in']);
  });

  it('has the same bytes on any number of threads', async () => {
    const { path } = folder();
    writeFileSync(path('in'), small());
    for (const threads of ['1', '2', '3']) await relpos(['attend', path('in'), '-o', path(threads), '--threads', threads, '--quiet']);
    expect(readFileSync(path('2'))).toEqual(readFileSync(path('1')));
    expect(readFileSync(path('3'))).toEqual(readFileSync(path('1')));
  });

  it('is untouched when the work fails', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    writeFileSync(path('out'), 'old');
    const ran = await relpos(['attend', path('in'), '-o', path('out'), '--sinks', 'table']);
    expect(ran.code).toBe(2);
    expect(readFileSync(path('out'), 'utf8')).toBe('old');
    expect(names()).toEqual(['in', 'out']);
  });

  it('is not begun when interrupted, between runs or within one', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), large());
    const interrupt = new AbortController();
    const watched = vi.spyOn(Engine.prototype, 'attentionPartial');
    const running = relpos(['attend', path('in'), '-o', path('out'), '--threads', '1', '--repeat', '100'], { signal: interrupt.signal });
    setTimeout(() => interrupt.abort(), 250);
    expect(await running).toEqual({ code: 130, stdout: '', stderr: 'relpos: interrupted\n' });
    expect(names()).toEqual(['in']);
    // Within a run it is the engine that stops: it was given the signal.
    expect(watched.mock.calls[0]?.[3]?.signal).toBe(interrupt.signal);
    expect(watched.mock.calls.length).toBeLessThan(100);
    watched.mockRestore();
  });

  it('is not begun when interrupted before the start', async () => {
    const { path, names } = folder();
    writeFileSync(path('in'), small());
    expect((await relpos(['attend', path('in'), '-o', path('out')], { signal: AbortSignal.abort() })).code).toBe(130);
    expect(names()).toEqual(['in']);
  });

  it('is announced on a terminal while it is made, and only there', async () => {
    const { path } = folder();
    writeFileSync(path('in'), large());
    const drawn = await relpos(['attend', path('in'), '--repeat', '4'], { isTTY: true });
    expect(drawn.code).toBe(0);
    const pieces = drawn.stderr.split('\r\x1b[K');
    expect(pieces.length).toBeGreaterThan(2);
    expect([pieces[0], pieces.at(-1)]).toEqual(['', '']);
    for (const piece of pieces.slice(1, -1)) expect(piece).toMatch(/^attend \d+ %$/);
    expect(await relpos(['attend', path('in'), '--repeat', '4', '--quiet'], { isTTY: true })).toEqual({ code: 0, stdout: '', stderr: '' });
  }, 60_000);
});

describe('a wrong command line or input gives one line and exit code 2', () => {
  const line = async (argv: string[], bytes?: Uint8Array): Promise<string> => {
    const { path, names } = folder();
    writeFileSync(path('in'), bytes ?? fileOf({}));
    mkdirSync(path('folder'));
    const ran = await relpos(['attend', ...argv.map((arg) => arg.replace(/^\$/, `${path('')}/`))]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^relpos: [^\n]+\n$/);
    expect(names()).toEqual(['folder', 'in']);
    return ran.stderr.slice('relpos: '.length, -1).replaceAll(`${path('')}/`, '$');
  };

  it.each([
    [[], 'attend expected an input file; see relpos attend --help'],
    [['$in', 'other'], 'attend expected one input file, got "other" too'],
    [['$none'], 'cannot read $none: no such file'],
    [['$folder'], 'cannot read $folder: not a regular file'],
    [['$in/x'], 'cannot read $in/x: a part of the path is not a folder'],
    [['/dev/null'], 'cannot read /dev/null: not a regular file'],
    [['$in', '-o', '$none/out'], 'cannot write $none/out: no such folder'],
    [['$in', '-o', '$folder'], 'cannot write $folder: not a regular file'],
    [['$in', '-o', '/dev/null'], 'cannot write /dev/null: not a regular file'],
    [['$in', '-o', '$in/out'], 'cannot write $in/out: $in is not a folder'],
    [['$in', '-o'], '-o expected a value (<file>), got nothing'],
    [['$in', '-o', '--causal'], '-o expected a value (<file>), got "--causal"'],
    [['$in', '--q', ''], '--q expected a value (<name>), got ""'],
    [['$in', '--cuasal'], 'unknown option "--cuasal" (did you mean --causal?); see relpos attend --help'],
    [['$in', '-x'], 'unknown option "-x"; see relpos attend --help'],
    [['$in', '--__proto__'], 'unknown option "--__proto__"; see relpos attend --help'],
    [['$in', '--causal=yes'], '--causal takes no value, got "yes"'],
    [['$in', '--theta', 'x'], '--theta expected a number, got "x"'],
    [['$in', '--theta', 'Infinity'], '--theta expected a number, got "Infinity"'],
    [['$in', '--theta', '1e999'], '--theta expected a number, got "1e999"'],
    [['$in', '--theta', '0x10'], '--theta expected a number, got "0x10"'],
    [['$in', '--dim', '0'], '--dim expected a whole number from 1, got "0"'],
    [['$in', '--dim', '1.5'], '--dim expected a whole number from 1, got "1.5"'],
    [['$in', '--window-left', '-1'], '--window-left expected a whole number from 0, got "-1"'],
    [['$in', '--offset', '0.5'], '--offset expected a whole number, got "0.5"'],
    [['$in', '--repeat', '0'], '--repeat expected a whole number from 1, got "0"'],
    [['$in', '--layout', 'neox'], '--layout expected one of halves, pairs, got "neox"'],
    [['$in', '--tensor-layout', 'bhdl'], '--tensor-layout expected one of bhld, blhd, got "bhdl"'],
    [['$in', '--threads', '0'], '--threads expected auto or a whole number from 1 to 256, got "0"'],
    [['$in', '--threads', 'all'], '--threads expected auto or a whole number from 1 to 256, got "all"'],
    [['$in', '--max-memory', 'much'], '--max-memory expected bytes such as 512M or 2G, got "much"'],
    [
      ['$in', '--encoding', 'rope'],
      '--encoding expected one of none, rotary, alibi, t5, bias, got "rope"; the others are reached by --from-metadata',
    ],
    [
      ['$in', '--encoding', 'toString'],
      '--encoding expected one of none, rotary, alibi, t5, bias, got "toString"; the others are reached by --from-metadata',
    ],
    [['$in', '--encoding', 'alibi,alibi'], '--encoding names alibi twice'],
    [['$in', '--encoding', 'none,alibi'], '--encoding none cannot be joined with another'],
    [['$in', '--encoding', 'rotary'], '--encoding rotary needs --layout halves (LLaMA, NeoX) or --layout pairs (GPT-J): models differ'],
    [['$in', '--encoding', 't5'], '--encoding t5 needs --table <tensor name>, of shape [buckets, heads]'],
    [['$in', '--encoding', 'bias'], '--encoding bias needs --bias <tensor name>'],
    [['$in', '--theta', '5'], '--theta needs --encoding rotary'],
    [['$in', '--encoding', 'alibi', '--table', 'table'], '--table needs --encoding t5'],
    [['$in', '--from-metadata'], '--from-metadata: the file has no metadata key "case"'],
    [['$in', '--q', 'nope'], '--q: the file has no tensor "nope"; it has "expected", "dense", "k", "q", "sinks", "table", "v"'],
    [['$in', '--q', 'expected'], '--q: tensor "expected" expected F32, F16, BF16, got F64'],
    [['$in', '--q', 'sinks'], '--q: tensor "sinks" expected 4 dimensions, got [4]'],
    [
      ['$in', '--expected', 'nope'],
      '--expected: the file has no tensor "nope"; it has "expected", "dense", "k", "q", "sinks", "table", "v"',
    ],
    [['$in', '--expected', 'q'], '--expected: tensor "q" expected the shape of out, [2, 4, 9, 8], got [2, 4, 9, 16]'],
    [['$in', '--sinks', 'nope'], '"@nope": the file has no tensor "nope"; it has "expected", "dense", "k", "q", "sinks", "table", "v"'],
  ] as [string[], string][])('%j', async (argv, message) => {
    expect(await line(argv)).toBe(message);
  });

  const withCase = (text: string): Uint8Array => fileOf({}, { case: text });
  it.each([
    ['{', 'metadata "case" is not valid JSON'],
    ['[]', 'metadata "case" expected an object, got an array'],
    ['null', 'metadata "case" expected an object, got null'],
    ['{"encoding":"rotary"}', 'metadata "case": "encoding" expected {"name": text, "options": object}, got a string'],
    [
      '{"encoding":[{"options":{}}]}',
      'metadata "case": "encoding" expected {"name": text, "options": object}, got an object with "options"',
    ],
    [
      '{"encoding":{"name":"rotary","options":[]}}',
      'metadata "case": "encoding" expected {"name": text, "options": object}, got an object with "name, options"',
    ],
    ['{"attention":[]}', 'metadata "case": "attention" expected an object, got an array'],
    ['{"attention":{"signal":1}}', 'metadata "case": "attention" cannot have "signal"'],
    [
      '{"encoding":{"name":"rotary","options":{"theta":"@nope","layout":"halves"}}}',
      '"@nope": the file has no tensor "nope"; it has "expected", "dense", "k", "q", "sinks", "table", "v"',
    ],
    [
      '{"encoding":{"name":"rotary","options":{"theta":"@expected","layout":"halves"}}}',
      '"@expected": tensor "expected" expected F32, F16, BF16, I32, I64, I8, U8, BOOL, got F64',
    ],
  ])('metadata %s', async (text, message) => {
    expect(await line(['$in', '--from-metadata'], withCase(text))).toBe(message);
  });

  it('metadata that nests without end', async () => {
    const text = `{"attention":{"window":${'['.repeat(5000)}${']'.repeat(5000)}}}`;
    expect(await line(['$in', '--from-metadata'], withCase(text))).toBe('metadata "case" nests deeper than 8 levels');
  });

  it.each([
    ['an unknown encoding', '{"encoding":{"name":"constructor"}}', /^unknown encoding "constructor"; known are .*rotary/],
    ['an odd width', '{"encoding":{"name":"rotary","options":{"dim":3,"layout":"halves"}}}', /^rotary: "dim"/],
    ['a scale of text', '{"attention":{"scale":"big"}}', /^attention\w*: "scale"/],
    ['a window of text', '{"attention":{"window":"wide"}}', /^attention\w*: "/],
    ['an unknown option', '{"attention":{"mask":1,"causl":true}}', /^attention\w*: "options" has no "/],
    ['an option named __proto__', '{"attention":{"__proto__":{"causal":true}}}', /^attention\w*: "options" has no "__proto__"/],
    ['a causal of text', '{"attention":{"causal":"yes"}}', /^attention\w*: "causal"/],
  ])('%s in the metadata', async (_, text, pattern) => {
    expect(await line(['$in', '--from-metadata'], withCase(text))).toMatch(pattern);
  });

  it.each([
    [
      'a broken file',
      new TextEncoder().encode('not a file at all'),
      '$in: safetensors: header expected at most 100000000 bytes, got 7594793423135338350',
    ],
    ['an empty file', new Uint8Array(0), "$in: safetensors: expected at least 8 bytes (the header's length), got 0"],
  ])('%s', async (_, bytes, message) => {
    expect(await line(['$in'], bytes)).toBe(message);
  });

  it('shapes that do not fit', async () => {
    const bytes = writeSafetensors({ q: f32(shapes.q, q), k: f32([2, 2, 13, 8], v), v: f32(shapes.v, v) });
    expect(await line(['$in'], bytes)).toMatch(/^attention\w*: .*"k".*D=16.*\[2, 2, 13, 8\]/);
  });

  it('an output that no memory can hold', async () => {
    const bytes = writeSafetensors({
      q: f32([1, 1, 4_000_000, 1], new Float32Array(4_000_000)),
      k: f32([1, 1, 1, 1], noise(1, 1)),
      v: f32([1, 1, 1, 512], noise(512, 1)),
    });
    expect(await line(['$in'], bytes)).toMatch(/memory|4 GiB/);
    expect(await line(['$in', '--max-memory', '1M'], bytes)).toMatch(/memory/);
    expect(await line(['$in', '--max-memory', '1'])).toMatch(/^createEngine: "maxMemory" expected /);
  });
});
