import { parseArgs } from 'node:util';
import { InputError } from './io.ts';
import { quote } from './text.ts';

/**
 * One option of a command. `flag` takes no value; `list` may be repeated and splits at commas; `choice` is one of `choices`;
 * `count` is a whole number from 1, `natural` from 0 and `integer` of either sign.
 */
export interface OptionSpec {
  readonly kind: 'flag' | 'text' | 'number' | 'integer' | 'natural' | 'count' | 'list' | 'choice';
  /** What the help calls the value. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly short?: string;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

const PRECISIONS = ['reproducible', 'int16', 'relaxed'] as const;

/** An engine's precision, as an option of a command. */
export const precisionSpec: OptionSpec = {
  kind: 'choice',
  choices: PRECISIONS,
  help: 'same bits everywhere, of f32 or of 16-bit products (some 2e-4 off); or f32 fused (reproducible)',
};

/** What `precisionSpec` was given. */
export function parsePrecision(text: string | undefined): (typeof PRECISIONS)[number] {
  return PRECISIONS.find((name) => name === text) ?? 'reproducible';
}

/** The options given, by long name, each checked against its spec; an option that was not given is absent. */
export interface ParsedArgs {
  readonly flags: ReadonlySet<string>;
  readonly texts: ReadonlyMap<string, string>;
  readonly numbers: ReadonlyMap<string, number>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

/**
 * Parses a command's arguments. The last of a repeated option wins, except for a list, which grows.
 *
 * @throws {InputError} for an unknown option, a missing or surplus value, or a value of the wrong kind.
 */
export function parseCommand(command: string, argv: readonly string[], specs: OptionSpecs): ParsedArgs {
  const flags = new Set<string>();
  const texts = new Map<string, string>();
  const numbers = new Map<string, number>();
  const lists = new Map<string, readonly string[]>();
  const positionals: string[] = [];
  for (const token of tokensOf(argv, specs)) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined)
      throw unknown(
        'option',
        rawName,
        command,
        Object.keys(specs).map((key) => `--${key}`),
      );
    if (spec.kind === 'flag') {
      if (value !== undefined) throw new InputError(`${rawName} takes no value, got ${quote(value)}`);
      flags.add(name);
    } else if (value === undefined || (/^--?[a-z]/i.test(value) && !token.inlineValue)) {
      throw new InputError(`${rawName} expected ${expected(spec)}, got ${value === undefined ? 'nothing' : quote(value)}`);
    } else if (spec.kind === 'list') {
      lists.set(name, [...(lists.get(name) ?? []), ...value.split(',').map((item) => item.trim())]);
    } else if (spec.kind === 'text' || spec.kind === 'choice') {
      texts.set(name, checkText(rawName, spec, value));
    } else {
      numbers.set(name, parseNumber(rawName, spec, value));
    }
  }
  return { flags, texts, numbers, lists, positionals };
}

/** Arguments as `node:util` splits them; what they may be is decided here, so that every runtime gives the same messages. */
function tokensOf(argv: readonly string[], specs: OptionSpecs) {
  const options: Record<string, { type: 'boolean' | 'string'; short?: string }> = {};
  for (const [name, { kind, short }] of Object.entries(specs)) {
    options[name] = { type: kind === 'flag' ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) };
  }
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

function checkText(rawName: string, spec: OptionSpec, value: string): string {
  const fits = spec.kind === 'choice' ? spec.choices?.includes(value) : value !== '';
  if (!fits) throw new InputError(`${rawName} expected ${expected(spec)}, got ${quote(value)}`);
  return value;
}

/** A decimal number as a person writes it: no hexadecimal, no `Infinity`, no empty text. */
function parseNumber(rawName: string, spec: OptionSpec, text: string): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  const least = { natural: 0, count: 1 }[spec.kind as string] ?? Number.NEGATIVE_INFINITY;
  const fits = spec.kind === 'number' ? Number.isFinite(value) : Number.isSafeInteger(value) && value >= least;
  if (!fits) throw new InputError(`${rawName} expected ${expected(spec)}, got ${quote(text)}`);
  return value;
}

function expected({ kind, choices, value }: OptionSpec): string {
  if (kind === 'choice') return `one of ${choices?.join(', ')}`;
  if (kind === 'number') return 'a number';
  if (kind === 'integer') return 'a whole number';
  if (kind === 'natural') return 'a whole number from 0';
  if (kind === 'count') return 'a whole number from 1';
  return `a value (${value ?? 'text'})`;
}

/** The error for a command or option that is not one, with the nearest that is. */
export function unknown(what: 'command' | 'option', name: string, command: string, known: readonly string[]): InputError {
  const near = nearest(name, known);
  const help = command === '' ? 'relpos --help' : `relpos ${command} --help`;
  return new InputError(`unknown ${what} ${quote(name)}${near === undefined ? '' : ` (did you mean ${near}?)`}; see ${help}`);
}

/** The known name with the fewest edits, if it is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Whole numbers from 0, such as lengths. */
export function parseNaturals(rawName: string, items: readonly string[]): number[] {
  return items.map((item) => parseNumber(rawName, { kind: 'natural', help: '' }, item));
}

/** A number of bytes: `1048576`, `512M`, `1.5GiB`. K, M, G and T are powers of 1024; only before one of them may there be a fraction. */
export function parseBytes(rawName: string, text: string): number {
  const match = /^(\d+(?:\.\d+(?=\s*[KMGT]))?)\s*(?:([KMGT])i?)?B?$/i.exec(text);
  const scale = 1024 ** ' KMGT'.indexOf((match?.[2] ?? ' ').toUpperCase());
  const bytes = match === null ? Number.NaN : Math.floor(Number(match[1]) * scale);
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw new InputError(`${rawName} expected bytes such as 512M or 2G, got ${quote(text)}`);
  return bytes;
}

/** `--threads`: `auto`, which is the default, or a number. */
export function parseThreads(text: string | undefined): number | 'auto' {
  if (text === undefined || text === 'auto') return 'auto';
  const threads = /^\d+$/.test(text) ? Number(text) : 0;
  if (threads < 1 || threads > 256) throw new InputError(`--threads expected auto or a whole number from 1 to 256, got ${quote(text)}`);
  return threads;
}

/** The options as help prints them: one per line, wrapped under their own column. */
export function optionsHelp(specs: OptionSpecs): string {
  const rows = Object.entries(specs).map(([name, spec]) => {
    const value = spec.kind === 'flag' ? '' : ` ${spec.choices?.join('|') ?? spec.value ?? '<n>'}`;
    return [`  ${spec.short === undefined ? '    ' : `-${spec.short}, `}--${name}${value}`, spec.help] as const;
  });
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)) + 2);
  return rows.map(([left, help]) => `${left.length < width ? left.padEnd(width) : `${left}\n${' '.repeat(width)}`}${help}`).join('\n');
}
