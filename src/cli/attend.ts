import { createEngine } from '../create.ts';
import { registry } from '../encodings/registry.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Encoding } from '../plan/plan.ts';
import { readSafetensors, type SafeTensor, SafetensorsError, type SafetensorsFile, writeSafetensors } from '../safetensors/index.ts';
import { type OptionSpecs, type ParsedArgs, parseBytes, parseThreads } from './args.ts';
import { applyFlags, type Case, complete, type EncodingRequest, parseCase, resolveTensors, showEncoding } from './case.ts';
import type { Command } from './command.ts';
import { outputTarget, readWhole, writeWhole } from './files.ts';
import { type CliIo, EXIT, InputError, progressLine, SILENT, shownPath } from './io.ts';
import { compare, type Difference, digits, jsonNumber, median, rows, showTime } from './report.ts';
import { download, FLOAT_TYPES, floats, maskTensor, named, table, upload } from './tensors.ts';
import { oneLine, quote } from './text.ts';
import { timed } from './timing.ts';
import { version } from './version.ts';

const options: OptionSpecs = {
  output: { kind: 'text', short: 'o', value: '<file>', help: 'write "out" and "lse" to this safetensors file' },
  q: { kind: 'text', value: '<name>', help: 'name of the query tensor (q)' },
  k: { kind: 'text', value: '<name>', help: 'name of the key tensor (k)' },
  v: { kind: 'text', value: '<name>', help: 'name of the value tensor (v)' },
  expected: { kind: 'text', value: '<name>', help: 'compare with this tensor ("expected", if the file has it)' },
  tolerance: { kind: 'number', value: '<n>', help: 'how far "out" may be from it, of its largest value (1e-5; see above)' },
  'tensor-layout': { kind: 'choice', choices: ['bhld', 'blhd'], help: 'order of the dimensions (bhld)' },
  'from-metadata': { kind: 'flag', help: 'take encoding and options from the metadata key "case"' },
  encoding: { kind: 'list', value: '<names>', help: 'none, rotary, alibi, t5, bias; several with commas or repeated' },
  theta: { kind: 'number', help: 'rotary: base of the frequencies (10000)' },
  dim: { kind: 'count', help: 'rotary: how many channels rotate (all)' },
  layout: { kind: 'choice', choices: ['halves', 'pairs'], help: 'rotary: which channels form a pair; no default' },
  offset: { kind: 'integer', help: 'rotary: position of the first key (0)' },
  buckets: { kind: 'count', help: 't5: number of buckets (32)' },
  'max-distance': { kind: 'count', help: 't5: distance of the last bucket (128)' },
  bidirectional: { kind: 'flag', help: 't5: buckets for both directions (encoders)' },
  'no-bidirectional': { kind: 'flag', help: 't5: one direction, over the metadata' },
  table: { kind: 'text', value: '<name>', help: 't5: name of the table, [buckets, heads]' },
  bias: { kind: 'text', value: '<name>', help: 'bias: name of the tensor, [B|1, H|1, L|1, S]' },
  causal: { kind: 'flag', help: 'key j is visible to query i when j <= i + (S - L)' },
  'no-causal': { kind: 'flag', help: 'every key is visible, over the metadata' },
  'causal-offset': { kind: 'integer', help: 'key j is visible to query i when j <= i + n, whatever S and L are' },
  window: { kind: 'list', value: '<left>[,<right>]', help: 'both of the next; without <right> it is open' },
  'window-left': { kind: 'natural', help: 'keys visible before the query position' },
  'window-right': { kind: 'natural', help: 'keys visible after it' },
  'key-lengths': { kind: 'list', value: '<n,...>|<name>', help: 'keys that count in each batch row: numbers, or a tensor [B]' },
  'key-padding': { kind: 'text', value: '<name>', help: 'name of a mask of keys, [B, S]: not 0 is visible; floats are added' },
  mask: { kind: 'list', value: '<names>', help: 'names of masks, [B|1, H|1, L|1, S|1] or the last of these; all bind' },
  scale: { kind: 'number', help: 'factor of the scores (1 / sqrt(D))' },
  softcap: { kind: 'number', help: 'cap * tanh(score / cap)' },
  sinks: { kind: 'text', value: '<name>', help: 'name of the sink logits, [H]' },
  threads: { kind: 'text', value: '<n>|auto', help: 'threads to use (auto)' },
  precision: { kind: 'choice', choices: ['reproducible', 'relaxed'], help: 'same bits everywhere, or faster (reproducible)' },
  'max-memory': { kind: 'text', value: '<bytes>', help: 'the most memory for the kernels, such as 512M or 2G' },
  repeat: { kind: 'count', help: 'time n runs after the first (a tenth of a second of them)' },
  json: { kind: 'flag', help: 'print the report as one JSON object' },
  quiet: { kind: 'flag', help: 'print no report and no progress' },
};

