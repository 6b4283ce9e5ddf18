import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSafetensors, type SafeTensor, SafetensorsError, writeSafetensors } from '../../src/safetensors/index.ts';

/** A file with this header text (or these bytes) and this many zero bytes of data. */
function file(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** A file with one tensor "a" whose header entry is this JSON. */
const one = (entry: string, dataBytes = 4): Uint8Array => file(`{"a":${entry}}`, dataBytes);

/** The message of the SafetensorsError that `action` throws; fails if it throws nothing or something else. */
function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(SafetensorsError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** Written by the Python package safetensors 0.8.0 from the tensors of `official`, in another order. */
const OFFICIAL_BASE64 =
  'eAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJrIjoidi9/4oCoXG5cdTAwMDEifSwiw6lcIiI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0s' +
  'ImIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls4LDE2XX0sImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDBdLCJkYXRhX29mZnNl' +
  'dHMiOlsxNiwxNl19LCJjIjp7ImR0eXBlIjoiQkYxNiIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzE2LDE4XX0sImMyIjp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlsxXSwi' +
  'ZGF0YV9vZmZzZXRzIjpbMTgsMjBdfSwiYSI6eyJkdHlwZSI6Ikk4Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMjAsMjNdfX0gAAAAAAAAAAAAAQIDBAUGB3p6eXlhYmM=';

const official = new Map<string, SafeTensor>([
  ['b', { dtype: 'F32', shape: [2], data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7) }],
  ['a', { dtype: 'I8', shape: [3], data: new TextEncoder().encode('abc') }],
  ['é"', { dtype: 'F64', shape: [], data: new Uint8Array(8) }],
  ['c', { dtype: 'BF16', shape: [1], data: new TextEncoder().encode('zz') }],
  ['c2', { dtype: 'F16', shape: [1], data: new TextEncoder().encode('yy') }],
  ['empty', { dtype: 'F32', shape: [2, 0], data: new Uint8Array(0) }],
]);
const officialMetadata = { k: 'v/\x7f\u2028\n\x01' };

describe('a file of the format’s own writer', () => {
  it('is what the writer gives, byte for byte', () => {
    expect(writeSafetensors(official, officialMetadata)).toEqual(bytesOf(OFFICIAL_BASE64));
  });

  it('is read whole, in the order of its bytes', () => {
    const { metadata, tensors } = readSafetensors(bytesOf(OFFICIAL_BASE64));
    expect({ ...metadata }).toEqual(officialMetadata);
    expect([...tensors.keys()]).toEqual(['é"', 'b', 'empty', 'c', 'c2', 'a']);
    for (const [name, tensor] of official) expect(tensors.get(name)).toEqual(tensor);
  });
});

const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  I16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
};

/** Any tensor of whole bytes, as the writer takes it. */
const anyTensor: fc.Arbitrary<SafeTensor> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(BITS) as (keyof typeof BITS)[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ dtype, shape, seed }) => {
    // A last dimension of 4 makes whole bytes of any type.
    const whole = [...shape, 4];
    const length = (whole.reduce((product, size) => product * size, 1) * BITS[dtype]) / 8;
    return { dtype, shape: whole, data: Uint8Array.from({ length }, (_, i) => (seed + i) & 255) };
  });
const anyName = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '', '0', '10', '9', 'q"\\\n'),
);
const anyTensors = fc.dictionary(anyName, anyTensor, { maxKeys: 6 }).map((record) => new Map(Object.entries(record)));
const anyMetadata = fc.dictionary(anyName, fc.string({ unit: 'grapheme' }), { maxKeys: 4 });

