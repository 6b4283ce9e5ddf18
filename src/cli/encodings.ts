import { registry } from '../encodings/registry.ts';
import type { ParsedArgs } from './args.ts';
import { nearest } from './args.ts';
import type { Command } from './command.ts';
import { type CliIo, EXIT, InputError } from './io.ts';
import { quote } from './text.ts';

/** `relpos encodings`: what there is. */
export const encodings: Command = {
  name: 'encodings',
  summary: 'list the encodings: formula, options, models that use them',
  usage: '[name ...] [--json]',
  about: `Lists every encoding, or those named: its formula, its options and models that use it. For query i and key j, d = j - i.`,
  examples: `  relpos encodings
  relpos encodings rotary alibi
  relpos encodings --json`,
  options: { json: { kind: 'flag', help: 'print a JSON array' } },
  run: runEncodings,
};

async function runEncodings(args: ParsedArgs, io: CliIo): Promise<number> {
  const entries = args.positionals.length === 0 ? registry : args.positionals.map(entryNamed);
  if (args.flags.has('json')) {
    io.stdout(`${JSON.stringify(entries.map(({ name, formula, options, models }) => ({ name, formula, options, models })))}\n`);
  } else {
    io.stdout(entries.map(({ name, formula, options, models }) => `${name}\n${fields({ formula, options, models })}`).join('\n'));
  }
  return EXIT.ok;
}

function entryNamed(name: string) {
  const entry = registry.find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  const near = nearest(
    name,
    registry.map((candidate) => candidate.name),
  );
  throw new InputError(`unknown encoding ${quote(name)}${near === undefined ? '' : ` (did you mean ${near}?)`}; see relpos encodings`);
}

/** Indented lines of a label and a wrapped text. */
function fields(texts: Readonly<Record<string, string>>): string {
  return Object.entries(texts)
    .map(([label, text]) => `  ${label.padEnd(9)}${wrap(text, 100).join(`\n${' '.repeat(11)}`)}\n`)
    .join('');
}

/** A text in lines of at most `width` characters, broken at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
