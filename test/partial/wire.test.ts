/** What is encoded comes back bit for bit, and whatever was damaged on its way is refused. */
import { crc32 as zlibCrc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createEngine,
  type DecodedState,
  decodeState,
  encodeState,
  loadState,
  type StateArrays,
  type StateLabel,
} from '../../src/index.ts';
import { crc32 } from '../../src/partial/crc.ts';
import { bits, noise } from './reference.ts';

const size = fc.integer({ min: 0, max: 4 });
const someArrays: fc.Arbitrary<StateArrays> = fc
  .record({
    shape: fc.tuple(size, size, size, size),
    dtype: fc.constantFrom('f32' as const, 'f16' as const, 'bf16' as const),
    layout: fc.constantFrom('bhld' as const, 'blhd' as const),
    seed: fc.nat(1e6),
  })
  .map(({ shape, dtype, layout, seed }) => {
    const rows = shape[0] * shape[1] * shape[2];
    // Any bits at all: NaN payloads, infinities and subnormals travel like the rest.
    const raw = Uint32Array.from(noise(rows * (shape[3] + 1), seed), (x) => Math.floor((x + 1) * 2 ** 31));
    const lse = new Float32Array(raw.buffer, 0, rows);
    const out = dtype === 'f32' ? new Float32Array(raw.buffer, 4 * rows) : new Uint16Array(raw.buffer, 4 * rows, rows * shape[3]);
    return { shape, dtype, layout, lse, out };
  });
const someLabel: fc.Arbitrary<StateLabel> = fc
  .record({
    shard: fc.option(fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.nat(999)), { nil: undefined }),
    id: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
    meta: fc.option(fc.jsonValue({ noUnicodeString: false }), { nil: undefined }),
  })
  .map(({ shard, id, meta }) => ({
    ...(shard && { shard: { count: shard[0], index: shard[1] % shard[0] } }),
    ...(id !== undefined && { id }),
    ...(meta !== undefined && { meta: meta as NonNullable<StateLabel['meta']> }),
  }));

const sample: StateArrays = { shape: [1, 2, 3, 5], out: noise(30, 1), lse: noise(6, 2) };
const label: StateLabel = { shard: { index: 3, count: 9 }, id: 'request 7, layer 3', meta: { host: 'b', tries: [1, 2] } };

test('the round trip is exact', () => {
  fc.assert(
    fc.property(someArrays, someLabel, fc.nat(7), (state, label, shift) => {
      const bytes = encodeState(state, label);
      expect(encodeState(state, label)).toEqual(bytes);
      // As a transport delivers it: somewhere in a larger buffer.
      const delivered = new Uint8Array(bytes.length + 16).fill(255);
      delivered.set(bytes, shift);
      const back = decodeState(delivered.subarray(shift, shift + bytes.length));
      expect(bits(back.out)).toBe(bits(state.out));
      expect(bits(back.lse)).toBe(bits(state.lse));
      expect(back.out.constructor).toBe(state.out.constructor);
      const { out: _out, lse: _lse, checksum: _checksum, ...rest } = back;
      const meta = label.meta === undefined ? {} : { meta: JSON.parse(JSON.stringify(label.meta)) };
      expect(rest).toEqual({ shape: state.shape, dtype: state.dtype, layout: state.layout, ...label, ...meta });
      expect(encodeState(back)).toEqual(bytes);
    }),
  );
});

test('the header lies as documented', () => {
  const bytes = encodeState(sample, label);
  const view = new DataView(bytes.buffer);
  expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe('RPST');
  expect([view.getUint16(4, true), view.getUint16(6, true)]).toEqual([1, 64]);
  expect([...bytes.subarray(8, 12)]).toEqual([0, 0, 0, 0]);
  expect([12, 16, 20, 24, 28, 32].map((at) => view.getUint32(at, true))).toEqual([1, 2, 3, 5, 3, 9]);
  const json = view.getUint32(36, true);
  expect(JSON.parse(Buffer.from(bytes.subarray(64, 64 + json)).toString())).toEqual({ id: label.id, meta: label.meta });
  expect(Number(view.getBigUint64(40, true))).toBe(bytes.length);
  expect(bytes.length).toBe(64 + json + 4 * 6 + 4 * 30);
  expect(view.getFloat32(64 + json, true)).toBe(sample.lse[0]);
  expect(view.getFloat32(64 + json + 24, true)).toBe(sample.out[0]);
  expect(Buffer.from(bytes).toString('hex', 0, 64)).toBe(
    '52505354010040000000000001000000020000000300000005000000030000000900000040000000100100000000000000000000' +
      Buffer.from(bytes).toString('hex', 52, 64),
  );
});

