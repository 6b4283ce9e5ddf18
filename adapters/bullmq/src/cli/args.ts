// Options of a command: numbers, words and flags, with one line for what is wrong.
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** What the user got wrong: exit code 2. */
export class UsageError extends Error {}

type Kinds = Readonly<Record<string, 'flag' | 'word' | 'count'>>;

/** The options and operands of a command. */
export interface Args {
  readonly operands: readonly string[];
  flag(name: string): boolean;
  word(name: string): string | undefined;
  /** An option that has to be there. */
  need(name: string): string;
  /** A whole number from 1 to `most`. */
  count(name: string, most: number): number | undefined;
}

/** Reads them; `least` and `most` operands are expected. */
export function readArgs(
  given: readonly string[],
  kinds: Kinds,
  operands: { readonly least: number; readonly most: number; readonly what: string },
): Args {
  const options = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { type: kind === 'flag' ? 'boolean' : 'string' }]),
  ) as NonNullable<ParseArgsConfig['options']>;
  let parsed: { readonly values: Record<string, unknown>; readonly positionals: string[] };
  try {
    parsed = parseArgs({ args: [...given], options, allowPositionals: true, allowNegative: true }) as typeof parsed;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (positionals.length < operands.least || positionals.length > operands.most)
    throw new UsageError(`expected ${operands.what}, got ${positionals.length ? positionals.join(' ') : 'nothing'}`);
  const word = (name: string): string | undefined => values[name] as string | undefined;
  return {
    operands: positionals,
    word,
    flag: (name) => values[name] === true,
    need(name) {
      const found = word(name);
      if (!found) throw new UsageError(`--${name} is missing`);
      return found;
    },
    count(name, most) {
      const text = word(name);
      if (text === undefined) return undefined;
      if (!/^\d{1,15}$/.test(text) || Number(text) < 1 || Number(text) > most)
        throw new UsageError(`--${name} expected a whole number from 1 to ${most}, got "${text}"`);
      return Number(text);
    },
  };
}

/** Threads of a process at most. */
export const MOST_THREADS = 256;
/** Seconds of a lock at most: a day. */
export const MOST_LOCK_S = 86_400;
/** The last port. */
export const MOST_PORT = 65_535;
