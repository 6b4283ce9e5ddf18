import { type ParsedArgs, parseNaturals } from './args.ts';
import { InputError } from './io.ts';
import { quote } from './text.ts';

/**
 * An encoding as asked for: a name of the registry and its options, in which `"@name"` stands for a tensor of the file. An encoding
 * that takes nothing but a tensor has `"@name"` itself for its options.
 */
export interface EncodingRequest {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>> | string;
  /** What a maker takes beside its options: `rotaryFromConfig(config, arguments)`. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/**
 * What to compute: the encodings and the options of `attention`, tensors still as `"@name"`; and `keyPadding`, the `"@name"` of a mask
 * [B, S] of keys, among these options.
 */
export interface Case {
  readonly encodings: readonly EncodingRequest[];
  readonly attention: Readonly<Record<string, unknown>>;
}

/** Encodings with options of their own on the command line: to which option of the encoding each goes, '' for all of them. */
export const CLI_ENCODINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  none: {},
  rotary: { theta: 'theta', dim: 'dim', layout: 'layout', offset: 'offset' },
  alibi: {},
  t5: {
    buckets: 'buckets',
    'max-distance': 'maxDistance',
    bidirectional: 'bidirectional',
    'no-bidirectional': 'bidirectional',
    table: 'table',
  },
  bias: { bias: '' },
};

/** Options of `attention` that are not for a file to set; the engine knows the others and refuses what is none. */
const FOREIGN_KEYS = ['encoding', 'out', 'signal', 'onProgress'];
/** An option nests two deep at most; a hostile file could nest a million. */
const DEPTH_LIMIT = 8;

/**
 * The case in a file's metadata: `{"encoding": {"name", "options", "arguments"?} or a list of them, "attention": {…}}`. Other keys are
 * ignored.
 *
 * @throws {InputError} if it is missing, is not JSON or has a wrong form.
 */
export function parseCase(text: string | undefined): Case {
  if (text === undefined) throw new InputError('--from-metadata: the file has no metadata key "case"');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError('metadata "case" is not valid JSON', { cause });
  }
  if (!isObject(value)) throw new InputError(`metadata "case" expected an object, got ${kindOf(value)}`);
  const { encoding = [], attention = {} } = value;
  if (!isObject(attention)) throw new InputError(`metadata "case": "attention" expected an object, got ${kindOf(attention)}`);
  const foreign = FOREIGN_KEYS.find((key) => Object.hasOwn(attention, key));
  if (foreign !== undefined) throw new InputError(`metadata "case": "attention" cannot have ${quote(foreign)}`);
  const list = encoding === null ? [] : Array.isArray(encoding) ? encoding : [encoding];
  return { encodings: list.map(parseEncoding).filter(({ name }) => name !== 'none'), attention };
}

function parseEncoding(value: unknown): EncodingRequest {
  const { name, options = {}, arguments: rest = {} } = isObject(value) ? value : {};
  const isTensor = typeof options === 'string' && options.startsWith('@');
  if (typeof name !== 'string' || !(isTensor || isObject(options)) || !isObject(rest)) {
    throw new InputError(`metadata "case": "encoding" expected {"name": text, "options": object}, got ${kindOf(value)}`);
  }
  return { name, options: options as EncodingRequest['options'], ...(Object.keys(rest).length === 0 ? {} : { arguments: rest }) };
}

/**
 * What the command line asks for, over what the metadata asked for: a flag wins over the metadata's option, and `--encoding` over
 * its list (an encoding that is in both keeps its options).
 *
 * @throws {InputError} if an encoding is unknown or named twice, or an option belongs to an encoding that is not asked for.
 */
export function applyFlags(base: Case, args: ParsedArgs): Case {
  const encodings = requested(base, args).map((request) => {
    const { name, options } = request;
    const table = (Object.hasOwn(CLI_ENCODINGS, name) && CLI_ENCODINGS[name]) || {};
    const given = Object.entries(table).flatMap(([flag, option]) => {
      const value = flagValue(flag, args);
      return value === undefined ? [] : [[option, value] as const];
    });
    const whole = given.find(([option]) => option === '')?.[1] ?? options;
    if (typeof whole === 'string') return { ...request, options: whole };
    return { ...request, options: Object.fromEntries([...Object.entries(whole as object), ...given]) };
  });
  const names = encodings.map(({ name }) => name);
  for (const [encoding, table] of Object.entries(CLI_ENCODINGS)) {
    const stray = Object.keys(table).find((flag) => flagValue(flag, args) !== undefined);
    if (stray !== undefined && !names.includes(encoding)) throw new InputError(`--${stray} needs --encoding ${encoding}`);
  }
  return { encodings, attention: applyAttentionFlags(base.attention, args) };
}

/** The encodings asked for, in order, without those options that flags give. */
function requested(base: Case, args: ParsedArgs): readonly EncodingRequest[] {
  const named = args.lists.get('encoding');
  if (named === undefined) return base.encodings;
  const names = named.filter((name) => name !== 'none');
  for (const name of names) {
    if (!Object.hasOwn(CLI_ENCODINGS, name)) {
      const known = Object.keys(CLI_ENCODINGS).join(', ');
      throw new InputError(`--encoding expected one of ${known}, got ${quote(name)}; the others are reached by --from-metadata`);
    }
    if (names.indexOf(name) !== names.lastIndexOf(name)) throw new InputError(`--encoding names ${name} twice`);
  }
  if (names.length > 0 && names.length < named.length) throw new InputError('--encoding none cannot be joined with another');
  return names.map((name) => base.encodings.find((encoding) => encoding.name === name) ?? { name, options: {} });
}

