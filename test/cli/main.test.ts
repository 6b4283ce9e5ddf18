import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { RelposError } from '../../src/arguments/errors.ts';
import { nearest, parseBytes, parseCommand } from '../../src/cli/args.ts';
import { attend } from '../../src/cli/attend.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { encodings } from '../../src/cli/encodings.ts';
import { progressLine } from '../../src/cli/io.ts';
import { run } from '../../src/cli/main.ts';
import { compare, digits, median, showBytes, showTime } from '../../src/cli/report.ts';
import { oneLine } from '../../src/cli/text.ts';
import { registry } from '../../src/encodings/registry.ts';
import { Engine } from '../../src/engine.ts';
import { relpos } from './process.ts';

const version = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
const COMMANDS = [attend, doctor, encodings];

describe('help', () => {
  it.each([[['--help']], [['-h']], [['help']]])('%j lists the commands', async (argv) => {
    const { code, stdout, stderr } = await relpos(argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const { name, summary } of COMMANDS) expect(stdout).toContain(`  ${name.padEnd(11)}${summary}\n`);
  });

  it('without a command goes to stderr with exit code 2', async () => {
    const { stdout } = await relpos(['--help']);
    expect(await relpos([])).toEqual({ code: 2, stdout: '', stderr: stdout });
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s names every option once and fits 130 columns',
    async (name, command) => {
      const { code, stdout, stderr } = await relpos([name, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(await relpos(['help', name])).toEqual({ code, stdout, stderr });
      expect(await relpos([name, '--nonsense', '-h'])).toEqual({ code, stdout, stderr });
      for (const option of [...Object.keys(command.options), 'help']) {
        expect(stdout.match(new RegExp(`^  (-., |    )--${option}( |$)`, 'gm')), option).toHaveLength(1);
      }
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(130);
    },
  );

  it.each(COMMANDS)('the examples of $name are command lines that parse', ({ name, examples, options }) => {
    const lines = examples.split('\n').filter((line) => line.startsWith(`  relpos ${name}`));
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) parseCommand(name, line.trim().split(/\s+/).slice(2), options);
  });
});

it.each([['--version'], ['-V']])('%s is the package’s', async (flag) => {
  expect(await relpos([flag])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

describe('what is not a command', () => {
  it.each([
    [['atend'], 'unknown command "atend" (did you mean attend?); see relpos --help'],
    [['help', 'doctr'], 'unknown command "doctr" (did you mean doctor?); see relpos --help'],
    [['convolve'], 'unknown command "convolve"; see relpos --help'],
    [['__proto__'], 'unknown command "__proto__"; see relpos --help'],
    [['--verbose'], 'unknown option "--verbose"; see relpos --help'],
    [['--verson'], 'unknown option "--verson" (did you mean --version?); see relpos --help'],
    [['\x1b[2J\n'], 'unknown command "\\u001b[2J\\n"; see relpos --help'],
    [['doctor', 'me'], 'doctor expected no arguments; see relpos doctor --help'],
    [['doctor', '--jsno'], 'unknown option "--jsno" (did you mean --json?); see relpos doctor --help'],
    [['encodings', 'rotray'], 'unknown encoding "rotray" (did you mean rotary?); see relpos encodings'],
    [['encodings', 'hasOwnProperty'], 'unknown encoding "hasOwnProperty"; see relpos encodings'],
  ])('%j', async (argv, message) => {
    expect(await relpos(argv)).toEqual({ code: 2, stdout: '', stderr: `relpos: ${message}\n` });
  });
});

it('an unexpected failure gives one line and exit code 1', async () => {
  const stderr: string[] = [];
  const stdout = (): never => {
    throw new Error('the disk\nis on fire');
  };
  expect(
    await run(['--version'], { stdout, stderr: (text) => stderr.push(text), isTTY: false, signal: new AbortController().signal }),
  ).toBe(1);
  expect(stderr).toEqual(['relpos: unexpected Error: the disk is on fire\n']);
});

it('what Deno denies is told with the flag that is wanted', async () => {
  const denied = new Error('Requires sys access to "systemMemoryInfo", run again with the --allow-sys flag');
  denied.name = 'NotCapable';
  const failing = vi.spyOn(Engine.prototype, 'memoryUsage').mockImplementation(() => {
    throw denied;
  });
  try {
    expect(await relpos(['doctor', '--threads', '1'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'relpos: Requires sys access to "systemMemoryInfo": Deno wants --allow-sys for that (deno run -A gives all that relpos asks for)\n',
    });
  } finally {
    failing.mockRestore();
  }
}, 20_000);

describe('doctor', () => {
  it('as JSON', async () => {
    const { code, stdout, stderr } = await relpos(['doctor', '--json', '--threads', '1']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      relpos: version,
      host: { platform: process.platform, arch: process.arch, cores: expect.any(Number), memory: expect.any(Number) },
      capabilities: { simd: true, relaxedSimd: false, threads: 1, requestedThreads: 1, runtime: 'node', version: process.versions.node },
      hostRelaxedSimd: expect.any(Boolean),
      kernels: { baseline: expect.any(Number), relaxed: expect.any(Number), int16: expect.any(Number) },
      selfTest: { passed: true, hash: 'af95cecb' },
      int16SelfTest: { passed: true, hash: 'c3379449' },
      speed: { gflops: expect.any(Number), dispatch: expect.any(Number), dispatchSync: expect.any(Number) },
    });
    expect(report.memoryLimit).toBeGreaterThanOrEqual(2 ** 28);
    const bytes = (target: string): number => readFileSync(new URL(`../../build/${target}.wasm`, import.meta.url)).length;
    expect(report.kernels).toEqual({ baseline: bytes('baseline'), relaxed: bytes('relaxed'), int16: bytes('int16') });
    for (const value of Object.values(report.speed)) expect(value).toBeGreaterThan(0);
  }, 20_000);

  it('as text', async () => {
    const { code, stdout } = await relpos(['doctor']);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual([
      'relpos',
      'runtime',
      'cores',
      'SIMD',
      'relaxed',
      'threads',
      'memory',
      'kernels',
      'self-test',
      'int16',
      'speed',
      'dispatch',
    ]); // prettier-ignore
    expect(lines[8]).toMatch(/^self-test +passed, hash af95cecb$/);
    expect(lines[9]).toMatch(/^int16 +self-test passed, hash c3379449$/);
  }, 20_000);

  it('says which self-test failed, measures nothing and gives exit code 1', async () => {
    const failing = vi.spyOn(Engine.prototype, 'selfTest').mockRejectedValue(new RelposError('kernel-trap', 'self-test: off by 1'));
    try {
      const { code, stdout } = await relpos(['doctor']);
      expect(code).toBe(1);
      expect(stdout).toMatch(/^self-test +FAILED: self-test: off by 1$/m);
      expect(stdout).not.toContain('GFLOP/s');
      const json = await relpos(['doctor', '--json']);
      expect(json.code).toBe(1);
      expect(JSON.parse(json.stdout)).toMatchObject({
        selfTest: { passed: false, error: 'self-test: off by 1' },
        int16SelfTest: { passed: false, error: 'self-test: off by 1' },
      });
    } finally {
      failing.mockRestore();
    }
  });

  it('gives exit code 1 where int16 alone fails, and measures all the same', async () => {
    const own = Engine.prototype.selfTest;
    const failing = vi.spyOn(Engine.prototype, 'selfTest').mockImplementationOnce(function (this: Engine) {
      return own.call(this);
    });
    failing.mockRejectedValueOnce(new RelposError('kernel-trap', 'self-test: off by 1'));
    try {
      const { code, stdout } = await relpos(['doctor', '--threads', '1']);
      expect(code).toBe(1);
      expect(stdout).toMatch(/^self-test +passed, hash af95cecb$/m);
      expect(stdout).toMatch(/^int16 +self-test FAILED: self-test: off by 1$/m);
      expect(stdout).toContain('GFLOP/s');
    } finally {
      failing.mockRestore();
    }
  }, 20_000);

  it('stops when interrupted', async () => {
    expect(await relpos(['doctor'], { signal: AbortSignal.abort() })).toEqual({ code: 130, stdout: '', stderr: 'relpos: interrupted\n' });
  });
});

describe('encodings', () => {
  it('as JSON is the registry without its functions', async () => {
    const { code, stdout } = await relpos(['encodings', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(registry.map(({ name, formula, options, models }) => ({ name, formula, options, models })));
  });

  it('as text names each with what it is', async () => {
    const { stdout } = await relpos(['encodings']);
    expect(registry.length).toBeGreaterThan(3);
    const unwrapped = stdout.replace(/\s+/g, ' ');
    for (const { name, formula, options, models } of registry) {
      expect(unwrapped).toContain(`${name} formula ${formula} options ${options} models ${models}`.replace(/\s+/g, ' '));
    }
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(130);
  });

  it('shows those named', async () => {
    const { stdout } = await relpos(['encodings', 'alibi', 'rotary', '--json']);
    expect(JSON.parse(stdout).map(({ name }: { name: string }) => name)).toEqual(['alibi', 'rotary']);
  });
});

describe('small parts', () => {
  it('nearest finds slips of the finger, not other words', () => {
    expect(nearest('--cuasal', ['--causal', '--scale'])).toBe('--causal');
    expect(nearest('--sclae', ['--causal', '--scale'])).toBe('--scale');
    expect(nearest('convolve', ['attend', 'doctor'])).toBe(undefined);
    expect(nearest('x'.repeat(100000), ['attend'])).toBe(undefined);
  });

  it.each([
    ['1', 1],
    ['512M', 512 * 2 ** 20],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['4g', 2 ** 32],
    ['10KB', 10240],
    ['512 Mi', 512 * 2 ** 20],
    ['20b', 20],
    // No more than was said.
    ['1.0001K', 1024],
  ])('parseBytes %s', (text, bytes) => {
    expect(parseBytes('--max-memory', text)).toBe(bytes);
  });

  it.each(['', '0', '-1', '1e9', 'G', '1X', '9999999999T', '0.1', '1.5', '1.5B', '2.0', '1iB', '0.0001K', '.5M', '5.M', '0x10'])(
    'parseBytes refuses "%s"',
    (text) => {
      expect(() => parseBytes('--max-memory', text)).toThrow(`--max-memory expected bytes such as 512M or 2G, got "${text}"`);
    },
  );

  it('oneLine leaves nothing that moves a cursor', () => {
    expect(oneLine('a\n  b\r\n\tc\x1b[31m\u2028d\u202e')).toBe('a b c\\u001b[31m d\\u202e');
  });

  it('median of odd and even counts', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([10, 1, 2, 4])).toBe(3);
  });

  it('units', () => {
    expect([0.0123, 0.9999, 12.345, 9999, 12345].map(showTime)).toEqual(['12.3 us', '1000 us', '12.3 ms', '9999 ms', '12.3 s']);
    expect([3, 1024, 20000, 2 ** 32].map(showBytes)).toEqual(['3 bytes', '1 KiB', '19.5 KiB', '4 GiB']);
    expect([0, 1234.5, 1.23e-7, 123456, Number.NaN].map(digits)).toEqual(['0', '1235', '1.23e-7', '123456', 'NaN']);
  });

  it('compare', () => {
    expect(compare([1, 2, 3], [1, 2.5, -4])).toEqual({ largest: 7, relative: 7 / 4, index: 2 });
    expect(compare([1, Number.NaN, Infinity], [1, Number.NaN, Infinity])).toEqual({ largest: 0, relative: 0, index: 0 });
    expect(compare([9, Number.NaN, 99], [1, 2, 3])).toEqual({ largest: Number.NaN, relative: Number.NaN, index: 1 });
    expect(compare([1], [Infinity]).largest).toBe(Infinity);
    expect(compare([1], [0])).toEqual({ largest: 1, relative: Infinity, index: 0 });
  });

  it('the progress line waits, draws each percent once and clears itself', () => {
    let now = 0;
    const drawn: string[] = [];
    const io = { stdout: () => {}, stderr: (text: string) => drawn.push(text), isTTY: true, signal: new AbortController().signal };
    const progress = progressLine(io, 'work', 300, () => now);
    progress.update(1, 10);
    progress.clear();
    expect(drawn).toEqual([]);
    now = 400;
    progress.update(50, 1000);
    progress.update(59, 1000);
    progress.update(60, 1000);
    progress.clear();
    progress.clear();
    expect(drawn).toEqual(['\r\x1b[Kwork 5 %', '\r\x1b[Kwork 6 %', '\r\x1b[K']);
  });
});