/** `relpos attend`: attention on tensors from a file. */
export const attend: Command = {
  name: 'attend',
  summary: 'compute attention on tensors from a safetensors file',
  usage: '<in.safetensors> [-o <out.safetensors>] [options]',
  about: `Reads q [B, H, L, D], k [B, G, S, D] and v [B, G, S, E] (f32, f16 or bf16; G divides H), computes attention and writes
"out" [B, H, L, E] and "lse" [B, H, L], the natural logarithm of each row's softmax denominator, both f32.
Prints the shapes, the threads, the time and the rate: 2 B H L S (D + E) operations, that is 4 L S H D, whatever the mask.
The time is the median of runs after the first, which also compiles; work of more than a tenth of a second runs once, unless
--repeat says otherwise, and the report calls that run cold.
If the file holds a tensor "expected", prints how far "out" is from it, and exits with 1 if that is more than the tolerance:
1e-5 of its largest value (2^-9 if it is f16, 2^-6 if bf16), or twice the "naive_error" in the metadata if that is more.`,
  examples: `  relpos attend in.safetensors -o out.safetensors --encoding rotary --layout halves --causal
  relpos attend in.safetensors --encoding t5 --table bias_table --bidirectional --scale 1
  relpos attend in.safetensors --encoding alibi --causal --window-left 4095 --threads 1 --repeat 20
  relpos attend in.safetensors --key-padding attention_mask --window 511,0 --expected torch_out --tolerance 1e-4
  relpos attend in.safetensors --key-lengths 9,16 --mask tree_mask
  relpos attend case.safetensors --from-metadata --json

  A "case" in the metadata names other encodings too (see relpos encodings); "@name" is a tensor of the file:
  {"encoding": {"name": "t5", "options": {"table": "@bias_table", "bidirectional": true}}, "attention": {"scale": 1}}`,
  options,
  run: runAttend,
};

/** What the command line and the file ask for, checked. */
interface Task {
  readonly path: string;
  readonly file: SafetensorsFile;
  readonly inputs: Readonly<Record<'q' | 'k' | 'v', SafeTensor>>;
  readonly expected: Expected | undefined;
  readonly job: Case;
  readonly sizes: { readonly batch: number; readonly heads: number; readonly rows: number; readonly keys: number; readonly width: number };
  /** Floating-point operations of one run: 2·B·H·L·S·(D + E). */
  readonly operations: number;
  /** Timed runs after the first; undefined: as many as a tenth of a second holds, and 0: none. */
  readonly repeat: number | undefined;
  readonly threads: number | 'auto';
  readonly precision: 'reproducible' | 'relaxed';
  readonly maxMemory: number | undefined;
}

/** What the output is compared with. */
interface Expected {
  readonly name: string;
  readonly tensor: SafeTensor;
  /** Of the largest value; undefined: of the type and the file. */
  readonly tolerance: number | undefined;
}

/** A difference, and what it may be. */
interface Judged extends Difference {
  /** Of the largest value, as `relative` is. */
  readonly tolerance: number;
  readonly within: boolean;
}

/** What came out. */
interface Outcome {
  readonly out: SafeTensor;
  readonly lse: SafeTensor;
  /** Milliseconds of the first run, which found nothing compiled. */
  readonly first: number;
  /** Milliseconds of the runs after it. */
  readonly times: readonly number[];
  readonly difference: Judged | undefined;
  readonly capabilities: Engine['capabilities'];
}