describe('write, then read', () => {
  it('gives back every tensor and every text', () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        const back = readSafetensors(writeSafetensors(tensors, metadata));
        expect(new Map(back.tensors)).toEqual(tensors);
        expect(new Map(Object.entries(back.metadata))).toEqual(new Map(Object.entries(metadata)));
      }),
      { numRuns: 200 },
    );
  });

  it('does not depend on the order of the tensors and aligns each to its element', () => {
    fc.assert(
      fc.property(anyTensors, (tensors) => {
        const bytes = writeSafetensors(tensors);
        expect(writeSafetensors(new Map([...tensors].reverse()))).toEqual(bytes);
        for (const { dtype, data } of readSafetensors(bytes).tensors.values()) {
          const elementBytes = Math.max(1, BITS[dtype as keyof typeof BITS] / 8);
          expect((data.byteOffset - bytes.byteOffset) % elementBytes).toBe(0);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('keeps a tensor named __proto__ a plain tensor', () => {
    const data = Uint8Array.of(7);
    const bytes = writeSafetensors(new Map([['__proto__', { dtype: 'U8', shape: [1], data } as const]]), JSON.parse('{"__proto__":"p"}'));
    const { metadata, tensors } = readSafetensors(bytes);
    expect(tensors.get('__proto__')).toEqual({ dtype: 'U8', shape: [1], data });
    expect(Object.getPrototypeOf(metadata)).toBe(null);
    expect(Object.getOwnPropertyDescriptor(metadata, '__proto__')?.value).toBe('p');
    expect(metadata.constructor).toBe(undefined);
    expect(({} as Record<string, unknown>).dtype).toBe(undefined);
  });

  it('takes a plain object, empty tensors, scalars and no tensor at all', () => {
    const data = new Uint8Array(8);
    const tensors = { x: { dtype: 'F64', shape: [], data }, none: { dtype: 'F32', shape: [0, 5], data: data.subarray(0, 0) } } as const;
    expect(Object.fromEntries(readSafetensors(writeSafetensors(tensors)).tensors)).toEqual(tensors);
    expect(readSafetensors(writeSafetensors({})).tensors.size).toBe(0);
  });

  it('orders names past U+FFFF as UTF-8 does', () => {
    const tensor: SafeTensor = { dtype: 'U8', shape: [0], data: new Uint8Array(0) };
    const names = [...'b\u{1f600}\uff5ea'].map((name) => [name, tensor] as const);
    expect(Object.keys(JSON.parse(new TextDecoder().decode(writeSafetensors(new Map(names)).subarray(8))))).toEqual([
      'a',
      'b',
      '\uff5e',
      '\u{1f600}',
    ]);
  });

  it('reads a view that starts at any byte of its buffer, and shared memory', () => {
    const bytes = writeSafetensors(official);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(readSafetensors(shifted.subarray(3)).tensors.get('b')).toEqual(official.get('b'));
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect([...(readSafetensors(shared).tensors.get('a') as SafeTensor).data]).toEqual([97, 98, 99]);
  });
});

describe('what other readers take is taken', () => {
  it.each([
    ['spaces after the header', '{}    '],
    ['keys this version does not know', '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":{"y":[1]}}}'],
    [
      'the same key in two tensors',
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    ],
  ])('%s', (_, header) => {
    expect(readSafetensors(file(header)).metadata).toEqual({});
  });
});

const DTYPES =
  'BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64';
const f32 = (name: string, begin: number, end: number, shape = [(end - begin) / 4]): string =>
  `"${name}":{"dtype":"F32","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

const HOSTILE: [what: string, bytes: Uint8Array, message: string][] = [
  ['an empty file', new Uint8Array(0), "expected at least 8 bytes (the header's length), got 0"],
  ['seven bytes', new Uint8Array(7), "expected at least 8 bytes (the header's length), got 7"],
  ['a header longer than the file', file('{}', 0, 3n), 'header of 3 bytes does not fit the 2 bytes after its length'],
  ['a header over the limit', file('{}', 0, 100_000_001n), 'header expected at most 100000000 bytes, got 100000001'],
  ['a header of 2^64 - 1 bytes', file('{}', 0, 2n ** 64n - 1n), 'header expected at most 100000000 bytes, got 18446744073709551615'],
  ['no header', file(''), 'header expected to begin with "{"'],
  ['a header of nothing before data', file('', 4), 'header expected to begin with "{"'],
  ['a space first', file(' {}'), 'header expected to begin with "{"'],
  ['a byte order mark', file('\ufeff{}'), 'header expected to begin with "{"'],
  ['an array', file('[]'), 'header expected to begin with "{"'],
  ['another format', new TextEncoder().encode('PK\x03\x04 not this'), 'header expected at most 100000000 bytes, got 8390045714599856976'],
  ['broken UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'header is not valid UTF-8'],
  ['overlong UTF-8', file(Uint8Array.of(0x7b, 0xc0, 0xa2, 0x7d)), 'header is not valid UTF-8'],
  ['broken JSON', file('{"a":}'), 'header is not valid JSON'],
  ['JSON cut short', file('{"a":{"dtype":"F3'), 'header is not valid JSON'],
  ['text after the JSON', file('{}x'), 'header is not valid JSON'],
  ['two objects', file('{}{}'), 'header is not valid JSON'],
  ['a NUL after the JSON', file('{}\0'), 'header is not valid JSON'],
  ['NaN in JSON', one('{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}'), 'header is not valid JSON'],
  ['an escape that is none', file('{"\\q":1}'), 'header is not valid JSON'],
  ['nesting', file(`{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`), 'header nests deeper than 16 levels'],
  ['nesting that never ends', file('{"a":'.repeat(100000)), 'header nests deeper than 16 levels'],
  ['a tensor twice', file(`{${f32('a', 0, 4)},${f32('a', 0, 4)}}`, 4), 'header has the key "a" twice'],
  ['a tensor twice, once escaped', file(`{${f32('a', 0, 4)},${f32('\\u0061', 0, 4)}}`, 4), 'header has the key "a" twice'],
  ['a dtype twice', one('{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,4]}'), 'header has the key "dtype" twice'],
  ['a metadata key twice', file('{"__metadata__":{"k":"1","k":"2"}}'), 'header has the key "k" twice'],
  [
    'half a surrogate pair',
    file('{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    'tensor name "\\ud800" is not valid Unicode',
  ],
  ['metadata null', file('{"__metadata__":null}'), '"__metadata__" expected an object of strings, got null'],
  ['metadata an array', file('{"__metadata__":["a"]}'), '"__metadata__" expected an object of strings, got ["a"]'],
  ['metadata of numbers', file('{"__metadata__":{"k":1}}'), '"__metadata__" key "k" expected a string, got 1'],
  ['a tensor null', one('null'), 'tensor "a" expected an object with dtype, shape and data_offsets, got null'],
  [
    'a tensor an array',
    one('["F32",[1],[0,4]]'),
    'tensor "a" expected an object with dtype, shape and data_offsets, got ["F32", [1], [0, 4]]',
  ],
  ['a tensor of nothing', one('{}'), `tensor "a" expected dtype one of ${DTYPES}, got undefined`],
  [
    'an inherited dtype',
    one('{"__proto__":{"dtype":"F32"},"shape":[1],"data_offsets":[0,4]}'),
    `tensor "a" expected dtype one of ${DTYPES}, got undefined`,
  ],
  ['an unknown dtype', one('{"dtype":"F128","shape":[1],"data_offsets":[0,4]}'), `tensor "a" expected dtype one of ${DTYPES}, got "F128"`],
  [
    'a dtype of the prototype',
    one('{"dtype":"toString","shape":[1],"data_offsets":[0,4]}'),
    `tensor "a" expected dtype one of ${DTYPES}, got "toString"`,
  ],
  [
    'a dtype in lower case',
    one('{"dtype":"f32","shape":[1],"data_offsets":[0,4]}'),
    `tensor "a" expected dtype one of ${DTYPES}, got "f32"`,
  ],
  ['a dtype a number', one('{"dtype":32,"shape":[1],"data_offsets":[0,4]}'), `tensor "a" expected dtype one of ${DTYPES}, got 32`],
  ['no shape', one('{"dtype":"F32","data_offsets":[0,4]}'), 'tensor "a" expected shape an array of integers, got undefined'],
  ['a shape a string', one('{"dtype":"F32","shape":"1","data_offsets":[0,4]}'), 'tensor "a" expected shape an array of integers, got "1"'],
  [
    'a negative size',
    one('{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [-1]',
  ],
  [
    'minus zero',
    one('{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}', 0),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [-0]',
  ],
  [
    'a fraction',
    one('{"dtype":"F32","shape":[1,1.5],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [1, 1.5]',
  ],
  [
    'a null size',
    one('{"dtype":"F32","shape":[null],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [null]',
  ],
  [
    'a true size',
    one('{"dtype":"F32","shape":[true],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [true]',
  ],
  [
    'a size past 2^53',
    one('{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [9007199254740992]',
  ],
  [
    'an infinite size',
    one('{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [Infinity]',
  ],
  [
    'a product that overflows',
    one('{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}'),
    'tensor "a" expected shape of less than 2^53 bits in all, got [4294967296, 4294967296]',
  ],
  [
    'a product that wraps to 0',
    one('{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}', 0),
    'tensor "a" expected shape of less than 2^53 bits in all, got [4294967296, 4294967296, 0]',
  ],
  [
    'half a byte',
    one('{"dtype":"F4","shape":[3],"data_offsets":[0,2]}'),
    'tensor "a" expected shape of whole bytes (F4 has 4 bits), got [3]',
  ],
  ['no offsets', one('{"dtype":"F32","shape":[1]}'), 'tensor "a" expected data_offsets of two integers from 0 to 2^53 - 1, got undefined'],
  [
    'one offset',
    one('{"dtype":"F32","shape":[1],"data_offsets":[4]}'),
    'tensor "a" expected data_offsets of two integers from 0 to 2^53 - 1, got [4]',
  ],
  [
    'three offsets',
    one('{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}'),
    'tensor "a" expected data_offsets of two integers from 0 to 2^53 - 1, got [0, 4, 8]',
  ],
  [
    'a negative offset',
    one('{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}'),
    'tensor "a" expected data_offsets of two integers from 0 to 2^53 - 1, got [-4, 0]',
  ],
  [
    'a text offset',
    one('{"dtype":"F32","shape":[1],"data_offsets":["0",4]}'),
    'tensor "a" expected data_offsets of two integers from 0 to 2^53 - 1, got ["0", 4]',
  ],
  [
    'begin after end',
    one('{"dtype":"F32","shape":[1],"data_offsets":[4,0]}'),
    'tensor "a" expected data_offsets that begin before they end, got [4, 0]',
  ],
  [
    'offsets past the file',
    one('{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'),
    'tensor "a" expected data_offsets within the 4 bytes of data, got [0, 8]',
  ],
  [
    'offsets far past the file',
    one('{"dtype":"F32","shape":[1],"data_offsets":[9007199254740987,9007199254740991]}'),
    'tensor "a" expected data_offsets within the 4 bytes of data, got [9007199254740987, 9007199254740991]',
  ],
  [
    'too few bytes',
    one('{"dtype":"F32","shape":[2],"data_offsets":[0,4]}'),
    'tensor "a" expected 8 bytes (F32 [2]), got 4 (data_offsets [0, 4])',
  ],
  [
    'too many bytes',
    one('{"dtype":"F16","shape":[],"data_offsets":[0,4]}'),
    'tensor "a" expected 2 bytes (F16 []), got 4 (data_offsets [0, 4])',
  ],
  ['an overlap', file(`{${f32('b', 4, 12)},${f32('a', 0, 8)}}`, 12), 'tensor "b" begins at byte 4, inside tensor "a" which ends at 8'],
  [
    'the same bytes twice',
    file(`{${f32('a', 0, 4)},${f32('b', 0, 4)}}`, 4),
    'tensor "b" begins at byte 0, inside tensor "a" which ends at 4',
  ],
  [
    'an empty tensor inside another',
    file(`{${f32('a', 0, 8)},${f32('b', 4, 4, [0])}}`, 8),
    'tensor "b" begins at byte 4, inside tensor "a" which ends at 8',
  ],
  ['a hole', file(`{${f32('a', 0, 4)},${f32('b', 8, 12)}}`, 12), 'tensor "b" expected to begin at byte 4, got 8: a hole'],
  ['a hole at the start', file(`{${f32('a', 4, 8)}}`, 8), 'tensor "a" expected to begin at byte 0, got 4: a hole'],
  ['bytes after the last tensor', file(`{${f32('a', 0, 4)}}`, 9), 'expected 4 bytes of data, got 9: 5 belong to no tensor'],
  ['data without tensors', file('{}', 1), 'expected 0 bytes of data, got 1: 1 belong to no tensor'],
  [
    'a name that drives a terminal',
    file('{"\\u001b[2J\\u009b\\u202e\\n":1}'),
    'tensor "\\u001b[2J\\u009b\\u202e\\n" expected an object with dtype, shape and data_offsets, got 1',
  ],
  [
    'a name without end',
    file(`{"${'x'.repeat(500)}":1}`),
    `tensor "${'x'.repeat(80)}…" expected an object with dtype, shape and data_offsets, got 1`,
  ],
  [
    'a shape without end',
    one(`{"dtype":"F32","shape":[${'0,'.repeat(5000)}-1],"data_offsets":[0,4]}`),
    'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [0, 0, 0, 0, 0, 0, 0, 0, …]',
  ],
];

describe('a hostile file gives its one line', () => {
  it.each(HOSTILE)('%s', (_, bytes, message) => {
    expect(messageOf(() => readSafetensors(bytes))).toBe(`safetensors: ${message}`);
  });

  it('of one line each', () => {
    for (const [, bytes] of HOSTILE) expect(messageOf(() => readSafetensors(bytes))).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u);
  });
});

describe('what is not a file or a tensor', () => {
  const tensor = (part: object): Map<string, SafeTensor> =>
    new Map([['a', { dtype: 'F32', shape: [1], data: new Uint8Array(4), ...part } as SafeTensor]]);

  it.each([
    ['an ArrayBuffer', new ArrayBuffer(8), 'an object'],
    ['a string', 'x', '"x"'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
  ])('the reader refuses %s', (_, bytes, got) => {
    expect(() => readSafetensors(bytes as unknown as Uint8Array)).toThrow(
      new TypeError(`readSafetensors: "bytes" expected a Uint8Array, got ${got}`),
    );
  });

  it.each([
    ['an unknown dtype', tensor({ dtype: 'F12' }), `tensor "a" expected dtype one of ${DTYPES}, got "F12"`],
    ['a fraction', tensor({ shape: [0.5] }), 'tensor "a" expected shape of integers from 0 to 2^53 - 1, got [0.5]'],
    ['a wrong size', tensor({ shape: [2] }), 'tensor "a" expected 8 bytes (F32 [2]), got 4'],
    [
      'the metadata’s name',
      new Map([['__metadata__', { dtype: 'U8', shape: [0], data: new Uint8Array(0) } as const]]),
      'a tensor cannot be named "__metadata__"',
    ],
    [
      'half a surrogate pair',
      new Map([['\udc00', { dtype: 'U8', shape: [0], data: new Uint8Array(0) } as const]]),
      'tensor name "\\udc00" is not valid Unicode',
    ],
  ])('the writer refuses %s', (_, tensors, message) => {
    expect(messageOf(() => writeSafetensors(tensors))).toBe(`safetensors: ${message}`);
  });

  it('the writer refuses wrong types', () => {
    expect(() => writeSafetensors(tensor({ data: new Float32Array(1) }))).toThrow(
      new TypeError('writeSafetensors: tensor "a" expected data a Uint8Array, got an object'),
    );
    expect(() => writeSafetensors(new Map([['a', null as unknown as SafeTensor]]))).toThrow(
      new TypeError('writeSafetensors: tensor "a" expected an object, got null'),
    );
    expect(() => writeSafetensors(tensor({}), { k: 1 as unknown as string })).toThrow(
      new TypeError('writeSafetensors: metadata "k" expected a string, got 1'),
    );
    expect(messageOf(() => writeSafetensors(tensor({}), { k: '\ud800' }))).toBe(
      'safetensors: "__metadata__" text of "k" "\\ud800" is not valid Unicode',
    );
  });
});

/** What any input may do: be read with views inside it that cover it, or give the module's own error. Returns whether it was read. */
function readsOrRefuses(bytes: Uint8Array): boolean {
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    let covered = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    for (const { data } of tensors.values()) {
      expect(data.buffer).toBe(bytes.buffer);
      covered += data.length;
    }
    expect(covered).toBe(bytes.length);
    for (const text of Object.values(metadata)) expect(typeof text).toBe('string');
    return true;
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    expect(error.message).not.toMatch(/[\n\r]/);
    return false;
  }
}

describe('fuzz', () => {
  it('random bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readsOrRefuses(bytes)),
      { numRuns: 500 },
    );
  });

  it('random JSON as a header is read or refused', () => {
    const keys = fc.constantFrom('a', 'b', '__metadata__', 'dtype', 'shape', 'data_offsets', '__proto__', 'constructor');
    const leaf = fc.oneof(fc.constantFrom('F32', 'U8', 'F4', null, true), fc.double(), fc.nat(16), fc.array(fc.nat(8), { maxLength: 3 }));
    const header = fc.dictionary(keys, fc.oneof(leaf, fc.dictionary(keys, leaf)));
    fc.assert(
      fc.property(header, fc.nat(16), (value, data) => void readsOrRefuses(file(JSON.stringify(value), data))),
      { numRuns: 500 },
    );
  });

  it('valid files with bytes changed, cut or added are read or refused', () => {
    let read = 0;
    const change = fc.record({
      at: fc.nat(2000),
      byte: fc.integer({ min: 0, max: 255 }),
      kind: fc.constantFrom('set', 'digit', 'cut', 'add'),
    });
    fc.assert(
      fc.property(anyTensors, anyMetadata, fc.array(change, { maxLength: 3 }), (tensors, metadata, changes) => {
        let bytes: Uint8Array = writeSafetensors(tensors, metadata);
        for (const { at, byte, kind } of changes) {
          const i = at % bytes.length;
          if (kind === 'set') bytes[i] = byte;
          else if (kind === 'digit') bytes[i] = 0x30 + (byte % 10);
          else if (kind === 'cut') bytes = bytes.slice(0, Math.max(i, 1));
          else bytes = Uint8Array.of(...bytes, byte);
        }
        if (readsOrRefuses(bytes)) read++;
      }),
      { numRuns: 1000 },
    );
    expect(read).toBeGreaterThan(50);
  });

  it('a header of a hundred million bytes does not hang', () => {
    const bytes = new Uint8Array(8 + 100_000_000).fill(0x20);
    new DataView(bytes.buffer).setBigUint64(0, 100_000_000n, true);
    bytes.set(new TextEncoder().encode('{"a":1,"'), 8);
    const started = performance.now();
    expect(messageOf(() => readSafetensors(bytes))).toBe('safetensors: header is not valid JSON');
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 30_000);
});
