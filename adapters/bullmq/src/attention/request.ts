// A request: queries of a range of positions, and the options of the call, as they travel. Schemes travel by name with their numbers: no code does.

import { type AttentionOptions, alibi, type Encoding, kerple, rotary, sandwich, t5, xpos } from 'relpos';
import { type Claim, integer, isRun, readClaim, record, show } from '../content.ts';

const VERSION = 1;

/** Schemes that can be asked for by name: those whose options are numbers and words. */
export type SchemeName = 'alibi' | 'kerple' | 'rotary' | 'sandwich' | 't5' | 'xpos';

const MAKERS: Record<SchemeName, unknown> = { alibi, kerple, rotary, sandwich, t5, xpos };

const SCHEMES = Object.keys(MAKERS) as SchemeName[];

/** A scheme by name, with the options of its constructor. */
export interface NamedEncoding {
  readonly name: SchemeName;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Options of a sharded call: what they are in `attention`, for the whole. */
export interface ShardedOptions {
  readonly encoding?: NamedEncoding | readonly NamedEncoding[];
  readonly causal?: boolean;
  readonly window?: { readonly left?: number; readonly right?: number };
  readonly scale?: number;
  readonly softcap?: number;
}

/** What is the same in all jobs of a request. */
export interface Request {
  readonly version: 1;
  /** Names the request: its states are merged with one another and with no others. */
  readonly id: string;
  /** Position of the first query. */
  readonly start: number;
  readonly heads: number;
  readonly queries: number;
  /** [B, heads, queries, D] of f32. */
  readonly q: Claim;
  readonly options: ShardedOptions;
}

const number = (given: unknown, what: string): number => {
  if (typeof given !== 'number' || !Number.isFinite(given)) throw new RangeError(`${what} expected a finite number, got ${show(given)}`);
  return given;
};

function readEncoding(given: unknown, what: string): NamedEncoding {
  const { name, options } = record(given, what, ['name', 'options']);
  const known = SCHEMES.find((scheme) => scheme === name);
  if (!known) throw new RangeError(`${what}: "name" expected one of ${SCHEMES.join(', ')}, got ${show(name)}`);
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError(`${what}: "options" expected an object, got ${show(options)}`);
  return { name: known, options: options as Record<string, unknown> };
}

/** Reads the options of a call, from a caller or from the queue. */
export function readShardedOptions(given: unknown, what: string): ShardedOptions {
  const { encoding, causal, window, scale, softcap } = record(given, what, ['encoding', 'causal', 'window', 'scale', 'softcap']);
  if (causal !== undefined && typeof causal !== 'boolean')
    throw new TypeError(`${what}: "causal" expected true or false, got ${show(causal)}`);
  const sides = window === undefined ? undefined : record(window, `${what}.window`, ['left', 'right']);
  const side = (name: 'left' | 'right') =>
    sides?.[name] === undefined ? {} : { [name]: integer(sides[name], `${what}.window: "${name}"`, 0, 2 ** 31) };
  return {
    ...(encoding !== undefined && {
      encoding: Array.isArray(encoding)
        ? encoding.map((one, n) => readEncoding(one, `${what}.encoding[${n}]`))
        : readEncoding(encoding, `${what}.encoding`),
    }),
    ...(causal !== undefined && { causal }),
    ...(sides && { window: { ...side('left'), ...side('right') } }),
    ...(scale !== undefined && { scale: number(scale, `${what}: "scale"`) }),
    ...(softcap !== undefined && { softcap: number(softcap, `${what}: "softcap"`) }),
  };
}

export function readRequest(given: unknown): Request {
  const { version, id, start, heads, queries, q, options } = record(given, 'request', [
    'version',
    'id',
    'start',
    'heads',
    'queries',
    'q',
    'options',
  ]);
  if (version !== VERSION) throw new RangeError(`request: "version" expected ${VERSION}, got ${show(version)}`);
  if (!isRun(id)) throw new RangeError(`request: "id" expected a UUID, got ${show(id)}`);
  return {
    version: VERSION,
    id,
    start: integer(start, 'request: "start"', 0, 2 ** 31),
    heads: integer(heads, 'request: "heads"', 1, 65_536),
    queries: integer(queries, 'request: "queries"', 1, 2 ** 24),
    q: readClaim(q, 'request.q'),
    options: readShardedOptions(options, 'request.options'),
  };
}

/** The options as `attentionPartial` takes them. Schemes are made here, by the constructors of the library, which check every number. */
export function attentionOptions({ encoding, ...options }: ShardedOptions): AttentionOptions {
  if (encoding === undefined) return options;
  const make = ({ name, options: given }: NamedEncoding): Encoding => (MAKERS[name] as (options: unknown) => Encoding)(given);
  return { ...options, encoding: (Array.isArray(encoding) ? encoding : [encoding]).map(make) };
}
