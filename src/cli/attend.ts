import { writeSafetensors } from '../safetensors/index.ts';
import { type OptionSpecs, type ParsedArgs, precisionSpec } from './args.ts';
import { jsonReport, textReport } from './attend-report.ts';
import { compute, type Outcome } from './attend-run.ts';
import { prepare, type Task } from './attend-task.ts';
import type { Command } from './command.ts';
import { outputTarget, readWhole, writeWhole } from './files.ts';
import { type CliIo, EXIT, InputError } from './io.ts';
import { digits } from './report.ts';
import { quote } from './text.ts';
import { version } from './version.ts';

const options: OptionSpecs = {
  output: { kind: 'text', short: 'o', value: '<file>', help: 'write "out" and "lse" to this safetensors file' },
  q: { kind: 'text', value: '<name>', help: 'name of the query tensor (q)' },
  k: { kind: 'text', value: '<name>', help: 'name of the key tensor (k)' },
  v: { kind: 'text', value: '<name>', help: 'name of the value tensor (v)' },
  expected: { kind: 'text', value: '<name>', help: 'compare with this tensor ("expected", if the file has it)' },
  tolerance: { kind: 'number', value: '<n>', help: 'how far "out" may be from it, of its largest value (see above)' },
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
  precision: precisionSpec,
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
The time is the median of runs after the first, which also compiles; work of more than a tenth of a second (and of two thousand
million operations) runs once, unless --repeat says otherwise, and the report calls that run cold.
If the file holds a tensor "expected", prints how far "out" is from it, and exits with 1 if that is more than the tolerance:
1e-5 of its largest value, 1e-3 in precision int16 (2^-9 if it is f16, 2^-6 if bf16), or twice the "naive_error" in the metadata
if that is more.`,
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
