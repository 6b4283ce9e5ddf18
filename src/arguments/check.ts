// Assertions on arguments. One message shape: `call: "name" expected X, got Y`. TypeError for a wrong type, RangeError for a wrong value.

import type { Signal } from '../platform/types.ts';

/** How a value reads in an error message: short, and unlike for unlike values. Never throws, whatever the value does when it is looked at. */
export function describe(value: unknown): string {
  try {
    return shown(value);
  } catch {
    return NAMELESS;
  }
}

/** What is described as no more than this. */
const NAMELESS = 'an object';

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (Object(value) !== value) return String(value);
  if (Array.isArray(value)) return value.length <= 8 && value.every((x) => typeof x === 'number') ? shapeText(value) : 'an array';
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Uint8Array).length ?? value.byteLength})`;
  const maker: unknown = (value as object).constructor?.name;
  // Bundlers put an underscore before the name of a class that is used within itself.
  return (typeof maker === 'string' && maker.replace(/^_(?=.)/, '')) || NAMELESS;
}

/** A shape, or a list of what its dimensions are called, as messages show it: `[2, 3]`. */
export function shapeText(shape: readonly unknown[]): string {
  return `[${shape.join(', ')}]`;
}

export function wrongType(where: string, name: string, expected: string, got: unknown): TypeError {
  return new TypeError(`${where}: "${name}" expected ${expected}, got ${describe(got)}`);
}

export function wrongValue(where: string, name: string, expected: string, got: unknown, because?: string): RangeError {
  const shown = typeof got === 'string' ? got : describe(got);
  return new RangeError(`${where}: "${name}" expected ${expected}, got ${shown}${because ? `: ${because}` : ''}`);
}

/** Whole numbers are at most this unless told otherwise. */
const LARGEST_INTEGER = 0x7fffffff;

/** A whole number in min … max. */
export function integer(where: string, name: string, value: unknown, min: number, max: number = LARGEST_INTEGER): number {
  const expected = 'an integer';
  if (typeof value !== 'number') throw wrongType(where, name, expected, value);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw wrongValue(where, name, `${expected} ${max === LARGEST_INTEGER && !(value > max) ? `≥ ${min}` : `in ${min} … ${max}`}`, value);
}

/** A finite number, by default of any size; `above` is an open lower bound. */
export function finite(where: string, name: string, value: unknown, above: number = -Infinity): number {
  if (typeof value !== 'number') throw wrongType(where, name, 'a number', value);
  if (!Number.isFinite(value) || value <= above) {
    throw wrongValue(where, name, above === -Infinity ? 'a finite number' : `a finite number > ${above}`, value);
  }
  return value;
}

export function boolean(where: string, name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(where, name, 'true or false', value);
  return value;
}

/** One of a few strings. */
export function oneOf<T extends string>(where: string, name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value === 'string' && (choices as readonly string[]).includes(value)) return value as T;
  const list = choices.map((choice) => `'${choice}'`).join(' or ');
  throw typeof value === 'string' ? wrongValue(where, name, list, describe(value)) : wrongType(where, name, list, value);
}

/** What a user's getter or proxy threw, as an error that names the argument. */
export function unreadable(where: string, name: string, cause: unknown): TypeError {
  return new TypeError(`${where}: "${name}" cannot be read: ${cause instanceof Error ? cause.message : describe(cause)}`, { cause });
}

/** What `read` returns; what it throws becomes a TypeError that names the argument. */
export function reading<T>(where: string, name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unreadable(where, name, cause);
  }
}

/** An object made by `{ … }`, in whatever realm, or one without a prototype. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    prototype === null ||
    prototype === Object.prototype ||
    // Another realm's Object.prototype: nothing above it, and the methods that every one has.
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty'))
  );
}

/**
 * An options object as a frozen record of its own: every own enumerable property is read once, here, and what is undefined is left out. What
 * the caller does to the object later, or a getter says a second time, changes nothing. Refused: what is no plain object (arrays, maps,
 * promises, instances of classes, objects that inherit keys), keys outside `known`, since a misspelt option must not be silently without
 * effect, and null but for the `nullable` keys, whose readers know what it means.
 */
export function options<T = Record<string, unknown>>(
  where: string,
  value: unknown,
  known: readonly string[],
  name: string = 'options',
  nullable: readonly string[] = [],
): T {
  const record = readOwn(where, value, known, name);
  for (const key in record) {
    if (record[key] === null && !nullable.includes(key)) throw wrongType(where, keyName(name, key), 'a value, or to be left out', null);
  }
  return Object.freeze(record) as T;
}

/** What errors call a key of a record: options by their own name. */
const keyName = (name: string, key: string): string => (name === 'options' ? key : `${name}.${key}`);

/**
 * The own properties of a plain object that are not undefined, each read once, for readers that look at every value themselves. `known` has
 * the keys that there are, as a list or as its own.
 */
export function readOwn(where: string, value: unknown, known: readonly string[] | object, name: string): Record<string, unknown> {
  const keys = plainKeys(where, name, value);
  const list = Array.isArray(known) ? (known as readonly string[]) : undefined;
  const record: Record<string, unknown> = {};
  let key: string | undefined;
  try {
    for (key of keys) {
      if (!(list ? list.includes(key) : Object.hasOwn(known, key))) break;
      const own = (value as Record<string, unknown>)[key];
      if (own !== undefined) record[key] = own;
      key = undefined;
    }
  } catch (cause) {
    throw unreadable(where, keyName(name, key as string), cause);
  }
  if (key !== undefined) throw unknownKey(where, name, key, list ?? Object.keys(known));
  return record;
}

/** The keys of a plain object. @throws TypeError if it is none */
export function plainKeys(where: string, name: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) throw wrongType(where, name, NAMELESS, value);
  let inherited: string | undefined;
  try {
    if (!Array.isArray(value) && isPlain(value)) return Object.keys(value);
    for (const key in value) if (!Object.hasOwn(value, key)) inherited ??= key;
  } catch (cause) {
    throw unreadable(where, name, cause);
  }
  const found = describe(value);
  const isPlainlyNamed = found === 'Object' || found === NAMELESS;
  const got = inherited !== undefined && isPlainlyNamed ? `one that inherits "${inherited}"` : found;
  throw new TypeError(`${where}: "${name}" expected a plain object, got ${got}`);
}

export function unknownKey(where: string, name: string, key: string, known: readonly string[]): TypeError {
  const meant = nearest(key, known);
  const hint = meant === undefined ? '' : `: did you mean "${meant}"?`;
  return new TypeError(`${where}: "${name}" has no "${key}"; it knows ${known.join(', ')}${hint}`);
}

/** Letters that differ between two words: those to put in, take out or change. */
function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const changed = (row[j] as number) + Number(a[i] !== b[j]);
      next.push(Math.min(changed, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The choice that a misspelt word most likely stands for, whatever its case and underscores, if one is near. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const bare = (text: string): string => text.replace(/[_-]/g, '').toLowerCase();
  let found: string | undefined;
  let least = Math.min(3, (word.length >> 1) + 1);
  for (const choice of choices) {
    const far = word.length > 64 ? Infinity : distance(bare(word), bare(choice));
    if (far < least) [least, found] = [far, choice];
  }
  return found;
}

/** An AbortSignal, or what behaves as one: `aborted`, and listeners to put on and take off. */
export function checkSignal(where: string, value: unknown, name = 'signal'): Signal | undefined {
  if (value === undefined) return undefined;
  const fits = reading(where, name, () => {
    if (typeof value !== 'object' || value === null) return false;
    const { aborted, addEventListener, removeEventListener } = value as Record<string, unknown>;
    return typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function';
  });
  if (!fits) throw wrongType(where, name, 'an AbortSignal', value);
  return value as Signal;
}

/** A function, if there is one. */
export function checkFunction<T>(where: string, name: string, value: T, expected = 'a function'): T {
  if (value !== undefined && typeof value !== 'function') throw wrongType(where, name, expected, value);
  return value;
}

/** A number that is not 0 and that 32 bits of floating point hold, as its reciprocal: positive unless `signed`. */
export function scaleFactor(where: string, name: string, value: unknown, signed = false): number {
  const number = finite(where, name, value, signed ? -Infinity : 0);
  const size = Math.abs(number);
  if (size > LARGEST_FACTOR || (size < 1 / LARGEST_FACTOR && !(signed && size === 0))) {
    throw wrongValue(where, name, `${signed ? '0, or a size' : 'a number'} in 2^-100 … 2^100`, value);
  }
  return number;
}

/** 2^100. Products and quotients of a few numbers between its reciprocal and it are far from the ends of f32. */
const LARGEST_FACTOR = 1.2676506002282294e30; // 2^100
