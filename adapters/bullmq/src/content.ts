// Bytes by what they hold: whatever travels or is kept is named by its SHA-256, so that it can be checked, sent twice and found again.
import { createHash } from 'node:crypto';

/** The SHA-256 of some bytes, 64 hexadecimal digits. */
export const sha256 = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

export const isSha256 = (given: unknown): given is string => typeof given === 'string' && /^[0-9a-f]{64}$/.test(given);

/** The name of a run: a UUID. */
export const isRun = (given: unknown): given is string =>
  typeof given === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(given);

/** Where bytes are and what they must be. */
export interface Claim {
  /** Its name in the store. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Names in a store: letters, digits and hyphens, so that they are names of files and keys wherever they come. */
export const isName = (given: unknown): given is string => typeof given === 'string' && /^[a-z0-9][a-z0-9-]{0,150}$/.test(given);

/** Bytes at most that a claim may ask for: what is more was not made by this package. */
export const MOST_BYTES: number = 512 * 2 ** 20;

/** Reads a claim that came from the queue; `what` names it in the error. */
export function readClaim(given: unknown, what: string): Claim {
  const { name, bytes, sha256: sum } = record(given, what, ['name', 'bytes', 'sha256']);
  if (!isName(name)) throw new RangeError(`${what}: "name" expected a name of a store, got ${show(name)}`);
  if (!isSha256(sum)) throw new RangeError(`${what}: "sha256" expected 64 hexadecimal digits, got ${show(sum)}`);
  return { name, bytes: integer(bytes, `${what}: "bytes"`, 0, MOST_BYTES), sha256: sum };
}

/** An object with these keys and no others. */
export function record(given: unknown, what: string, keys: readonly string[]): Record<string, unknown> {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new TypeError(`${what}: expected an object, got ${show(given)}`);
  const unknown = Object.keys(given).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw new RangeError(`${what}: expected ${keys.join(', ')}, got ${show(unknown)} as well`);
  return given as Record<string, unknown>;
}

export function integer(given: unknown, what: string, least: number, most: number): number {
  if (!Number.isInteger(given) || (given as number) < least || (given as number) > most) {
    throw new RangeError(`${what} expected an integer from ${least} to ${most}, got ${show(given)}`);
  }
  return given as number;
}

/** A value in an error: short, on one line. */
export function show(given: unknown): string {
  const text =
    typeof given === 'string' ? JSON.stringify(given) : given === undefined ? 'nothing' : (JSON.stringify(given) ?? String(given));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** A copy of bytes, aligned for any type. Not by `slice`, which of a Buffer is a view into memory that it shares with others. */
export const copied = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
