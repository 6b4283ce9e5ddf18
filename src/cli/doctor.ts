import os from 'node:os';
import process from 'node:process';
import type { Engine } from '../engine.ts';
import { createEngine } from '../entries/inlined.ts';
import type { Tensor } from '../memory/tensor.ts';
import { baseline } from '../wasm/generated/baseline.ts';
import { int16 } from '../wasm/generated/int16.ts';
import { relaxed } from '../wasm/generated/relaxed.ts';
import { fuses } from '../wasm/probes.ts';
import { unpack } from '../wasm/unpack.ts';
import { type ParsedArgs, parseThreads } from './args.ts';
import type { Command } from './command.ts';
import { type CliIo, EXIT, InputError, progressLine, SILENT } from './io.ts';
import { digits, median, rows, showBytes, showTime } from './report.ts';
import { oneLine } from './text.ts';
import { timed } from './timing.ts';
import { version } from './version.ts';

/** `relpos doctor`: what this host gives, and why not more. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'what this host gives (SIMD, threads, memory, speed) and why not more',
  usage: '[--threads <n>|auto] [--json]',
  about: `Starts an engine, runs its self-test and that of precision "int16", and measures it for about a second. Send this output with a
bug report. Exit code 1 if the host cannot run the kernels or a self-test fails.`,
  examples: `  relpos doctor
  relpos doctor --threads 1 --json
  npx relpos doctor            node
  deno run -A npm:relpos doctor         (without -A it leaves out the memory of the machine)
  bunx --bun relpos doctor`,
  options: {
    threads: { kind: 'text', value: '<n>|auto', help: 'threads to ask for (auto)' },
    json: { kind: 'flag', help: 'print one JSON object' },
  },
  run: runDoctor,
};

/** What the doctor finds out. */
interface Findings {
  readonly relpos: string;
  /** The machine's memory is null where the host does not tell it. */
  readonly host: { readonly platform: string; readonly arch: string; readonly cores: number; readonly memory: number | null };
  readonly capabilities: Engine['capabilities'];
  /** Whether precision "relaxed" would find relaxed SIMD; the engine examined here is reproducible. */
  readonly hostRelaxedSimd: boolean;
  /** Bytes: the most the kernels' memory can grow to here. */
  readonly memoryLimit: number;
  /** Bytes of each kernel binary. */
  readonly kernels: Readonly<Record<string, number>>;
  readonly selfTest: Tested;
  /** Of an engine of precision "int16", whose kernels and bits are its own. */
  readonly int16SelfTest: Tested;
  /** Measured rate, or nothing after a failed self-test. */
  readonly speed?: Speed;
}

/** What a self-test came to. */
interface Tested {
  readonly passed: boolean;
  readonly hash?: string;
  readonly error?: string;
}

interface Speed {
  /** Thousand million operations per second. */
  readonly gflops: number;
  /** Microseconds of the smallest asynchronous call. */
  readonly dispatch: number;
  /** The same call, synchronous. */
  readonly dispatchSync: number;
}

async function runDoctor(args: ParsedArgs, io: CliIo): Promise<number> {
  if (args.positionals.length > 0) throw new InputError('doctor expected no arguments; see relpos doctor --help');
  const threads = parseThreads(args.texts.get('threads'));
  const progress = progressLine(io, 'doctor', 0);
  const engine = await createEngine({ threads, logger: SILENT });
  try {
    const found = await examine(engine, io.signal, (done, total) => progress.update(done, total));
    progress.clear();
    io.stdout(args.flags.has('json') ? `${JSON.stringify(found)}\n` : textReport(found));
    return found.selfTest.passed && found.int16SelfTest.passed ? EXIT.ok : EXIT.failure;
  } finally {
    progress.clear();
    engine.dispose();
  }
}

async function examine(engine: Engine, signal: AbortSignal, step: (done: number, total: number) => void): Promise<Findings> {
  step(0, 3);
  const selfTest = await runSelfTest(engine);
  const int16SelfTest = await selfTestOfInt16(engine.capabilities.threads);
  signal.throwIfAborted();
  step(1, 3);
  const speed = selfTest.passed ? await measure(engine, signal) : undefined;
  step(3, 3);
  return {
    relpos: version(),
    host: { platform: process.platform, arch: process.arch, cores: os.availableParallelism(), memory: totalMemory() },
    capabilities: engine.capabilities,
    hostRelaxedSimd: fuses(),
    memoryLimit: engine.memoryUsage().limit,
    kernels: { baseline: unpack(baseline).length, relaxed: unpack(relaxed).length, int16: unpack(int16).length },
    selfTest,
    int16SelfTest,
    ...(speed === undefined ? {} : { speed }),
  };
}