async function runAttend(args: ParsedArgs, io: CliIo): Promise<number> {
  const [path, ...surplus] = args.positionals;
  if (path === undefined) throw new InputError('attend expected an input file; see relpos attend --help');
  if (surplus.length > 0) throw new InputError(`attend expected one input file, got ${quote(surplus[0] as string)} too`);
  const output = args.texts.get('output');
  const target = output === undefined ? undefined : await outputTarget(output);
  const task = prepare(path, await readWhole(path, io.signal), args);
  const quiet = args.flags.has('quiet');
  const outcome = await compute(
    quiet && !args.flags.has('json') ? { ...task, repeat: task.repeat ?? 0 } : task,
    quiet ? { ...io, isTTY: false } : io,
  );
  if (target !== undefined) {
    const bytes = writeSafetensors({ out: outcome.out, lse: outcome.lse }, { relpos: version(), precision: task.precision });
    await writeWhole(target, bytes, io.signal);
  }
  if (args.flags.has('json')) io.stdout(`${JSON.stringify(jsonReport(task, outcome, output))}\n`);
  else if (!quiet) io.stdout(textReport(task, outcome, output));
  return verdict(task, outcome, io);
}

/** The exit code; a difference beyond the tolerance is told on stderr. */
function verdict({ expected }: Task, { difference }: Outcome, io: CliIo): number {
  if (difference === undefined || difference.within) return EXIT.ok;
  const { relative, tolerance } = difference;
  const name = quote(expected?.name as string);
  io.stderr(`relpos: out is ${digits(relative)} of the largest value away from ${name}, more than the tolerance of ${digits(tolerance)}\n`);
  return EXIT.failure;
}

/** Checks everything that can be checked before the engine exists. */
function prepare(path: string, bytes: Uint8Array, args: ParsedArgs): Task {
  const file = parseFile(path, bytes);
  const base = args.flags.has('from-metadata') ? parseCase(file.metadata.case) : { encodings: [], attention: {} };
  const asked = applyFlags(base, args);
  const [q, k, v] = (['q', 'k', 'v'] as const).map((role) => {
    const name = args.texts.get(role) ?? role;
    const tensor = named(file.tensors, name, `--${role}`, FLOAT_TYPES);
    if (tensor.shape.length !== 4)
      throw new InputError(`--${role}: tensor ${quote(name)} expected 4 dimensions, got [${tensor.shape.join(', ')}]`);
    return tensor;
  }) as [SafeTensor, SafeTensor, SafeTensor];
  const [head, row] = asked.attention.layout === 'blhd' ? [2, 1] : [1, 2];
  const size = (tensor: SafeTensor, axis: number): number => tensor.shape[axis] as number;
  const sizes = { batch: size(q, 0), heads: size(q, head), rows: size(q, row), keys: size(k, row), width: size(q, 3) };
  return {
    path,
    file,
    inputs: { q, k, v },
    expected: expectedTensor(file, args),
    job: { encodings: asked.encodings.map((request) => complete(request, sizes)), attention: asked.attention },
    sizes,
    operations: 2 * sizes.batch * sizes.heads * sizes.rows * sizes.keys * (sizes.width + size(v, 3)),
    repeat: args.numbers.get('repeat'),
    threads: parseThreads(args.texts.get('threads')),
    precision: args.texts.get('precision') === 'relaxed' ? 'relaxed' : 'reproducible',
    maxMemory: args.texts.has('max-memory') ? parseBytes('--max-memory', args.texts.get('max-memory') as string) : undefined,
  };
}

function parseFile(path: string, bytes: Uint8Array): SafetensorsFile {
  try {
    return readSafetensors(bytes);
  } catch (cause) {
    if (cause instanceof SafetensorsError) throw new InputError(`${shownPath(path)}: ${cause.message}`, { cause });
    throw cause;
  }
}

function expectedTensor(file: SafetensorsFile, args: ParsedArgs): Expected | undefined {
  const tolerance = args.numbers.get('tolerance');
  if (tolerance !== undefined && tolerance < 0) throw new InputError(`--tolerance expected a number from 0, got "${tolerance}"`);
  const name = args.texts.get('expected');
  if (name === undefined && !file.tensors.has('expected')) {
    if (tolerance !== undefined) throw new InputError('--tolerance needs --expected <tensor name>, as the file has no tensor "expected"');
    return undefined;
  }
  const found = name ?? 'expected';
  return { name: found, tensor: named(file.tensors, found, '--expected', [...FLOAT_TYPES, 'F64']), tolerance };
}

