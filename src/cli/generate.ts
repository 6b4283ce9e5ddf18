import type { Finish, GenerateOptions } from '../models/generation.ts';
import type { LoadOptions } from '../models/load.ts';
import type { OptionSpecs, ParsedArgs } from './args.ts';
import type { Command } from './command.ts';
import { type CliIo, EXIT, InputError } from './io.ts';
import { byCommand, loadOptions, loadSpecs, onlyModel, readInput, warnOfLess } from './models.ts';
import { printable } from './text.ts';

const options: OptionSpecs = {
  prompt: { kind: 'text', short: 'p', value: '<text>|-', help: 'the text that is continued, or answered; - is standard input' },
  chat: { kind: 'flag', help: "the prompt is what a user says, in the model's chat template" },
  system: { kind: 'text', value: '<text>', help: 'what the system says before it, with --chat' },
  'max-tokens': { kind: 'count', help: 'tokens at most (256)' },
  temperature: { kind: 'number', help: '0 takes the likeliest token, more draws more freely (as the model says, or 0)' },
  'top-k': { kind: 'natural', help: 'only so many of the likeliest tokens; 0 is all' },
  'top-p': { kind: 'number', help: 'the fewest of the likeliest whose probabilities come to this' },
  'min-p': { kind: 'number', help: 'only tokens this fraction as likely as the likeliest' },
  'repetition-penalty': { kind: 'number', help: 'above 1, tokens that are there already are less likely' },
  seed: { kind: 'natural', help: 'draws other tokens; the same seed the same, on every host (0)' },
  stop: { kind: 'text', value: '<text>', help: 'ends before this text' },
  ...loadSpecs,
  json: { kind: 'flag', help: 'print one JSON object: text, tokens, reason' },
};

/** `relpos generate`: text from a model. */
export const generate: Command = {
  name: 'generate',
  summary: 'text by a model (LLaMA, Qwen, GPT-2, T5 and their like)',
  usage: '<folder>|<url> --prompt <text>|- [--chat] [options]',
  about: `Loads a decoder, or an encoder-decoder, from a Hugging Face folder (config.json, tokenizer.json, model.safetensors) and prints
what it writes, as it comes. What is not said here is as the model's generation_config.json says. --chat needs the package
@huggingface/jinja beside relpos.`,
  examples: `  relpos generate examples/models/story-llama --prompt "In the beginning" --max-tokens 64
  relpos generate models/smollm2-instruct --chat --prompt "Name three rivers." --weights i8 --temperature 0.7 --seed 1
  relpos generate examples/models/fix-t5 --prompt "nd h sd, Wh rt th?"`,
  options,
  run: runGenerate,
};

async function runGenerate(args: ParsedArgs, io: CliIo): Promise<number> {
  const model = onlyModel('generate', args);
  const given = args.texts.get('prompt');
  if (given === undefined) throw new InputError('generate expected --prompt <text>; see relpos generate --help');
  const system = args.texts.get('system');
  const chat = args.flags.has('chat');
  if (system !== undefined && !chat) throw new InputError('--system needs --chat');
  const prompt = given === '-' ? await readInput(io) : given;
  const writer = await byCommand(writerOf(model, loadOptions(args, io, model), chat));
  warnOfLess(io, '--context', args.numbers.get('context'), writer.context);
  try {
    const messages = [...(system === undefined ? [] : [{ role: 'system', content: system }]), { role: 'user', content: prompt }];
    await print(writer.generate(chat ? messages : prompt, generateOptions(args, io)), args.flags.has('json'), io);
  } finally {
    writer.dispose();
  }
  return EXIT.ok;
}

/** What both kinds of models have. */
interface Writer {
  readonly context: number;
  generate(
    prompt: string | readonly { readonly role: string; readonly content: string }[],
    options: GenerateOptions,
  ): AsyncGenerator<string, Finish, void>;
  dispose(): void;
}

async function writerOf(model: string, options: LoadOptions, chat: boolean): Promise<Writer> {
  const [{ loadDecoder, loadSeq2Seq }, { inspectCheckpoint }] = await Promise.all([
    import('../models/index.ts'),
    import('../models/inspect.ts'),
  ]);
  const { blueprint } = await inspectCheckpoint(model, options.signal ? { signal: options.signal } : {});
  if (blueprint.kind !== 'seq2seq') return (await loadDecoder(model, options)) as Writer;
  if (chat) throw new InputError(`--chat expected a decoder, got ${blueprint.modelType}, an encoder-decoder`);
  return (await loadSeq2Seq(model, options)) as Writer;
}

function generateOptions({ texts, numbers }: ParsedArgs, io: CliIo): GenerateOptions {
  const named = [
    ['maxTokens', 'max-tokens'],
    ['temperature', 'temperature'],
    ['topK', 'top-k'],
    ['topP', 'top-p'],
    ['minP', 'min-p'],
    ['repetitionPenalty', 'repetition-penalty'],
    ['seed', 'seed'],
  ] as const;
  const found = named.filter(([, flag]) => numbers.has(flag)).map(([name, flag]) => [name, numbers.get(flag)]);
  const stop = texts.get('stop');
  return { signal: io.signal, ...Object.fromEntries(found), ...(stop !== undefined && { stop }) };
}

/** Line breaks and tabs are text; what else moves a terminal's cursor is shown instead. */
const shown = (text: string): string =>
  text
    .split(/([\n\t])/)
    .map((part, n) => (n % 2 === 1 ? part : printable(part)))
    .join('');

async function print(pieces: AsyncGenerator<string, Finish, void>, json: boolean, io: CliIo): Promise<void> {
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) {
      io.stdout(json ? `${JSON.stringify({ text, ...value })}\n` : '\n');
      return;
    }
    text += value;
    if (!json) io.stdout(shown(value));
  }
}
