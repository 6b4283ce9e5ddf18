// A checkpoint's config.json, read key by key: every number has a kind, every default is that of the model's class.

import { describe, integer, scaleFactor, wrongType, wrongValue } from '../arguments/check.ts';
import type { HfConfig } from '../huggingface/config.ts';
import { isObject } from '../safetensors/header.ts';
import type { Activation, Tokens } from './blueprint.ts';

const where = 'config.json';

/** Activations by the names that configs give them. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_new',
  gelu_fast: 'gelu_new',
  gelu_accurate: 'gelu_new',
  gelu_python_tanh: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  swish: 'silu',
  relu: 'relu',
  relu2: 'relu2',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
};

/** An activation by the name that configs give it. @throws RangeError if there is none of this name */
export function activationOf(key: string, name: string): Activation {
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found === undefined) throw wrongValue(where, key, `one of ${Object.keys(ACTIVATIONS).join(', ')}`, describe(name));
  return found;
}

/** Keys are names, or several with bars between: the first that is there counts. */
export class Config {
  readonly raw: HfConfig;

  constructor(raw: unknown) {
    if (!isObject(raw)) throw wrongType(where, 'config', 'an object', raw);
    this.raw = raw;
  }

  /** What a key holds; null counts as missing. */
  private find(keys: string): { readonly key: string; readonly value: unknown } {
    const names = keys.split('|');
    for (const key of names) {
      const value = this.raw[key];
      if (value !== undefined && value !== null) return { key, value };
    }
    return { key: names[0] as string, value: undefined };
  }

  has(keys: string): boolean {
    return this.find(keys).value !== undefined;
  }

  /** A whole number, `least` or more. */
  count(keys: string, fallback?: number, least = 1, most?: number): number {
    const { key, value = fallback } = this.find(keys);
    return integer(where, key, value, least, most);
  }

  /** What something is multiplied or divided by, or a norm adds below its root: above 0, and far from the ends of f32. */
  factor(keys: string, fallback?: number): number {
    const { key, value = fallback } = this.find(keys);
    return scaleFactor(where, key, value);
  }

  /** A count or a factor that null turns off; missing, it is the fallback. */
  limit(key: string, kind: 'count' | 'factor', fallback?: number): number | undefined {
    const value = this.raw[key];
    return value === undefined ? fallback : value === null ? undefined : this[kind](key);
  }

  flag(keys: string, fallback: boolean): boolean {
    const { key, value } = this.find(keys);
    if (value === undefined) return fallback;
    if (typeof value !== 'boolean') throw wrongType(where, key, 'true or false', value);
    return value;
  }

  text(keys: string, fallback?: string): string {
    const { key, value } = this.find(keys);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== 'string') throw wrongType(where, key, 'a string', value);
    return value;
  }

  /** A list of strings or numbers, or undefined. */
  list(keys: string): readonly unknown[] | undefined {
    const { key, value } = this.find(keys);
    if (value !== undefined && !Array.isArray(value)) throw wrongType(where, key, 'an array', value);
    return value as readonly unknown[] | undefined;
  }

  /** An object inside, as a config of its own; empty if it is missing. */
  inner(keys: string): Config {
    const { key, value } = this.find(keys);
    if (value !== undefined && !isObject(value)) throw wrongType(where, key, 'an object', value);
    return new Config(value ?? {});
  }

  activation(keys: string, fallback?: string): Activation {
    return activationOf(this.find(keys).key, this.text(keys, fallback));
  }

  /** @throws RangeError unless the key is missing, null or one of the values: what the family has no code for is refused, not ignored */
  only(keys: string, ...values: readonly unknown[]): void {
    const { key, value } = this.find(keys);
    if (value !== undefined && !values.includes(value)) {
      const expected = values.length ? values.map(describe).join(' or ') : 'nothing';
      throw wrongValue(where, key, expected, describe(value), 'this family has no code for it');
    }
  }

  /** A token's number, or undefined. */
  private token(keys: string): number | undefined {
    const { key, value } = this.find(keys);
    return value === undefined ? undefined : integer(where, key, value, 0);
  }

  /** Special tokens, with the defaults of the model's class. */
  tokens({ begin, end, pad, start }: { begin?: number; end?: number; pad?: number; start?: number } = {}): Tokens {
    const ends = this.find('eos_token_id').value;
    const first = this.token('bos_token_id') ?? begin;
    const padding = this.token('pad_token_id') ?? pad;
    const starting = this.token('decoder_start_token_id') ?? start;
    return {
      ...(first !== undefined && { begin: first }),
      ends: Array.isArray(ends)
        ? ends.map((token, n) => integer(where, `eos_token_id[${n}]`, token, 0))
        : [this.token('eos_token_id') ?? end].filter((token) => token !== undefined),
      ...(padding !== undefined && { pad: padding }),
      ...(starting !== undefined && { start: starting }),
    };
  }

  /** Width of a head: the key, where the model's class has one, or the model's width by its heads. */
  headWidth(width: number, heads: number, keys?: string, fallback?: number): number {
    if (keys && (fallback !== undefined || this.has(keys))) return this.count(keys, fallback);
    if (width % heads) throw wrongValue(where, 'hidden_size', `a multiple of the ${heads} heads`, width);
    return width / heads;
  }

  /** Key heads, of which the query heads are a multiple. */
  keyHeads(heads: number, keys = 'num_key_value_heads', fallback: number = heads): number {
    const count = this.count(keys, fallback);
    if (heads % count) throw wrongValue(where, this.find(keys).key, `a divisor of the ${heads} heads`, count);
    return count;
  }

  /** The labels of a classification head, one for each logit: where none is named, transformers' own name of it. */
  labels(count: number): readonly string[] {
    const names = this.inner('id2label').raw;
    return Array.from({ length: count }, (_, n) => {
      const name = names[n] ?? `LABEL_${n}`;
      if (typeof name !== 'string') throw wrongType(where, `id2label.${n}`, 'a string', name);
      return name;
    });
  }
}