/** Runs the task on an engine of its own. */
async function compute(task: Task, io: CliIo): Promise<Outcome> {
  const { threads, precision, maxMemory } = task;
  const engine = await createEngine({ threads, precision, logger: SILENT, ...(maxMemory === undefined ? {} : { maxMemory }) });
  try {
    const [q, k, v] = [task.inputs.q, task.inputs.k, task.inputs.v].map((tensor) => upload(engine, tensor)) as [Tensor, Tensor, Tensor];
    const tables = new Map<string, Tensor | Int32Array>();
    const lookup = (name: string): Tensor | Int32Array => {
      const found = tables.get(name) ?? table(engine, task.file.tensors, name);
      tables.set(name, found);
      return found;
    };
    const encoding = task.job.encodings.map((request) => makeEncoding(request, lookup));
    const attention = attentionOptions(engine, task, lookup);
    const progress = progressLine(io, 'attend');
    const runs = 1 + (task.repeat ?? 0);
    const once = async (run: number): Promise<{ out: Tensor; lse: Tensor; time: number }> => {
      io.signal.throwIfAborted();
      const started = performance.now();
      const result = await engine.attentionPartial(q, k, v, {
        ...attention,
        encoding,
        signal: io.signal,
        onProgress: ({ done, total }) => progress.update(Math.min(run, runs - 1) * total + done, runs * total),
      });
      return { ...result, time: performance.now() - started };
    };
    const again = async (run: number): Promise<number> => {
      const { out, lse, time } = await once(run);
      for (const tensor of [out, lse]) tensor.dispose();
      return time;
    };
    try {
      const { out, lse, time: first } = await once(0);
      const times: number[] = [];
      for (let run = 1; run <= (task.repeat ?? 0); run++) times.push(await again(run));
      if (task.repeat === undefined && first < WARM_BUDGET)
        times.push(...(await timed(WARM_BUDGET, io.signal, async () => void (await again(1)))));
      const downloaded = download(out);
      const difference = task.expected && differenceFrom(engine, task.file, task.expected, downloaded);
      return { out: downloaded.tensor, lse: download(lse).tensor, first, times, difference, capabilities: engine.capabilities };
    } finally {
      progress.clear();
    }
  } finally {
    engine.dispose();
  }
}

/** Milliseconds to time warm runs in, and what a run may take to be run again. */
const WARM_BUDGET = 100;

/** The options of attention, tensors in place of their names; a mask is a tensor whatever its type. */
function attentionOptions(engine: Engine, { file, job }: Task, lookup: (name: string) => unknown): object {
  const { mask, keyPadding, ...rest } = job.attention;
  const options: Record<string, unknown> = resolveTensors(rest, lookup) as Record<string, unknown>;
  const masked = (value: unknown, padding: boolean): unknown =>
    resolveTensors(value, (name) => maskTensor(engine, file.tensors, name, padding));
  if (mask !== undefined) options.mask = masked(mask, false);
  if (keyPadding === undefined) return options;
  if (typeof keyPadding !== 'string' || !keyPadding.startsWith('@'))
    throw new InputError('"keyPadding" expected "@" and the name of a tensor');
  return { ...options, mask: [...(options.mask === undefined ? [] : [options.mask].flat()), masked(keyPadding, true)] };
}

/** An encoding from its request; its constructor checks the options. */
function makeEncoding(request: EncodingRequest, lookup: (name: string) => unknown): Encoding {
  const entry = registry.find(({ name }) => name === request.name);
  if (entry === undefined) {
    throw new InputError(`unknown encoding ${quote(request.name)}; known are ${registry.map(({ name }) => name).join(', ')}`);
  }
  const options = resolveTensors(request.options, lookup);
  if (request.arguments === undefined) return entry.make(options);
  const make = entry.make as (options: unknown, more: unknown) => Encoding;
  return make(options, resolveTensors(request.arguments, lookup));
}

/** Of the largest value, by the type of what is expected: two units in the last place of 16-bit floats, some rounding of f32. */
const TOLERANCES: Readonly<Record<string, number>> = { F16: 2 ** -9, BF16: 2 ** -6 };

