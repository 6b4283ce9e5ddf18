// Options as they are written down: one description from which both the options themselves and the text of a program are made, so that what the page
// computes and what it gives out to copy are the same.

/** A call: of one of the makers of numbers.ts, of the engine's `tensor`, or of an encoding's constructor. */
export interface Made {
  readonly call: string;
  readonly with: readonly Written[];
}

/** A value that can be computed, and written as a program. */
export type Written = number | string | boolean | null | undefined | Made | readonly Written[] | { readonly [key: string]: Written };

/** A call of a maker. */
export const made = (call: Made['call'], ...args: readonly Written[]): Made => ({ call, with: args });

const isMade = (written: object): written is Made => 'call' in written && 'with' in written;

/** What it stands for, by the makers that are given. */
export function resolve(written: Written, makers: Readonly<Record<string, (...args: never[]) => unknown>>): unknown {
  if (typeof written !== 'object' || written === null) return written;
  if (Array.isArray(written)) return written.map((one) => resolve(one, makers));
  if (isMade(written)) {
    const maker = makers[written.call] as ((...args: unknown[]) => unknown) | undefined;
    if (!maker) throw new TypeError(`there is no maker ${written.call}`);
    return maker(...written.with.map((one) => resolve(one, makers)));
  }
  const entries = Object.entries(written).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, resolve(value as Written, makers)]));
}

/** Names of the makers that it calls. */
export function makersOf(written: Written): string[] {
  if (typeof written !== 'object' || written === null) return [];
  const inner = Object.values(isMade(written) ? written.with : written) as Written[];
  return [...(isMade(written) ? [written.call] : []), ...inner.flatMap(makersOf)];
}

const WIDTH = 100;

const number = (x: number): string => (Object.is(x, -0) ? '0' : String(x));

/** As a program has it, indented by `depth` steps. */
export function textOf(written: Written, depth = 0): string {
  if (typeof written === 'number') return number(written);
  if (typeof written === 'string') return `'${written.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  if (typeof written !== 'object' || written === null) return String(written);
  if (isMade(written) && written.with.length === 1) return `${written.call}(${textOf(written.with[0], depth)})`;
  const [open, close, items] = partsOf(written, depth + 1);
  const padding = open === '{' ? ' ' : '';
  const line = `${open}${padding}${items.join(', ')}${padding}${close}`;
  if (items.length === 0) return `${open}${close}`;
  if (line.length + 2 * depth <= WIDTH && !line.includes('\n')) return line;
  // A list of plain numbers goes on where the line ends.
  if (open === '[' && items.every((item) => item.length < 12)) return `[${wrapped(items, depth + 1)}\n${'  '.repeat(depth)}]`;
  const indent = '  '.repeat(depth + 1);
  return `${open}\n${items.map((item) => `${indent}${item},\n`).join('')}${'  '.repeat(depth)}${close}`;
}

function partsOf(written: object, depth: number): [string, string, string[]] {
  if (Array.isArray(written)) return ['[', ']', written.map((one) => textOf(one, depth))];
  if (isMade(written)) return [`${written.call}(`, ')', written.with.map((one) => textOf(one, depth))];
  const entries = Object.entries(written).filter(([, value]) => value !== undefined);
  return ['{', '}', entries.map(([key, value]) => `${key}: ${textOf(value as Written, depth)}`)];
}

function wrapped(items: readonly string[], depth: number): string {
  const indent = `\n${'  '.repeat(depth)}`;
  let line = '';
  return items
    .map((item) => {
      const fits = line && line.length + item.length + 2 <= WIDTH - 2 * depth;
      line = fits ? `${line} ${item},` : `${item},`;
      return fits ? ` ${item},` : `${indent}${item},`;
    })
    .join('');
}
