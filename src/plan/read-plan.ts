// A plan as its encoding returned it, read once: every part of it is described here, field by field, and what a description does not know is
// refused. Sizes are checked later, against the call.

import { describe, integer, isPlain, oneOf, plainKeys, unknownKey, wrongType, wrongValue } from '../arguments/check.ts';
import { arrayType, LARGEST, ownArray } from '../arguments/numbers.ts';
import type { WasmMemory } from '../platform/types.ts';
import type {
  ContextTable,
  CurveBias,
  DenseBias,
  Encoding,
  IndexBias,
  LowerContext,
  Normalization,
  OffsetBias,
  OffsetFactor,
  Plan,
  Positions,
  Rotation,
  RowMap,
  SumBias,
  SumIndex,
  Term,
  ValueTable,
} from './plan.ts';

/** Where a value of a plan was found: its name is put together only for an error. */
interface Spot {
  /** The call. */
  readonly where: string;
  readonly memory: WasmMemory;
  /** What it is in, and there its name or number; the plan itself has no parent. */
  readonly parent?: Spot;
  readonly key: string | number;
}

/** `encoding (mine) biases[0].table` */
function nameOf({ parent, key }: Spot): string {
  if (!parent) return String(key);
  if (typeof key === 'number') return `${nameOf(parent)}[${key}]`;
  return `${nameOf(parent)}${parent.parent ? '.' : ' '}${key}`;
}

const inside = (parent: Spot, key: string | number): Spot => ({ where: parent.where, memory: parent.memory, parent, key });

/** Checks a value, which is that of `key` in the part at `spot`; returns it, or what takes its place. */
type Read = (value: unknown, spot: Spot, key: string | number) => unknown;

/** What is read of a field, and whether it may be left out. */
interface Field<Needed extends boolean> {
  readonly read: Read;
  readonly needed: Needed;
}

/** Every field of a part: those that its type needs, and no others, are needed. */
type Fields<T> = { readonly [K in keyof T]-?: Field<Record<never, never> extends Pick<T, K> ? false : true> };

const needed = /* @__NO_SIDE_EFFECTS__ */ (read: Read): Field<true> => ({ read, needed: true });
const optional = /* @__NO_SIDE_EFFECTS__ */ (read: Read): Field<false> => ({ read, needed: false });

/** Reads the fields of a plain object. The object itself is returned unless something in it was replaced. */
function readFields(value: object, spot: Spot, fields: ReadonlyMap<string, Field<boolean>>, needs: number): unknown {
  if (!isPlain(value) || Array.isArray(value)) plainKeys(spot.where, nameOf(spot), value);
  let changed: Record<string, unknown> | undefined;
  let left = needs;
  for (const key of Object.keys(value)) {
    const field = fields.get(key);
    if (!field) throw unknownKey(spot.where, nameOf(spot), key, [...fields.keys()]);
    const given = (value as Record<string, unknown>)[key];
    if (given === undefined) continue;
    if (field.needed) left--;
    const read = field.read(given, spot, key);
    if (read === given) continue;
    changed ??= { ...value };
    changed[key] = read;
  }
  if (left) throw missing(value, spot, fields);
  return changed ?? value;
}

function missing(value: object, spot: Spot, fields: ReadonlyMap<string, Field<boolean>>): TypeError {
  const absent = [...fields].find(([key, field]) => field.needed && (value as Record<string, unknown>)[key] === undefined);
  return wrongType(spot.where, nameOf(inside(spot, absent?.[0] ?? '')), 'a value', undefined);
}

/* @__NO_SIDE_EFFECTS__ */ function record<T extends object>(described: Fields<T>): Read {
  const fields: ReadonlyMap<string, Field<boolean>> = new Map(Object.entries<Field<boolean>>(described));
  const needs = [...fields.values()].filter((field) => field.needed).length;
  return (value, spot, key) => {
    const at = inside(spot, key);
    if (typeof value !== 'object' || value === null) throw wrongType(spot.where, nameOf(at), 'an object', value);
    return readFields(value, at, fields, needs);
  };
}

/** One of several records, told apart by `kind`. */
/* @__NO_SIDE_EFFECTS__ */ function oneOfKinds(kinds: Readonly<Record<string, Read>>): Read {
  const names = Object.keys(kinds);
  return (value, spot, key) => {
    const at = inside(spot, key);
    if (typeof value !== 'object' || value === null) throw wrongType(spot.where, nameOf(at), 'an object', value);
    const { kind } = value as { readonly kind?: unknown };
    if (typeof kind !== 'string' || !Object.hasOwn(kinds, kind)) {
      if (!isPlain(value) || Array.isArray(value)) plainKeys(spot.where, nameOf(at), value);
      oneOf(spot.where, nameOf(inside(at, 'kind')), kind, names);
    }
    return (kinds[kind as string] as Read)(value, spot, key);
  };
}

