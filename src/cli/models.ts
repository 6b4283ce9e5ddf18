// What the commands that run models have in common.

import type { LoadOptions } from '../models/load.ts';
import { WEIGHT_TYPES, type WeightType } from '../nn/weights.ts';
import { type OptionSpec, type OptionSpecs, type ParsedArgs, parseBytes, parsePrecision, parseThreads, precisionSpec } from './args.ts';
import { type CliIo, InputError, progressLine } from './io.ts';
import { quote } from './text.ts';

const weights: OptionSpec = {
  kind: 'choice',
  choices: WEIGHT_TYPES,
  help: 'how weights are held (as the checkpoint stores them)',
};

/** Options of every command that loads a model. */
export const loadSpecs: OptionSpecs & Record<'weights' | 'threads' | 'max-memory', OptionSpec> = {
  weights,
  context: { kind: 'count', help: 'tokens of a text at most, its continuation included' },
  threads: { kind: 'text', value: '<n>|auto', help: 'threads to use (auto)' },
  precision: precisionSpec,
  'max-memory': { kind: 'text', value: '<bytes>', help: 'the most memory for the model, such as 512M or 2G' },
};

/** What a load gives; where another call would fit the model, the error names the command that makes it. */
export async function byCommand<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (error) {
    const command = (call: string): string => `use relpos ${call.endsWith('Encoder') ? 'embed' : 'generate'}`;
    if (error instanceof Error) error.message = error.message.replace(/use load(?:Encoder|Decoder|Seq2Seq)$/, command);
    throw error;
  }
}

/** What those options come to, with a progress line while the weights come. */
export function loadOptions({ texts, numbers }: ParsedArgs, io: CliIo, model: string): LoadOptions {
  const progress = progressLine(io, `loading ${model}`);
  const given = texts.get('weights') as WeightType | undefined;
  const context = numbers.get('context');
  const memory = texts.get('max-memory');
  return {
    threads: parseThreads(texts.get('threads')),
    precision: parsePrecision(texts.get('precision')),
    signal: io.signal,
    onProgress: ({ loaded, total }) => (loaded < total ? progress.update(loaded, total) : progress.clear()),
    ...(given && { weights: given }),
    ...(context !== undefined && { context }),
    ...(memory !== undefined && { maxMemory: parseBytes('--max-memory', memory) }),
  };
}

/** Says that texts are shorter than what an option asked for: the model takes no more. */
export function warnOfLess(io: CliIo, option: string, asked: number | undefined, most: number): void {
  if (asked !== undefined && asked > most)
    io.stderr(`relpos: ${option} ${asked} is more than the ${most} tokens of a text that the model takes\n`);
}

/** The folder or address of the model, and what follows it. */
export function modelAndRest(command: string, { positionals }: ParsedArgs): { readonly model: string; readonly rest: readonly string[] } {
  const [model, ...rest] = positionals;
  if (model === undefined || model === '')
    throw new InputError(`${command} expected the folder or the URL of a model; see relpos ${command} --help`);
  return { model, rest };
}

/** @throws InputError if anything follows the model */
export function onlyModel(command: string, args: ParsedArgs): string {
  const { model, rest } = modelAndRest(command, args);
  if (rest.length > 0) throw new InputError(`${command} expected one model, got ${quote(rest[0] as string)} too`);
  return model;
}

/** All that comes in at the process's standard input, as text. */
export async function readInput(io: CliIo): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of io.stdin?.() ?? []) {
    io.signal.throwIfAborted();
    text += typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}
