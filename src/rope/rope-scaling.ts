// Frequencies of rotary position embedding beyond the trained length: the rope types of Hugging Face configs.

import { boolean, finite, integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copyNumbers, holdsNumbers } from '../arguments/lists.ts';
import type { Arithmetic } from '../plan/plan.ts';

/**
 * How the frequencies f_i = b^(−2i/R) change, and what multiplies cosine and sine. Keys are those of the config in camelCase; s is
 * `factor`, M0 `originalMaxPositionEmbeddings`, n the sequence's length.
 */
export type RopeScaling =
  | { readonly type: 'default' }
  /** f/s. */
  | { readonly type: 'linear'; readonly factor: number }
  /** The base grows with the length: b·(s·n/M − (s − 1))^(R/(R−2)) for n > M = `maxPositionEmbeddings`. */
  | { readonly type: 'dynamic'; readonly factor: number; readonly maxPositionEmbeddings: number }
  /** f where a pair turns more than `betaFast` times in M0 positions, f/s where less than `betaSlow` times, a ramp over i between. */
  | YarnScaling
  /** f/`shortFactor` up to the length M0, f/`longFactor` beyond. */
  | LongRopeScaling
  /** f for wavelengths below M0/`highFreqFactor`, f/s above M0/`lowFreqFactor`, a mixture between. */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  /** f/s in the first ⌊`partialRotaryFactor`·R/2⌋ pairs, 0 in the others: pairs stay as far apart as if all turned. */
  | { readonly type: 'proportional'; readonly partialRotaryFactor?: number; readonly factor?: number };

/** YaRN, Peng et al. 2023, arXiv 2309.00071. */
export interface YarnScaling {
  readonly type: 'yarn';
  /** Default `maxPositionEmbeddings` / M0. */
  readonly factor?: number | null;
  readonly originalMaxPositionEmbeddings: number;
  readonly maxPositionEmbeddings?: number;
  /** Default 32. */
  readonly betaFast?: number | null;
  /** Default 1. */
  readonly betaSlow?: number | null;
  /** Multiplies cosine and sine; default g(mscale)/g(mscaleAllDim) if both are given, else g(1), with g(m) = 0.1·m·ln s + 1. */
  readonly attentionFactor?: number | null;
  readonly mscale?: number | null;
  readonly mscaleAllDim?: number | null;
  /** Whether the ramp's ends are rounded to whole pairs; default true. */
  readonly truncate?: boolean;
}

/** LongRoPE, Ding et al. 2024, arXiv 2402.13753; `su` in older configs. */
export interface LongRopeScaling {
  readonly type: 'longrope';
  /** [R/2] each. */
  readonly shortFactor: readonly number[] | Float32Array | Float64Array;
  readonly longFactor: readonly number[] | Float32Array | Float64Array;
  readonly originalMaxPositionEmbeddings: number;
  readonly maxPositionEmbeddings?: number;
  /** Default `maxPositionEmbeddings` / M0. */
  readonly factor?: number | null;
  /** Multiplies cosine and sine; default √(1 + ln s / ln M0), 1 for s ≤ 1. */
  readonly attentionFactor?: number | null;
}

/** Keys of each type, required ones first. */
export const SCALING_KEYS: Readonly<
  Record<RopeScaling['type'], { readonly required: readonly string[]; readonly more: readonly string[] }>
> = {
  default: { required: [], more: [] },
  linear: { required: ['factor'], more: [] },
  dynamic: { required: ['factor', 'maxPositionEmbeddings'], more: [] },
  yarn: {
    required: ['originalMaxPositionEmbeddings'],
    more: ['factor', 'maxPositionEmbeddings', 'betaFast', 'betaSlow', 'attentionFactor', 'mscale', 'mscaleAllDim', 'truncate'],
  },
  longrope: {
    required: ['shortFactor', 'longFactor', 'originalMaxPositionEmbeddings'],
    more: ['factor', 'maxPositionEmbeddings', 'attentionFactor'],
  },
  llama3: { required: ['factor', 'lowFreqFactor', 'highFreqFactor', 'originalMaxPositionEmbeddings'], more: [] },
  proportional: { required: [], more: ['partialRotaryFactor', 'factor'] },
};