/** Bytes; null where the host does not tell: Deno does so with --allow-sys alone. */
function totalMemory(): number | null {
  try {
    return os.totalmem();
  } catch {
    return null;
  }
}

async function selfTestOfInt16(threads: number): Promise<Tested> {
  try {
    const engine = await createEngine({ threads, precision: 'int16', logger: SILENT });
    try {
      return await runSelfTest(engine);
    } finally {
      engine.dispose();
    }
  } catch (error) {
    return failed(error);
  }
}

const failed = (error: unknown): Tested => ({ passed: false, error: error instanceof Error ? error.message : String(error) });

async function runSelfTest(engine: Engine): Promise<Tested> {
  try {
    const { passed, hash } = await engine.selfTest();
    return { passed, hash };
  } catch (error) {
    return failed(error);
  }
}

/** Heads, rows, keys and width of the measured work: 4·512·512·8·64 = 537 million operations. */
const LARGE = { heads: 8, length: 512, width: 64 };

/** Measures the rate on a square problem and the cost of a call that has almost no work; about a second in all. */
async function measure(engine: Engine, signal: AbortSignal): Promise<Speed> {
  const { heads, length, width } = LARGE;
  const large = inputs(engine, [1, heads, length, width], [1, heads, length, width]);
  const largeTimes = await timed(500, signal, async () => (await engine.attention(...large)).dispose());
  const small = inputs(engine, [1, 1, 1, width], [1, 1, 16, width]);
  const smallTimes = await timed(200, signal, async () => (await engine.attention(...small)).dispose());
  const syncTimes = await timed(200, signal, () => engine.attentionSync(...small).dispose());
  for (const tensor of [...large, ...small]) tensor.dispose();
  return {
    gflops: (4 * length * length * heads * width) / median(largeTimes) / 1e6,
    dispatch: median(smallTimes) * 1000,
    dispatchSync: median(syncTimes) * 1000,
  };
}

/** A query, a key and a value tensor of small pseudo-random numbers. */
function inputs(engine: Engine, query: readonly number[], key: readonly number[]): [Tensor, Tensor, Tensor] {
  let state = 1;
  const tensor = (shape: readonly number[]): Tensor => {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < values.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      values[i] = state / 2 ** 31 - 1;
    }
    return engine.tensor(shape, values);
  };
  return [tensor(query), tensor(key), tensor(key)];
}

const testText = ({ passed, hash, error }: Tested): string => (passed ? `passed, hash ${hash}` : `FAILED: ${error ?? `hash ${hash}`}`);

function textReport({
  relpos,
  host,
  capabilities,
  hostRelaxedSimd,
  memoryLimit,
  kernels,
  selfTest,
  int16SelfTest,
  speed,
}: Findings): string {
  const { runtime, version: runtimeVersion, simd, threads, requestedThreads, reason } = capabilities;
  const lines: [string, string][] = [
    ['relpos', relpos],
    ['runtime', `${runtime} ${runtimeVersion}, ${host.platform} ${host.arch}`],
    ['cores', `${host.cores}${host.memory === null ? '' : `, ${showBytes(host.memory)} of memory`}`],
    ['SIMD', simd ? 'yes' : 'no'],
    ['relaxed', hostRelaxedSimd ? 'yes: precision "relaxed" uses it' : 'no: precision "relaxed" runs the reproducible kernels'],
    ['threads', `${threads} (asked: ${requestedThreads}${reason === undefined ? '' : `; ${reason}`})`],
    ['memory', `up to ${showBytes(memoryLimit)}`],
    [
      'kernels',
      Object.entries(kernels)
        .map(([name, size]) => `${name} ${showBytes(size)}`)
        .join(', '),
    ],
    ['self-test', testText(selfTest)],
    ['int16', `self-test ${testText(int16SelfTest)}`],
  ];
  if (speed !== undefined) {
    const { heads, length, width } = LARGE;
    lines.push(['speed', `${digits(speed.gflops)} GFLOP/s (${length} x ${length}, ${heads} heads of ${width})`]);
    lines.push([
      'dispatch',
      `${showTime(speed.dispatch / 1000)} a call, ${showTime(speed.dispatchSync / 1000)} synchronous (1 query, 16 keys)`,
    ]);
  }
  return rows(lines.map(([label, text]) => [label, oneLine(text)]));
}
