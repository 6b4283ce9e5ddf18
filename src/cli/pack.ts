import type { PackOptions } from '../models/pack.ts';
import type { WeightType } from '../nn/weights.ts';
import { type ParsedArgs, parseBytes, parseThreads } from './args.ts';
import type { Command } from './command.ts';
import { type CliIo, EXIT, InputError, progressLine, shownPath } from './io.ts';
import { loadSpecs, onlyModel } from './models.ts';
import { showBytes } from './report.ts';

/** `relpos pack`: a checkpoint as files that load by reading alone. */
export const pack: Command = {
  name: 'pack',
  summary: 'a model in files that load without a conversion',
  usage: '<folder>|<url> -o <folder> [--weights f32|f16|bf16|i8|i4] [options]',
  about: `Writes a model with its weights converted once and for all, as they lie in memory when it runs: to load it is to read it. The
new folder takes the place of the checkpoint's in every command and call, needs no --weights, and gives the same bits as the
checkpoint does with the same weights, on every host. i8 is a quarter of f32 and the fastest; i4 an eighth, and less exact.
The files that a model has beside its weights (tokenizer, pooling, chat template, licence) are copied.

The folder must be new or empty; it is there when all is written, or not at all. --force replaces a model that is in it.`,
  examples: `  relpos pack models/minilm -o models/minilm-i8 --weights i8
  relpos embed models/minilm-i8 "How old are you?"
  relpos pack https://huggingface.co/HuggingFaceTB/SmolLM2-135M/resolve/main/ -o smollm2-i4 --weights i4 --shard-size 20M`,
  options: {
    output: { kind: 'text', short: 'o', value: '<folder>', help: 'the folder to write' },
    weights: loadSpecs.weights,
    'shard-size': { kind: 'text', value: '<bytes>', help: 'the most bytes of a file, such as 20M, where a host limits them (2G)' },
    threads: loadSpecs.threads,
    'max-memory': loadSpecs['max-memory'],
    force: { kind: 'flag', help: 'replace a model that is in the folder' },
    json: { kind: 'flag', help: 'print one JSON object: weights, bytes, files' },
  },
  run: runPack,
};

async function runPack(args: ParsedArgs, io: CliIo): Promise<number> {
  const model = onlyModel('pack', args);
  const output = args.texts.get('output');
  if (output === undefined) throw new InputError('pack expected -o <folder>, where the packed model goes; see relpos pack --help');
  const { pack: packed } = await import('../models/index.ts');
  const { weights, bytes, files } = await packed(model, output, optionsOf(args, io, model));
  if (args.flags.has('json')) io.stdout(`${JSON.stringify({ weights, bytes, files })}\n`);
  else io.stdout(`${shownPath(output)}: ${files.length} files, ${showBytes(bytes)}, weights in ${weights}\n`);
  return EXIT.ok;
}

function optionsOf({ texts, flags }: ParsedArgs, io: CliIo, model: string): PackOptions {
  const progress = progressLine(io, `packing ${model}`);
  const weights = texts.get('weights') as WeightType | undefined;
  const memory = texts.get('max-memory');
  const shard = texts.get('shard-size');
  return {
    threads: parseThreads(texts.get('threads')),
    signal: io.signal,
    onProgress: ({ loaded, total }) => (loaded < total ? progress.update(loaded, total) : progress.clear()),
    force: flags.has('force'),
    ...(weights && { weights }),
    ...(memory !== undefined && { maxMemory: parseBytes('--max-memory', memory) }),
    ...(shard !== undefined && { shardSize: parseBytes('--shard-size', shard) }),
  };
}