/** The names of the types. */
export const SCALING_TYPES = /* @__PURE__ */ Object.keys(SCALING_KEYS) as RopeScaling['type'][];

/** Frequencies of the pairs and what multiplies cosine and sine. */
export interface Frequencies {
  readonly values: Float64Array;
  readonly factor: number;
}

/** b^(−2i/R), one for each of the ⌈R/2⌉ pairs. */
export function plainFrequencies(width: number, theta: number, math: Arithmetic): Float64Array {
  return Float64Array.from({ length: Math.ceil(width / 2) }, (_, i) => math.pow(theta, (-2 * i) / width));
}

/** The base of frequencies, or what they are divided by. Below 1e-6 angles would be so large that doubles do not tell quadrants apart. */
export function checkBase(where: string, given: unknown, name = 'theta'): number {
  const base = finite(where, name, given, 0);
  if (base < 1e-6) throw wrongValue(where, name, 'a number ≥ 1e-6', base);
  return base;
}

/**
 * A checked, private copy. `called` says what a key is called in messages.
 *
 * @throws TypeError, RangeError if a key is missing, unknown or wrong
 */
export function checkScaling(where: string, given: unknown, width: number, called: (key: string) => string): RopeScaling {
  if (typeof given !== 'object' || given === null) throw wrongType(where, called(''), `an object with a type`, given);
  const every = Object.values(SCALING_KEYS).flatMap(({ required, more }) => [...required, ...more]);
  const record = options(where, given, [...new Set(['type', ...every])], called(''), every);
  const type = oneOf(where, called('type'), record.type, SCALING_TYPES);
  const { required, more } = SCALING_KEYS[type];
  const values = { ...options(where, record, ['type', ...required, ...more], called(''), every) };
  for (const key of required) {
    if (values[key] === undefined || values[key] === null) throw wrongType(where, called(key), `a value: ${type} needs it`, values[key]);
  }
  for (const [key, value] of Object.entries(values)) {
    if (key === 'type' || value === undefined || value === null) continue;
    if (key === 'truncate') boolean(where, called(key), value);
    else if (key === 'shortFactor' || key === 'longFactor') values[key] = factors(where, called(key), value, Math.ceil(width / 2));
    else if (key === 'partialRotaryFactor') within(where, called(key), value, 1);
    else if (key.endsWith('MaxPositionEmbeddings') || key === 'maxPositionEmbeddings') {
      // LongRoPE's attention factor divides by ln M0.
      integer(where, called(key), value, type === 'longrope' ? 2 : 1);
    } else if (key.startsWith('mscale') || key.startsWith('beta')) within(where, called(key), value, Infinity);
    else checkBase(where, value, called(key));
  }
  const scaling = values as unknown as RopeScaling;
  checkTogether(where, scaling, width, called);
  return scaling;
}

/** What no key shows alone. */
function checkTogether(where: string, scaling: RopeScaling, width: number, called: (key: string) => string): void {
  if (scaling.type === 'dynamic' && width < 3) throw wrongValue(where, 'dim', 'at least 4 with dynamic scaling', width);
  if ((scaling.type === 'yarn' || scaling.type === 'longrope') && !scaling.factor && !scaling.maxPositionEmbeddings) {
    throw wrongType(where, called('factor'), `a number, or ${called('maxPositionEmbeddings')} instead`, scaling.factor);
  }
  if (scaling.type === 'llama3' && scaling.highFreqFactor < scaling.lowFreqFactor) {
    throw wrongValue(
      where,
      called('highFreqFactor'),
      `at least ${called('lowFreqFactor')} ${scaling.lowFreqFactor}`,
      scaling.highFreqFactor,
    );
  }
  if (scaling.type === 'yarn' && (scaling.betaFast || 32) < (scaling.betaSlow || 1)) {
    throw wrongValue(where, called('betaFast'), `at least ${called('betaSlow')} ${scaling.betaSlow || 1}`, scaling.betaFast || 32);
  }
}