/* @__NO_SIDE_EFFECTS__ */ function list(read: Read): Read {
  return (value, spot, key) => {
    const at = inside(spot, key);
    if (!Array.isArray(value)) throw wrongType(spot.where, nameOf(at), 'an array', value);
    let changed: unknown[] | undefined;
    for (let n = 0; n < value.length; n++) {
      const given: unknown = value[n];
      const one = read(given, at, n);
      if (one === given) continue;
      changed ??= [...value];
      changed[n] = one;
    }
    return changed ?? value;
  };
}

type TypedArray = Float32Array | Float64Array | Int32Array;

/**
 * A typed array of this very type, since another one's numbers would be taken for its bits. A view of the engine's memory becomes a copy:
 * the call that the plan is for may make that grow, which detaches views.
 *
 * @__NO_SIDE_EFFECTS__
 */
function arrayOf(Type: new (n: number) => TypedArray): Read {
  const expected = `a ${Type.name}`.replace('a I', 'an I');
  return (value, spot, key) => {
    const own = value instanceof Type ? value : arrayType(value) === Type.name ? (ownArray(value) as TypedArray) : undefined;
    if (!own) throw wrongType(spot.where, nameOf(inside(spot, key)), expected, value);
    return own.buffer === spot.memory.buffer ? own.slice() : own;
  };
}

/** An array of finite numbers. */
const finite =
  /* @__NO_SIDE_EFFECTS__ */
    (read: Read): Read =>
    (value, spot, key) => {
      const numbers = read(value, spot, key) as TypedArray;
      const bad = numbers.findIndex((x) => !Number.isFinite(x));
      if (bad >= 0) throw wrongValue(spot.where, nameOf(inside(inside(spot, key), bad)), 'a finite number', numbers[bad]);
      return numbers;
    };

const floats = arrayOf(Float32Array);
const doubles = arrayOf(Float64Array);
const integers = arrayOf(Int32Array);

/** A number that f32 holds. */
const number: Read = (value, spot, key) => {
  if (typeof value === 'number' && Math.abs(value) <= LARGEST) return value;
  const name = nameOf(inside(spot, key));
  if (typeof value !== 'number') throw wrongType(spot.where, name, 'a number', value);
  throw wrongValue(spot.where, name, 'a finite number of f32', value);
};

const whole =
  /* @__NO_SIDE_EFFECTS__ */
    (min: number): Read =>
    (value, spot, key) =>
      Number.isInteger(value) && (value as number) >= min ? value : integer(spot.where, nameOf(inside(spot, key)), value, min);

const text: Read = (value, spot, key) => {
  if (typeof value !== 'string') throw wrongType(spot.where, nameOf(inside(spot, key)), 'a string', value);
  return value;
};

const flag: Read = (value, spot, key) => {
  if (typeof value !== 'boolean') throw wrongType(spot.where, nameOf(inside(spot, key)), 'true or false', value);
  return value;
};

const callback: Read = (value, spot, key) => {
  if (typeof value !== 'function') throw wrongType(spot.where, nameOf(inside(spot, key)), 'a function', value);
  return value;
};

const choice =
  /* @__NO_SIDE_EFFECTS__ */
    (...choices: readonly string[]): Read =>
    (value, spot, key) =>
      typeof value === 'string' && choices.includes(value) ? value : oneOf(spot.where, nameOf(inside(spot, key)), value, choices);

/** First and one past the last of some rows. */
const range: Read = (value, spot, key) => {
  const fits = (x: unknown): boolean => Number.isInteger(x) && (x as number) >= 0;
  if (Array.isArray(value) && value.length === 2 && fits(value[0]) && fits(value[1]) && value[0] <= value[1]) return value;
  const name = nameOf(inside(spot, key));
  if (!Array.isArray(value)) throw wrongType(spot.where, name, '[first, end]', value);
  throw wrongValue(spot.where, name, '[first, end] with 0 ≤ first ≤ end', value);
};

/** What a tensor must be is checked with its shape. */
const tensor: Read = (value) => value;

const sum = record<SumIndex>({ rows: needed(integers), columns: needed(integers), map: optional(integers) });

const index: Read = (value, spot, key) => {
  if (arrayType(value) === 'Int32Array') return integers(value, spot, key);
  if (typeof value === 'object' && value !== null && isPlain(value)) return sum(value, spot, key);
  throw wrongType(spot.where, nameOf(inside(spot, key)), 'an Int32Array or { rows, columns }', value);
};

/** A function of the offset whose results are checked as they come: each must be a whole number. */
const rowOf: Read = (value, spot, key) => {
  const row = callback(value, spot, key) as (this: unknown, offset: number) => unknown;
  return function checked(this: unknown, offset: number): number {
    const r = row.call(this, offset);
    if (!Number.isInteger(r)) {
      throw wrongValue(spot.where, nameOf(inside(spot, `${key}(${offset})`)), 'to return an integer', describe(r));
    }
    return r as number;
  };
};