/** The value a flag gives an option of an encoding; tensors as `"@name"`. */
function flagValue(flag: string, args: ParsedArgs): unknown {
  if (args.flags.has(flag)) return !flag.startsWith('no-');
  const text = args.texts.get(flag);
  if (text !== undefined) return flag === 'table' || flag === 'bias' ? `@${text}` : text;
  return args.numbers.get(flag);
}

function applyAttentionFlags(base: Readonly<Record<string, unknown>>, args: ParsedArgs): Record<string, unknown> {
  const attention: Record<string, unknown> = Object.fromEntries(Object.entries(base));
  if (args.flags.has('causal')) attention.causal = true;
  if (args.flags.has('no-causal')) attention.causal = false;
  const offset = args.numbers.get('causal-offset');
  if (offset !== undefined) attention.causal = { offset };
  const window = args.lists.get('window');
  if (window !== undefined) attention.window = windowOf(window);
  for (const side of ['left', 'right']) {
    const value = args.numbers.get(`window-${side}`);
    if (value !== undefined) attention.window = { ...(isObject(attention.window) ? attention.window : {}), [side]: value };
  }
  for (const name of ['scale', 'softcap']) {
    const value = args.numbers.get(name);
    if (value !== undefined) attention[name] = value;
  }
  const sinks = args.texts.get('sinks');
  if (sinks !== undefined) attention.sinks = `@${sinks}`;
  const lengths = args.lists.get('key-lengths');
  if (lengths !== undefined) attention.keyLengths = lengthsOf(lengths);
  const masks = args.lists.get('mask');
  if (masks !== undefined) attention.mask = masks.map((name) => `@${name}`);
  const padding = args.texts.get('key-padding');
  if (padding !== undefined) attention.keyPadding = `@${padding}`;
  const layout = args.texts.get('tensor-layout');
  if (layout !== undefined) attention.layout = layout;
  return attention;
}

/** `--window 4095` or `--window 4095,0`. */
function windowOf(items: readonly string[]): object {
  if (items.length > 2) throw new InputError(`--window expected <left> or <left>,<right>, got ${quote(items.join(','))}`);
  const [left, right] = parseNaturals('--window', items);
  return right === undefined ? { left } : { left, right };
}

/** `--key-lengths 9,16`, or the name of a tensor. */
function lengthsOf(items: readonly string[]): number[] | string {
  const isName = items.length === 1 && !/^[\d.+-]/.test(items[0] as string);
  return isName ? `@${items[0]}` : parseNaturals('--key-lengths', items);
}

/**
 * Fills in what the tensors already say and what has a default everywhere: head counts, the rotary width, theta, T5's buckets.
 *
 * @param sizes `heads` is H, `width` is D.
 * @throws {InputError} if an option without a safe default is missing.
 */
export function complete(request: EncodingRequest, sizes: { readonly heads: number; readonly width: number }): EncodingRequest {
  const { name, options } = request;
  if (typeof options === 'string') return request;
  if (name === 'rotary') {
    if (options.layout === undefined) {
      throw new InputError('--encoding rotary needs --layout halves (LLaMA, NeoX) or --layout pairs (GPT-J): models differ');
    }
    return { name, options: { dim: sizes.width, theta: 10000, ...options } };
  }
  if (name === 'alibi') return { name, options: { heads: sizes.heads, ...options } };
  if (name === 't5') {
    if (options.table === undefined) throw new InputError('--encoding t5 needs --table <tensor name>, of shape [buckets, heads]');
    return { name, options: { heads: sizes.heads, buckets: 32, maxDistance: 128, bidirectional: false, ...options } };
  }
  if (name === 'bias') throw new InputError('--encoding bias needs --bias <tensor name>');
  return request;
}

/**
 * A copy of a value in which every `"@name"` is what `lookup` gives for it.
 *
 * @throws {InputError} if it nests too deep.
 */
export function resolveTensors(value: unknown, lookup: (name: string) => unknown, depth = 0): unknown {
  if (depth > DEPTH_LIMIT) throw new InputError(`metadata "case" nests deeper than ${DEPTH_LIMIT} levels`);
  if (typeof value === 'string' && value.startsWith('@')) return lookup(value.slice(1));
  if (Array.isArray(value)) return value.map((item) => resolveTensors(item, lookup, depth + 1));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveTensors(item, lookup, depth + 1)]));
}

/** `rotary (dim 64, theta 10000, layout halves)` */
export function showEncoding({ name, options, arguments: rest }: EncodingRequest): string {
  const parts = Object.entries({ ...(typeof options === 'string' ? { tensor: options } : options), ...rest }).map(
    ([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return parts.length === 0 ? name : `${name} (${parts.join(', ')})`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value)
    ? 'an array'
    : isObject(value)
      ? `an object with ${quote(Object.keys(value).join(', '))}`
      : `a ${typeof value}`;
}
