import type { EmbedOptions, Encoder } from '../models/encoder-model.ts';
import { writeSafetensors } from '../safetensors/index.ts';
import type { OptionSpecs, ParsedArgs } from './args.ts';
import type { Command } from './command.ts';
import { outputTarget, readWhole, writeWhole } from './files.ts';
import { type CliIo, EXIT, InputError, progressLine } from './io.ts';
import { byCommand, loadOptions, loadSpecs, modelAndRest, readInput, warnOfLess } from './models.ts';
import { columns } from './report.ts';
import { oneLine } from './text.ts';
import { version } from './version.ts';

const FORMATS = ['jsonl', 'safetensors', 'table'] as const;
type Format = (typeof FORMATS)[number];

const options: OptionSpecs = {
  input: { kind: 'text', short: 'i', value: '<file>|-', help: 'texts, one on each line; - is standard input' },
  output: { kind: 'text', short: 'o', value: '<file>', help: 'write there, not to standard output' },
  format: { kind: 'choice', choices: FORMATS, help: 'lines of JSON, a safetensors file, or cosines of all pairs (see above)' },
  pooling: {
    kind: 'choice',
    choices: ['mean', 'cls', 'last', 'max'],
    help: "what is made of the tokens' vectors (as the model says, or mean)",
  },
  'no-normalize': { kind: 'flag', help: 'vectors of their own length' },
  prompt: { kind: 'text', value: '<name>', help: "one of the model's texts to put before each text, such as query" },
  'max-length': { kind: 'count', help: 'tokens of a text at most; what is more is cut off' },
  ...loadSpecs,
};

/** `relpos embed`: vectors of texts. */
export const embed: Command = {
  name: 'embed',
  summary: 'vectors of texts by a model (BERT, MiniLM, E5 and their like)',
  usage: '<folder>|<url> ["text" ...] [-i <file>|-] [-o <file>] [options]',
  about: `Loads an encoder from a Hugging Face folder (config.json, tokenizer.json, model.safetensors) and prints a vector for each text.
jsonl, which is the default, has lines {"text": ..., "vector": [...]}; safetensors one tensor "embeddings" [texts, width] in f32, the
texts as JSON in its metadata; table the cosine of each pair of texts. A file name that ends with .safetensors names its format.`,
  examples: `  relpos embed models/minilm "How old are you?" "What is your age?" --format table
  relpos embed models/minilm -i lines.txt -o vectors.safetensors --weights i8
  cat lines.txt | relpos embed models/e5 -i - --prompt query > vectors.jsonl`,
  options,
  run: runEmbed,
};

async function runEmbed(args: ParsedArgs, io: CliIo): Promise<number> {
  const { model, rest } = modelAndRest('embed', args);
  const output = args.texts.get('output');
  const format = formatOf(args.texts.get('format') as Format | undefined, output);
  const target = output === undefined ? undefined : await outputTarget(output);
  const texts = await textsOf(rest, args.texts.get('input'), io);
  const { loadEncoder } = await import('../models/index.ts');
  const encoder = await byCommand(loadEncoder(model, loadOptions(args, io, model)));
  for (const option of ['context', 'max-length']) warnOfLess(io, `--${option}`, args.numbers.get(option), encoder.maxLength);
  try {
    const bytes = await result(encoder, texts, format, embedOptions(args, io), io);
    if (target === undefined) io.stdout(new TextDecoder().decode(bytes));
    else await writeWhole(target, bytes, io.signal);
  } finally {
    encoder.dispose();
  }
  return EXIT.ok;
}

function formatOf(given: Format | undefined, output: string | undefined): Format {
  const format = given ?? (output?.endsWith('.safetensors') ? 'safetensors' : 'jsonl');
  if (format === 'safetensors' && output === undefined) throw new InputError('--format safetensors needs -o <file>');
  return format;
}

/** Texts of the command line, then those of the file. */
async function textsOf(given: readonly string[], input: string | undefined, io: CliIo): Promise<readonly string[]> {
  const texts = [...given];
  if (input !== undefined) {
    const text = input === '-' ? await readInput(io) : new TextDecoder().decode(await readWhole(input, io.signal));
    const lines = text.split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    texts.push(...lines);
  }
  if (texts.length === 0) throw new InputError('embed expected texts, or -i <file>; see relpos embed --help');
  return texts;
}

function embedOptions({ texts, numbers, flags }: ParsedArgs, io: CliIo): EmbedOptions {
  const progress = progressLine(io, 'embedding');
  const [pooling, prompt, maxLength] = [texts.get('pooling'), texts.get('prompt'), numbers.get('max-length')];
  return {
    signal: io.signal,
    onProgress: ({ done, total }) => (done < total ? progress.update(done, total) : progress.clear()),
    ...(pooling !== undefined && { pooling: pooling as NonNullable<EmbedOptions['pooling']> }),
    ...(prompt !== undefined && { prompt }),
    ...(maxLength !== undefined && { maxLength }),
    ...(flags.has('no-normalize') && { normalize: false }),
  };
}

async function result(encoder: Encoder, texts: readonly string[], format: Format, options: EmbedOptions, io: CliIo): Promise<Uint8Array> {
  const vectors = await encoder.embed(texts, options);
  if (format === 'safetensors') return asFile(texts, vectors);
  io.signal.throwIfAborted();
  return new TextEncoder().encode(format === 'table' ? await asTable(encoder, texts, vectors) : asLines(texts, vectors));
}

/** Nine digits give every number of f32 back. */
const asLines = (texts: readonly string[], vectors: readonly Float32Array[]): string =>
  texts
    .map((text, n) => `${JSON.stringify({ text, vector: Array.from(vectors[n] as Float32Array, (x) => Number(x.toPrecision(9))) })}\n`)
    .join('');

function asFile(texts: readonly string[], vectors: readonly Float32Array[]): Uint8Array {
  const width = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * width);
  for (const [n, vector] of vectors.entries()) all.set(vector, n * width);
  const embeddings = { dtype: 'F32', shape: [vectors.length, width], data: new Uint8Array(all.buffer) } as const;
  return writeSafetensors({ embeddings }, { relpos: version(), texts: JSON.stringify(texts) });
}

/** Characters of a text in a table. */
const SHOWN = 48;

async function asTable(encoder: Encoder, texts: readonly string[], vectors: readonly Float32Array[]): Promise<string> {
  const cosines = await encoder.similarity(vectors);
  const names = texts.map((text) => oneLine(text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text));
  const lines = cosines.map((row, n) => [`${n + 1} ${names[n]}`, ...row.map((x) => x.toFixed(3))]);
  return columns([['', ...texts.map((_, n) => `${n + 1}`)], ...lines]);
}
