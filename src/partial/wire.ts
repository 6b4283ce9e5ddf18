// A partial state as bytes, for any transport: what one host sends and another merges. Little endian throughout.
//
//   0   4  magic "RPST"               28  4  shard index, 0xffffffff if it is no shard
//   4   2  version, 1                 32  4  shards in all, 0 if it is no shard
//   6   2  bytes of this header, 64   36  4  bytes of the JSON
//   8   1  element type of out        40  8  bytes in all
//   9   1  layout of out              48  4  0
//   10  1  base of the logarithm      52  4  CRC-32 of the numbers
//   11  1  0                          56  4  CRC-32 of the JSON
//   12 16  B, H, L, E                 60  4  CRC-32 of bytes 0 … 59
//
// Then the JSON, padded with spaces to a multiple of 4; then lse, f32 [B, H, L]; then out in its layout. Element types: 0 f32, 1 f16, 2 bf16;
// layouts: 0 [B, H, L, E], 1 [B, L, H, E]; bases: 0 is e.

import { integer, options as knownOptions, oneOf, reading, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { arrayType, ownArray, readShape } from '../arguments/numbers.ts';
import type { Engine } from '../engine.ts';
import { aFloatTensor, DTYPES, dtypeOfWire, FLOAT_DTYPES, type FloatDType, isFloat, viewOf } from '../memory/dtypes.ts';
import type { Layout } from '../memory/layout.ts';
import { roundUp } from '../memory/round.ts';
import { Tensor } from '../memory/tensor.ts';
import type { OwnBytes } from '../platform/types.ts';
import { crc32 } from './crc.ts';
import type { PartialState } from './merge.ts';

/** Element types of a state's output. */
export type StateDType = FloatDType;

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A partial state as plain arrays. */
export interface StateArrays {
  /** [B, H, L, E], whatever the layout. */
  readonly shape: readonly [number, number, number, number];
  /** B·H·L·E numbers in the order of `layout`; for f16 and bf16 their raw bits. */
  readonly out: Float32Array | Uint16Array;
  /** [B, H, L], natural log. */
  readonly lse: Float32Array;
  /** Default `'f32'`. */
  readonly dtype?: StateDType;
  /** Order of `out`: `'bhld'` (default) is [B, H, L, E], `'blhd'` is [B, L, H, E]. */
  readonly layout?: Layout;
}

/** What travels with a state. */
export interface StateLabel {
  /** Which shard of how many it is. */
  readonly shard?: { readonly index: number; readonly count: number };
  /** What it is a part of, such as a request and a layer: states of different ids are never merged by `collectStates`. */
  readonly id?: string;
  /** Yours: carried along, not looked at. */
  readonly meta?: Json;
}

/** A state that came over the wire. Its arrays are its own. */
export interface DecodedState extends StateArrays, StateLabel {
  readonly dtype: StateDType;
  readonly layout: Layout;
  /** CRC-32 of the numbers alone: equal for two deliveries of one result, whatever their `meta`. */
  readonly checksum: number;
}

const MAGIC = 0x54535052;
const VERSION = 1;
const HEADER = 64;
const NO_SHARD = 0xffffffff;
const LAYOUTS: readonly Layout[] = ['bhld', 'blhd'];
/** Length of a dimension at most: 32 bits without the sign. */
const LONGEST = 0x7fffffff;

const isLittleEndian = (): boolean => new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Bytes of lse and of out. */
function sizes([B, H, L, E]: StateArrays['shape'], dtype: StateDType): { lse: number; out: number } {
  return { lse: 4 * B * H * L, out: DTYPES[dtype].bytes * B * H * L * E };
}

/** Copies numbers into bytes, or bytes into numbers, so that the bytes are little endian on every host. */
function copyNumbers(bytes: Uint8Array, numbers: Float32Array | Uint16Array, way: 'to bytes' | 'to numbers'): void {
  const raw = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const [to, from] = way === 'to bytes' ? [bytes, raw] : [raw, bytes];
  to.set(from);
  if (isLittleEndian()) return;
  const size = numbers.BYTES_PER_ELEMENT;
  for (let at = 0; at < to.length; at += size) to.subarray(at, at + size).reverse();
}

/** A state's tensors as plain arrays. */
function arraysOf(where: string, { out, lse }: PartialState, layout: Layout): Required<StateArrays> {
  if (!isFloat(out.dtype)) throw wrongType(where, 'state.out', aFloatTensor(), out.dtype);
  if (lse.dtype !== 'f32') throw wrongType(where, 'state.lse', 'a tensor of f32', lse.dtype);
  if (out.shape.length !== 4) throw wrongValue(where, 'state.out', 'shape [B, H, L, E]', shapeText(out.shape));
  const [B, second, third, E] = out.shape as [number, number, number, number];
  const [H, L] = layout === 'bhld' ? [second, third] : [third, second];
  if (lse.shape.join() !== [B, H, L].join()) {
    throw wrongValue(where, 'state.lse', `shape ${shapeText([B, H, L])}`, shapeText(lse.shape));
  }
  const numbers = out.dtype === 'f32' ? out.toArray() : (out.view() as StateArrays['out']);
  return { shape: [B, H, L, E], out: numbers, lse: lse.toArray(), dtype: out.dtype, layout };
}

const STATE_KEYS = ['shape', 'out', 'lse', 'dtype', 'layout', 'shard', 'id', 'meta', 'checksum'];

/** A state of plain arrays as a record of its own. */
const stateRecord = (where: string, state: unknown): StateArrays & StateLabel => knownOptions(where, state, STATE_KEYS, 'state', ['meta']);

function checkArrays(where: string, state: StateArrays, layout: Layout): Required<StateArrays> {
  const { out: given, lse: givenLse } = state;
  if (!Array.isArray(state.shape)) throw wrongType(where, 'state.shape', '[B, H, L, E]', state.shape);
  const shape = readShape(where, 'state.shape', state.shape) as StateArrays['shape'];
  if (shape.length !== 4) throw wrongValue(where, 'state.shape', '[B, H, L, E]', shape);
  const dtype = oneOf(where, 'state.dtype', state.dtype ?? 'f32', FLOAT_DTYPES);
  const { name } = DTYPES[dtype].view;
  if (arrayType(given) !== name) throw wrongType(where, 'state.out', `a ${name} for ${dtype}`, given);
  const [out, lse] = [ownArray(given) as StateArrays['out'], ownArray(givenLse)];
  if (!(lse instanceof Float32Array)) throw wrongType(where, 'state.lse', 'a Float32Array', givenLse);
  const expected = sizes(shape, dtype);
  if (out.byteLength !== expected.out) {
    throw wrongValue(where, 'state.out', `B·H·L·E = ${expected.out / out.BYTES_PER_ELEMENT} numbers`, `${out.length}`);
  }
  if (lse.byteLength !== expected.lse) throw wrongValue(where, 'state.lse', `B·H·L = ${expected.lse / 4} numbers`, `${lse.length}`);
  return { shape, out, lse, dtype, layout };
}

function checkShard(where: string, shard: StateLabel['shard']): { index: number; count: number } | undefined {
  if (shard === undefined) return undefined;
  const own = knownOptions<Partial<typeof shard>>(where, shard, ['index', 'count'], 'shard');
  const count = integer(where, 'shard.count', own.count, 1);
  return { index: integer(where, 'shard.index', own.index, 0, count - 1), count };
}

/** The JSON of a label, or nothing. */
function labelBytes(where: string, { id, meta }: StateLabel): Uint8Array {
  if (id === undefined && meta === undefined) return new Uint8Array();
  if (id !== undefined && typeof id !== 'string') throw wrongType(where, 'id', 'a string', id);
  let text: string;
  try {
    if (meta !== undefined && JSON.stringify(meta) === undefined) throw new TypeError('it has no JSON form');
    text = JSON.stringify({ id, meta });
  } catch (cause) {
    throw new TypeError(`${where}: "meta" expected what JSON can say: ${(cause as Error).message}`, { cause });
  }
  const bytes = new TextEncoder().encode(text);
  const whole = new Uint8Array(roundUp(bytes.length, 4)).fill(32);
  whole.set(bytes);
  return whole;
}

/**
 * A partial state as bytes: a 64-byte header with a version, the shape and checksums, then log-sum-exps and outputs, little endian. The same
 * state and label give the same bytes.
 *
 * @param state `{ out, lse }` as `attentionPartial` returns it, or plain arrays, which need no engine; shapes out [B, H, L, E], lse [B, H, L]
 * @param options `shard`, `id` and `meta` travel along, by default those that a decoded state came with; `layout` is that of `state.out` (default `'bhld'`)
 * @throws TypeError, RangeError if an argument is wrong, `meta` has no JSON form, or a tensor of f16 or bf16 has gaps (a slice)
 * @throws RelposError `disposed`
 * @example
 * ```ts
 * const state = { shape: [1, 2, 1, 3] as const, out: new Float32Array(6), lse: new Float32Array(2) };
 * const bytes = encodeState(state, { shard: { index: 0, count: 4 }, id: 'request 7, layer 3' });
 * bytes.length; // 64 + 28 of JSON + 8 of lse + 24 of out
 * ```
 */
export function encodeState(
  state: PartialState | (StateArrays & StateLabel),
  options: StateLabel & { readonly layout?: Layout } = {},
): OwnBytes {
  const where = 'encodeState';
  options = knownOptions(where, options, ['shard', 'id', 'meta', 'layout'], 'options', ['meta']);
  if (typeof state !== 'object' || state === null) throw wrongType(where, 'state', 'an object { out, lse }', state);
  const tensors = reading(where, 'state', () => ({ out: state.out, lse: state.lse }));
  const isTensors = tensors.out instanceof Tensor && tensors.lse instanceof Tensor;
  const own = isTensors ? {} : stateRecord(where, state);
  const layout = oneOf(where, 'layout', options.layout ?? ('layout' in own ? own.layout : undefined) ?? 'bhld', LAYOUTS);
  const { shape, out, lse, dtype } = isTensors
    ? arraysOf(where, tensors as PartialState, layout)
    : checkArrays(where, own as StateArrays, layout);
  const shard = checkShard(where, options.shard ?? (own as StateLabel).shard);
  const { id = (own as StateLabel).id, meta = (own as StateLabel).meta } = options;
  const label = labelBytes(where, { id, meta } as StateLabel);
  const size = sizes(shape, dtype);
  const total = HEADER + label.length + size.lse + size.out;
  const bytes = new Uint8Array(total);
  const body = HEADER + label.length;
  bytes.set(label, HEADER);
  copyNumbers(bytes.subarray(body, body + size.lse), lse, 'to bytes');
  copyNumbers(bytes.subarray(body + size.lse), out, 'to bytes');
  const header = new DataView(bytes.buffer, 0, HEADER);
  header.setUint32(0, MAGIC, true);
  header.setUint16(4, VERSION, true);
  header.setUint16(6, HEADER, true);
  header.setUint8(8, DTYPES[dtype].wire as number);
  header.setUint8(9, LAYOUTS.indexOf(layout));
  for (const [axis, n] of shape.entries()) header.setUint32(12 + 4 * axis, n, true);
  header.setUint32(28, shard ? shard.index : NO_SHARD, true);
  header.setUint32(32, shard ? shard.count : 0, true);
  header.setUint32(36, label.length, true);
  header.setBigUint64(40, BigInt(total), true);
  header.setUint32(52, crc32(bytes.subarray(body)), true);
  header.setUint32(56, crc32(label), true);
  header.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

const hex = (n: number): string => `0x${n.toString(16).padStart(8, '0')}`;

/** Reads the label of a checked header. */
function readLabel(where: string, text: Uint8Array): Pick<StateLabel, 'id' | 'meta'> {
  if (!text.length) return {};
  let label: unknown;
  try {
    label = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw wrongValue(where, 'bytes', 'a label in JSON', 'something else', (cause as Error).message);
  }
  const { id, meta } = (typeof label === 'object' && label !== null ? label : {}) as { id?: unknown; meta?: Json };
  if (id !== undefined && typeof id !== 'string') throw wrongValue(where, 'bytes', 'an id that is a string', typeof id);
  return { ...(id !== undefined && { id }), ...(meta !== undefined && { meta }) };
}

/**
 * What `encodeState` wrote. Everything is checked before anything is believed: a state that lost, gained or changed a byte on its way is
 * refused.
 *
 * @param bytes one whole message; a view into a larger buffer will do
 * @throws TypeError if it is no Uint8Array
 * @throws RangeError if it is not what `encodeState` wrote: which part is wrong is in the message
 * @example
 * ```ts
 * const sent = encodeState({ shape: [1, 1, 1, 2], out: Float32Array.of(1, 2), lse: Float32Array.of(0) }, { shard: { index: 1, count: 2 } });
 * const { out, lse, shard } = decodeState(sent);
 * out; // Float32Array [1, 2]
 * shard; // { index: 1, count: 2 }
 * ```
 */
export function decodeState(given: Uint8Array): DecodedState {
  const where = 'decodeState';
  const bytes = ownArray(given);
  if (!(bytes instanceof Uint8Array)) throw wrongType(where, 'bytes', 'a Uint8Array', given);
  const must = (holds: boolean, expected: string, got: number | string): void => {
    if (!holds) throw wrongValue(where, 'bytes', expected, String(got));
  };
  must(bytes.length >= HEADER, `a header of ${HEADER} bytes`, `${bytes.length} bytes`);
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER);
  const word = (at: number): number => header.getUint32(at, true);
  must(word(0) === MAGIC, `to begin with "RPST" (${hex(MAGIC)})`, hex(word(0)));
  must(header.getUint16(4, true) === VERSION, `version ${VERSION}`, header.getUint16(4, true));
  const ownSum = crc32(bytes.subarray(0, 60));
  must(word(60) === ownSum, `a header with checksum ${hex(word(60))}`, hex(ownSum));
  must(header.getUint16(6, true) === HEADER, `a header of ${HEADER} bytes`, header.getUint16(6, true));
  const dtype = dtypeOfWire(header.getUint8(8)) as StateDType;
  must(dtype !== undefined, 'an element type of 0, 1 or 2', header.getUint8(8));
  const layout = LAYOUTS[header.getUint8(9)] as Layout;
  must(layout !== undefined, 'a layout of 0 or 1', header.getUint8(9));
  must(header.getUint8(10) === 0, 'natural logarithms (0)', header.getUint8(10));
  must(header.getUint8(11) === 0 && word(48) === 0, 'zeros in bytes 11 and 48 … 51', `${header.getUint8(11)} and ${word(48)}`);
  const shape = [word(12), word(16), word(20), word(24)] as const;
  must(Math.max(...shape) <= LONGEST, `dimensions of at most ${LONGEST}`, shapeText(shape));
  const [index, count, labelLength] = [word(28), word(32), word(36)];
  must(count <= LONGEST, `at most ${LONGEST} shards`, count);
  must(count ? index < count : index === NO_SHARD, 'a shard index below the number of shards', `${index} of ${count}`);
  must(labelLength % 4 === 0, 'a label of a multiple of 4 bytes', labelLength);
  const size = sizes(shape, dtype);
  const total = HEADER + labelLength + size.lse + size.out;
  must(
    header.getBigUint64(40, true) === BigInt(total),
    `a length that fits its shape, ${total} bytes`,
    String(header.getBigUint64(40, true)),
  );
  must(
    bytes.length === total,
    `${total} bytes`,
    `${bytes.length}: it is ${bytes.length < total ? 'cut short' : 'followed by something else'}`,
  );
  const body = HEADER + labelLength;
  const label = bytes.subarray(HEADER, body);
  const labelSum = crc32(label);
  must(labelSum === word(56), `a label with checksum ${hex(word(56))}`, hex(labelSum));
  const checksum = crc32(bytes.subarray(body));
  must(checksum === word(52), `numbers with checksum ${hex(word(52))}`, hex(checksum));
  const lse = new Float32Array(size.lse / 4);
  const out = viewOf(dtype, new ArrayBuffer(size.out), 0, size.out / DTYPES[dtype].bytes) as StateArrays['out'];
  copyNumbers(bytes.subarray(body, body + size.lse), lse, 'to numbers');
  copyNumbers(bytes.subarray(body + size.lse), out, 'to numbers');
  return { shape, out, lse, dtype, layout, checksum, ...(count && { shard: { index, count } }), ...readLabel(where, label) };
}

/**
 * A state's arrays as tensors of an engine, as `mergeStates` takes them. The caller disposes of both.
 *
 * @returns out [B, H, L, E], or [B, L, H, E] if `state.layout` is `'blhd'`; lse [B, H, L]
 * @throws TypeError, RangeError if the state is not one
 * @throws RelposError `out-of-memory`, `disposed`
 * @example
 * ```ts
 * const engine = await createEngine({ threads: 1 });
 * const { out, lse } = loadState(engine, { shape: [1, 1, 1, 2], out: Float32Array.of(1, 2), lse: Float32Array.of(0) });
 * out.shape; // [1, 1, 1, 2]
 * engine.dispose();
 * ```
 */
export function loadState(engine: Engine, state: StateArrays): { out: Tensor; lse: Tensor } {
  const where = 'loadState';
  if (typeof engine?.tensor !== 'function') throw wrongType(where, 'engine', 'an engine', engine);
  const own = stateRecord(where, state);
  const layoutOf = oneOf(where, 'state.layout', own.layout ?? 'bhld', LAYOUTS);
  const { shape, out, lse, dtype, layout } = checkArrays(where, own, layoutOf);
  const [B, H, L, E] = shape;
  const tensor = engine.tensor(layout === 'bhld' ? [B, H, L, E] : [B, L, H, E], out, dtype);
  try {
    return { out: tensor, lse: engine.tensor([B, H, L], lse) };
  } catch (error) {
    tensor.dispose();
    throw error;
  }
}