/** A function that writes the factors of some offsets, which are checked as they come. */
const finiteFill: Read = (value, spot, key) => {
  const fill = callback(value, spot, key) as (this: unknown, out: Float32Array, first: number, count: number) => void;
  return function checked(this: unknown, out: Float32Array, first: number, count: number): void {
    fill.call(this, out, first, count);
    const bad = out.findIndex((x) => !Number.isFinite(x));
    if (bad >= 0)
      throw wrongValue(spot.where, nameOf(inside(spot, `${key}(${first + (bad % count)})`)), 'to write finite numbers', out[bad]);
  };
};

type OffsetMap = Extract<RowMap, { readonly kind: 'offset' }>;
type IndexMap = Extract<RowMap, { readonly kind: 'index' }>;

const rows = oneOfKinds({
  offset: record<OffsetMap>({ kind: needed(text), row: needed(rowOf), variant: optional(text) }),
  index: record<IndexMap>({ kind: needed(text), index: needed(index), variant: optional(text) }),
});

const heads = needed(/* @__PURE__ */ whole(1));

/** What every bias of the plan's own numbers may have. */
const scaled = { coefficient: optional(number), gate: optional(floats) };

/** What is a function of the offset. */
const offsets = { heads, fill: needed(callback), variant: optional(text) };

const bias = /* @__PURE__ */ biases();

function biases(): Read {
  return oneOfKinds({
    offset: record<OffsetBias>({ kind: needed(text), ...offsets, ...scaled, queries: optional(range) }),
    index: record<IndexBias>({ kind: needed(text), table: needed(floats), heads, index: needed(index), ...scaled }),
    curve: record<CurveBias>({
      kind: needed(text),
      ...offsets,
      ...scaled,
      factors: needed(finite(floats)),
      units: needed(finite(floats)),
      weights: needed(finite(floats)),
      queries: optional(range),
    }),
    sum: record<SumBias>({
      kind: needed(text),
      batch: needed(/* @__PURE__ */ whole(1)),
      heads,
      rows: needed(doubles),
      columns: needed(doubles),
      ...scaled,
    }),
    dense: record<DenseBias>({ kind: needed(text), tensor: needed(tensor) }),
  });
}

const positions = record<Positions>({ values: needed(finite(doubles)), batched: needed(flag), table: optional(floats) });

const rotation = record<Rotation>({
  dim: needed(/* @__PURE__ */ whole(0)),
  start: optional(/* @__PURE__ */ whole(0)),
  layout: needed(/* @__PURE__ */ choice('halves', 'pairs')),
  layoutOut: optional(/* @__PURE__ */ choice('halves', 'pairs')),
  blocks: optional(/* @__PURE__ */ whole(1)),
  frequencies: needed(finite(doubles)),
  heads: optional(/* @__PURE__ */ whole(1)),
  second: optional(finite(doubles)),
  factor: optional(number),
  growth: optional(finite(doubles)),
  center: optional(number),
  offset: optional(number),
  queryPositions: optional(positions),
  keyPositions: optional(positions),
});

const normalization = record<Normalization>({
  kind: needed(/* @__PURE__ */ choice('l2', 'rms')),
  epsilon: needed(number),
  queryWeight: optional(floats),
  keyWeight: optional(floats),
});

const term = record<Term>({
  kind: needed(/* @__PURE__ */ choice('query', 'key')),
  table: needed(floats),
  heads,
  rows: needed(rows),
  bias: optional(floats),
  scale: optional(number),
});

const PLAN: ReadonlyMap<string, Field<boolean>> = /* @__PURE__ */ new Map(
  /* @__PURE__ */ Object.entries({
    normalization: optional(normalization),
    rotation: optional(rotation),
    rowScale: optional(floats),
    queryBias: optional(floats),
    terms: optional(list(term)),
    contextTable: optional(record<ContextTable>({ table: needed(floats), variant: optional(text), heads })),
    factors: optional(list(record<OffsetFactor>({ heads, fill: needed(finiteFill), variant: optional(text) }))),
    biases: optional(list(bias)),
    valueTable: optional(record<ValueTable>({ table: needed(floats), heads, rows: needed(rows) })),
  } satisfies Fields<Plan>),
);

/** What an encoding lowers to, every part of it of the form that the plan wants. @throws TypeError, RangeError that names the part */
export function readPlan(where: string, name: string, encoding: Encoding, given: LowerContext, memory: WasmMemory): Plan {
  const plan: unknown = encoding.lower(given);
  if (typeof plan !== 'object' || plan === null || Array.isArray(plan) || !isPlain(plan)) {
    throw wrongType(where, name, 'lower to return a plan, a plain object', plan);
  }
  return readFields(plan, { where, memory, key: name }, PLAN, 0) as Plan;
}
