// Options parsed once: a reader for every name, one frozen record out.

import { boolean, checkFunction, integer, oneOf, readOwn } from './check.ts';

/** Checks one value and returns it as the call takes it. */
export type Reader<T> = (where: string, name: string, value: unknown) => T;

/** A reader for each option that there is. The names are the keys. */
export type Readers<T> = { readonly [K in keyof T]-?: Reader<Exclude<T[K], undefined>> };

/**
 * An options object as a frozen record: what every option comes to by its reader. Options that are left out, or undefined, are not in it.
 * Nested records are read likewise, with `name` for theirs.
 *
 * @throws TypeError, RangeError that names the option
 */
export function readRecord<T extends object>(where: string, given: unknown, readers: Readers<T>, name?: string): Readonly<T> {
  const record = readOwn(where, given, readers, name ?? 'options') as { [K in keyof T]: unknown };
  for (const key of Object.keys(record) as (keyof T & string)[]) {
    record[key] = readers[key](where, name === undefined ? key : `${name}.${key}`, record[key]);
  }
  return Object.freeze(record) as Readonly<T>;
}

/** A value of an option that takes one or several, and what errors call it: `encoding`, or `encoding[2]`. */
export interface Named<T> {
  readonly name: string;
  readonly value: T;
}

// Calls of these at the top of a file are marked as pure where they stand: bundlers forget what is said of a function of another chunk.

/** A whole number in min … max. */
/* @__NO_SIDE_EFFECTS__ */ export function whole(min: number, max?: number): Reader<number> {
  return (where, name, value) => integer(where, name, value, min, max);
}

/** One of a few strings. */
/* @__NO_SIDE_EFFECTS__ */ export function choice<T extends string>(...choices: readonly T[]): Reader<T> {
  return (where, name, value) => oneOf(where, name, value, choices);
}

/** True or false. */
export const flag: Reader<boolean> = boolean;

/** A function. */
export const callback = checkFunction as Reader<never>;