function factors(where: string, name: string, given: unknown, length: number): Float64Array {
  if (!holdsNumbers(given)) throw wrongType(where, name, `an array of ${length} numbers`, given);
  const values = copyNumbers(where, name, given);
  if (values.length !== length) throw wrongValue(where, name, `${length} numbers, one for each pair`, `${values.length}`);
  values.forEach((x, n) => void checkBase(where, x, `${name}[${n}]`));
  return values;
}

function within(where: string, name: string, given: unknown, most: number): void {
  const value = finite(where, name, given);
  if (value < 0 || value > most) throw wrongValue(where, name, most === Infinity ? 'a number ≥ 0' : `a number in 0 … ${most}`, given);
}

/** Frequencies of the ⌈R/2⌉ pairs for a sequence of `length` positions. */
export function scaledFrequencies(
  { width, theta, scaling }: { readonly width: number; readonly theta: number; readonly scaling: RopeScaling },
  length: number,
  math: Arithmetic,
): Frequencies {
  const plain = plainFrequencies(width, theta, math);
  switch (scaling.type) {
    case 'default':
      return { values: plain, factor: 1 };
    case 'linear':
      return { values: plain.map((f) => f / scaling.factor), factor: 1 };
    case 'dynamic': {
      const { factor, maxPositionEmbeddings: trained } = scaling;
      if (length <= trained) return { values: plain, factor: 1 };
      const growth = math.pow((factor * length) / trained - (factor - 1), width / (width - 2));
      return { values: plainFrequencies(width, theta * growth, math), factor: 1 };
    }
    case 'yarn':
      return yarn(plain, width, theta, scaling, math);
    case 'longrope': {
      const { originalMaxPositionEmbeddings: trained, shortFactor, longFactor } = scaling;
      const by = length > trained ? longFactor : shortFactor;
      const s = scaling.factor ?? (scaling.maxPositionEmbeddings as number) / trained;
      const factor = scaling.attentionFactor ?? (s <= 1 ? 1 : Math.sqrt(1 + math.log(s) / math.log(trained)));
      return { values: plain.map((f, i) => f / (by[i] as number)), factor };
    }
    case 'llama3': {
      const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: trained } = scaling;
      const values = plain.map((f) => {
        const turns = (trained * f) / (2 * Math.PI);
        if (turns >= high) return f;
        if (turns < low) return f / factor;
        const kept = (turns - low) / (high - low);
        return ((1 - kept) * f) / factor + kept * f;
      });
      return { values, factor: 1 };
    }
    case 'proportional': {
      const turning = Math.floor(((scaling.partialRotaryFactor ?? 1) * width) / 2);
      return { values: plain.map((f, i) => (i < turning ? f / (scaling.factor ?? 1) : 0)), factor: 1 };
    }
  }
}

function yarn(plain: Float64Array, width: number, theta: number, scaling: YarnScaling, math: Arithmetic): Frequencies {
  const trained = scaling.originalMaxPositionEmbeddings;
  const s = scaling.factor ?? (scaling.maxPositionEmbeddings as number) / trained;
  // The pair, as a real number, that turns so many times in the trained length.
  const pairOf = (turns: number): number => (width * math.log(trained / (2 * Math.PI * turns))) / (2 * math.log(theta));
  const truncate = scaling.truncate ?? true;
  const first = pairOf(scaling.betaFast || 32);
  const last = pairOf(scaling.betaSlow || 1);
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  let high = Math.min(truncate ? Math.ceil(last) : last, width - 1);
  if (low === high) high += 0.001;
  const values = plain.map((f, i) => {
    const slowed = Math.min(Math.max((i - low) / (high - low), 0), 1);
    return (f / s) * slowed + f * (1 - slowed);
  });
  const g = (m: number): number => (s <= 1 ? 1 : 0.1 * m * math.log(s) + 1);
  const { mscale, mscaleAllDim } = scaling;
  return { values, factor: scaling.attentionFactor ?? (mscale && mscaleAllDim ? g(mscale) / g(mscaleAllDim) : g(1)) };
}