function differenceFrom(engine: Engine, file: SafetensorsFile, expected: Expected, out: ReturnType<typeof download>): Judged {
  const { name, tensor } = expected;
  if (String(tensor.shape) !== String(out.tensor.shape)) {
    const shapes = [out.tensor.shape, tensor.shape].map((shape) => `[${shape.join(', ')}]`);
    throw new InputError(`--expected: tensor ${quote(name)} expected the shape of out, ${shapes[0]}, got ${shapes[1]}`);
  }
  const difference = compare(out.values, floats(engine, tensor));
  // What the file says of its own error is in units of the output.
  const own = difference.relative && 2 * Number(file.metadata.naive_error ?? 0) * (difference.relative / difference.largest);
  const tolerance = expected.tolerance ?? Math.max(TOLERANCES[tensor.dtype] ?? 1e-5, Number.isFinite(own) ? own : 0);
  return { ...difference, tolerance, within: difference.relative <= tolerance };
}

/** Operations per second in thousand millions. */
function rate(task: Task, outcome: Outcome): number {
  return task.operations / median(timesOf(outcome)) / 1e6;
}

/** The runs that the report is about: those after the first, if there are any. */
const timesOf = ({ first, times }: Outcome): readonly number[] => (times.length ? times : [first]);

function textReport(task: Task, outcome: Outcome, output: string | undefined): string {
  const shape = ({ dtype, shape }: SafeTensor): string => `[${shape.join(', ')}] ${dtype.toLowerCase()}`;
  const { threads, requestedThreads, reason } = outcome.capabilities;
  const { encodings, attention } = task.job;
  const lines: [string, string][] = [
    ['q', shape(task.inputs.q)],
    ['k', shape(task.inputs.k)],
    ['v', shape(task.inputs.v)],
    ['out', shape(outcome.out)],
    ['encoding', encodings.map(showEncoding).join(' + ') || 'none'],
  ];
  if (Object.keys(attention).length > 0) lines.push(['attention', showEncoding({ name: '', options: attention }).slice(2, -1)]);
  lines.push(['threads', `${threads} (asked: ${requestedThreads}${reason === undefined ? '' : `; ${reason}`})`]);
  const count = outcome.times.length;
  const runs = count ? `median of ${count} warm run${count > 1 ? 's' : ''} (the first: ${showTime(outcome.first)})` : 'one cold run';
  lines.push(['time', `${showTime(median(timesOf(outcome)))}, ${runs}, ${task.precision}`]);
  lines.push(['rate', `${digits(rate(task, outcome))} GFLOP/s${count ? '' : ' (cold)'}`]);
  if (task.expected !== undefined && outcome.difference !== undefined) {
    const { largest, relative, index, tolerance, within } = outcome.difference;
    const where = coordinates(index, outcome.out.shape).join(', ');
    const at = largest === 0 ? '' : `, at [${where}]`;
    lines.push([
      'difference',
      `${digits(largest)} at most from ${quote(task.expected.name)}, ${digits(relative)} of its largest${at}; ${within ? 'within' : 'BEYOND'} ${digits(tolerance)}`,
    ]);
  }
  if (output !== undefined) lines.push(['written', shownPath(output)]);
  return rows(lines.map(([label, text]) => [label, oneLine(text)]));
}

/** The indices of element `index` of a tensor of this shape. */
function coordinates(index: number, shape: readonly number[]): number[] {
  let rest = index;
  const reversed = [...shape].reverse().map((size) => {
    const at = rest % size;
    rest = Math.floor(rest / size);
    return at;
  });
  return reversed.reverse();
}

function jsonReport(task: Task, outcome: Outcome, output: string | undefined): object {
  const tensor = ({ dtype, shape }: SafeTensor): object => ({ dtype: dtype.toLowerCase(), shape });
  const { expected, inputs } = task;
  const { difference, first } = outcome;
  const times = timesOf(outcome);
  return {
    relpos: version(),
    input: task.path,
    tensors: { q: tensor(inputs.q), k: tensor(inputs.k), v: tensor(inputs.v), out: tensor(outcome.out), lse: tensor(outcome.lse) },
    encoding: task.job.encodings,
    attention: task.job.attention,
    precision: task.precision,
    capabilities: outcome.capabilities,
    milliseconds: { first, median: median(times), least: Math.min(...times), most: Math.max(...times), runs: outcome.times.length },
    gflops: jsonNumber(rate(task, outcome)),
    difference:
      expected === undefined || difference === undefined
        ? null
        : {
            from: expected.name,
            largest: jsonNumber(difference.largest),
            relative: jsonNumber(difference.relative),
            at: coordinates(difference.index, outcome.out.shape),
            tolerance: difference.tolerance,
            within: difference.within,
          },
    output: output ?? null,
  };
}
