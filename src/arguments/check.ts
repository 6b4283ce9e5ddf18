// Assertions on arguments. One message shape: `call: "name" expected X, got Y`. TypeError for a wrong type, RangeError for a wrong value.

/** How a value reads in an error message: short, and unlike for unlike values. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length <= 8 && value.every((x) => typeof x === 'number') ? `[${value.join(', ')}]` : 'an array';
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${'length' in value ? value.length : value.byteLength})`;
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
}

export function wrongType(where: string, name: string, expected: string, got: unknown): TypeError {
  return new TypeError(`${where}: "${name}" expected ${expected}, got ${describe(got)}`);
}

export function wrongValue(where: string, name: string, expected: string, got: unknown, because?: string): RangeError {
  const shown = typeof got === 'string' ? got : describe(got);
  return new RangeError(`${where}: "${name}" expected ${expected}, got ${shown}${because ? `: ${because}` : ''}`);
}

/** A whole number in min … max. */
export function integer(where: string, name: string, value: unknown, min: number, max: number = 2 ** 31 - 1): number {
  if (typeof value !== 'number') throw wrongType(where, name, 'an integer', value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw wrongValue(where, name, max === 2 ** 31 - 1 && !(value > max) ? `an integer ≥ ${min}` : `an integer in ${min} … ${max}`, value);
  }
  return value;
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
  const list = choices.map((choice) => `'${choice}'`).join(' or ');
  if (typeof value !== 'string') throw wrongType(where, name, list, value);
  if (!(choices as readonly string[]).includes(value)) throw wrongValue(where, name, list, describe(value));
  return value as T;
}

/** An object without keys outside `known`: a misspelt option must not be silently without effect. */
export function options(where: string, value: unknown, known: readonly string[], name = 'options'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw wrongType(where, name, 'an object', value);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new TypeError(`${where}: "${name}" has no "${key}"; it knows ${known.join(', ')}`);
  }
  return value as Record<string, unknown>;
}