test('the checksum is that of zlib', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      if (typeof zlibCrc32 === 'function') expect(crc32(bytes)).toBe(zlibCrc32(bytes));
    }),
  );
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array())).toBe(0);
});

test('every flipped bit is refused', () => {
  const bytes = encodeState(sample, label);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(() => decodeState(damaged)).toThrow(RangeError);
  }
});

test('every other value of every header byte is refused', () => {
  const bytes = encodeState(sample, label);
  for (let at = 0; at < 64; at++) {
    for (let value = 0; value < 256; value++) {
      if (bytes[at] === value) continue;
      const damaged = bytes.slice();
      damaged[at] = value;
      expect(() => decodeState(damaged)).toThrow(RangeError);
    }
  }
});

test('whatever is cut short, extended or empty is refused', () => {
  const bytes = encodeState(sample, label);
  for (let length = 0; length < bytes.length; length++) expect(() => decodeState(bytes.subarray(0, length))).toThrow(RangeError);
  for (const extra of [1, 4, 1000]) {
    const longer = new Uint8Array(bytes.length + extra);
    longer.set(bytes);
    expect(() => decodeState(longer)).toThrow(/followed by something else/);
  }
  expect(() => decodeState(bytes.subarray(0, bytes.length - 1))).toThrow(/cut short/);
  for (const wrong of [undefined, null, 'RPST', [...bytes], bytes.buffer, new Uint16Array(64)]) {
    expect(() => decodeState(wrong as never)).toThrow(TypeError);
  }
});

/** A message with header fields changed and the header's checksum made to fit: what a faulty writer would send. */
function forged(change: (view: DataView) => void): Uint8Array {
  const bytes = encodeState(sample, label);
  const view = new DataView(bytes.buffer);
  change(view);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

test('a header that is consistent but wrong is refused with what is wrong', () => {
  const cases: [RegExp, (view: DataView) => void][] = [
    [/begin with "RPST"/, (view) => view.setUint32(0, 1, true)],
    [/version 1/, (view) => view.setUint16(4, 2, true)],
    [/header of 64 bytes/, (view) => view.setUint16(6, 65, true)],
    [/element type/, (view) => view.setUint8(8, 3)],
    [/layout/, (view) => view.setUint8(9, 2)],
    [/natural logarithms/, (view) => view.setUint8(10, 1)],
    [/zeros in bytes 11/, (view) => view.setUint8(11, 1)],
    [/zeros in bytes 11/, (view) => view.setUint32(48, 1, true)],
    [/a length that fits its shape/, (view) => view.setUint32(24, 6, true)],
    [/dimensions of at most/, (view) => view.setUint32(12, 2 ** 31, true)],
    [/a length that fits its shape/, (view) => [12, 16, 20, 24].map((at) => view.setUint32(at, 2 ** 31 - 1, true))],
    [/a length that fits its shape/, (view) => view.setBigUint64(40, 12n, true)],
    [/a length that fits its shape/, (view) => view.setUint32(36, 4, true)],
    [/a label of a multiple of 4/, (view) => view.setUint32(36, 5, true)],
    [/shard index below/, (view) => view.setUint32(28, 9, true)],
    [/shard index below/, (view) => view.setUint32(32, 0, true)],
    [/numbers with checksum/, (view) => view.setUint32(52, 0, true)],
    [/label with checksum/, (view) => view.setUint32(56, 0, true)],
  ];
  for (const [message, change] of cases) {
    expect(() => decodeState(forged(change))).toThrow(message);
    expect(() => decodeState(forged(change))).toThrow(RangeError);
  }
  // A label that is not JSON, or whose id is no string, with checksums that fit.
  for (const text of ['{"id":7}', '{"id":', '\xff\xff']) {
    const broken = forged((view) => {
      const label = new Uint8Array(view.buffer, 64, view.getUint32(36, true)).fill(32);
      label.set(Buffer.from(text, 'latin1'));
      view.setUint32(56, crc32(label), true);
    });
    expect(() => decodeState(broken)).toThrow(RangeError);
  }
});

test('what cannot be encoded is refused', () => {
  const state = sample as unknown as Record<string, unknown>;
  const refuse = (given: unknown, options: object, type: typeof TypeError | typeof RangeError): void =>
    expect(() => encodeState(given as StateArrays, options)).toThrow(type);
  refuse(null, {}, TypeError);
  refuse({}, {}, TypeError);
  refuse({ ...state, extra: 1 }, {}, TypeError);
  refuse({ ...state, shape: [1, 2, 3] }, {}, RangeError);
  refuse({ ...state, shape: [1, 2, 3, 4] }, {}, RangeError);
  refuse({ ...state, shape: [1, 2, 3, 5.5] }, {}, RangeError);
  refuse({ ...state, shape: [-1, -2, 3, 5] }, {}, RangeError);
  refuse({ ...state, lse: new Float32Array(5) }, {}, RangeError);
  refuse({ ...state, lse: new Float64Array(6) }, {}, TypeError);
  refuse({ ...state, dtype: 'f16' }, {}, TypeError);
  refuse({ ...state, dtype: 'i8' }, {}, RangeError);
  refuse(state, { layout: 'lbhd' }, RangeError);
  refuse(state, { shard: { index: 2, count: 2 } }, RangeError);
  refuse(state, { shard: { index: -1, count: 2 } }, RangeError);
  refuse(state, { shard: { index: 0 } }, TypeError);
  refuse(state, { id: 7 }, TypeError);
  refuse(state, { meta: () => 1 }, TypeError);
  refuse(state, { meta: 1n }, TypeError);
  refuse(state, { note: 1 }, TypeError);
  const loop: unknown[] = [];
  loop.push(loop);
  refuse(state, { meta: loop }, TypeError);
});

test('tensors travel from engine to engine', async () => {
  const [here, there] = [await createEngine({ threads: 1 }), await createEngine({ threads: 1 })];
  const q = here.tensor([1, 4, 3, 8], noise(96, 1));
  const k = here.tensor([1, 5, 2, 8], noise(80, 2)).permute(0, 2, 1, 3);
  for (const layout of ['bhld', 'blhd'] as const) {
    const [qs, ks] = layout === 'bhld' ? [q, k] : [q.permute(0, 2, 1, 3), k.permute(0, 2, 1, 3)];
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      const out = here.tensor(layout === 'bhld' ? [1, 4, 3, 8] : [1, 3, 4, 8], undefined, dtype);
      const state = await here.attentionPartial(qs, ks, ks, { layout, out });
      const decoded = decodeState(encodeState(state, { layout }));
      expect(decoded).toMatchObject({ shape: [1, 4, 3, 8], dtype, layout });
      const loaded = loadState(there, decoded);
      expect(bits(loaded.out.view() as Float32Array)).toBe(bits(state.out.view() as Float32Array));
      expect(bits(loaded.lse.view() as Float32Array)).toBe(bits(state.lse.view() as Float32Array));
      expect(loaded.out.shape).toEqual(state.out.shape);
      expect(await there.mergeStates([loaded], { layout })).toBeDefined();
    }
  }
  const wrong = { out: here.tensor([1, 4, 3, 8]), lse: here.tensor([1, 3, 4]) };
  expect(() => encodeState(wrong)).toThrow(/"state.lse" expected shape \[1, 4, 3\]/);
  expect(() => encodeState({ ...wrong, lse: here.tensor([1, 4, 3], undefined, 'i32') })).toThrow(TypeError);
  expect(() => loadState(there, { ...sample, lse: new Float32Array(1) })).toThrow(RangeError);
  expect(() => loadState(undefined as never, sample)).toThrow(TypeError);
  expect(() => loadState(there, undefined as unknown as DecodedState)).toThrow(TypeError);
  here.dispose();
  there.dispose();
});
