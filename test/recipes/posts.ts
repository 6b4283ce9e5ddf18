/** What is posted to a recipe, and what must come back. */
import { expect } from 'vitest';
import { alibi, createEngineSync, type Encoding, rotary } from '../../src/index.ts';
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../src/safetensors/index.ts';

/** A tensor of f32 from numbers that differ with the seed. */
export function tensor(shape: readonly number[], seed: number): SafeTensor {
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  for (let n = 0, state = seed; n < values.length; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[n] = state / 2 ** 31 - 1;
  }
  return { dtype: 'F32', shape, data: new Uint8Array(values.buffer) };
}

/** A file with q, k and v of one shape. */
export function file(shape: readonly number[], seed = 1, asked?: unknown): Uint8Array {
  const [q, k, v] = [tensor(shape, seed), tensor(shape, seed + 1), tensor(shape, seed + 2)] as const;
  return writeSafetensors({ q, k, v }, asked === undefined ? {} : { case: JSON.stringify(asked) });
}

const ROTARY = { name: 'rotary', options: { dim: 8, theta: 10000, layout: 'halves' } } as const;

/** A request, and the values of the library itself for it. */
export interface Example {
  readonly body: Uint8Array;
  readonly expected: Float32Array;
}

/** Requests that all differ, by their numbers and by what they ask for. */
export function examples(count: number): Example[] {
  using engine = createEngineSync();
  const kinds: [asked: unknown, encoding: Encoding[], options: object][] = [
    [undefined, [], {}],
    [{ encoding: ROTARY, attention: { causal: true } }, [rotary(ROTARY.options)], { causal: true }],
    [{ encoding: [ROTARY, { name: 'alibi', options: { heads: 2 } }] }, [rotary(ROTARY.options), alibi({ heads: 2 })], {}],
    [{ attention: { window: { left: 3, right: 0 }, scale: 0.5 } }, [], { window: { left: 3, right: 0 }, scale: 0.5 }],
  ];
  return Array.from({ length: count }, (_, n) => {
    const shape = [1, 2, 16 + n, 8];
    const [asked, encoding, options] = kinds[n % kinds.length] as (typeof kinds)[number];
    const [q, k, v] = [tensor(shape, n), tensor(shape, n + 1), tensor(shape, n + 2)] as const;
    const out = engine.attentionSync(q, k, v, { ...options, encoding });
    return { body: file(shape, n, asked), expected: out.toArray() };
  });
}

/** The request that `make-input.mjs` wrote, and the library's values for what the pages say is in it. */
export function madeInput(body: Uint8Array): Example {
  using engine = createEngineSync();
  const { tensors, metadata } = readSafetensors(body);
  const options = { dim: 64, theta: 10000, layout: 'halves' } as const;
  expect(JSON.parse(metadata.case ?? '')).toEqual({ encoding: { name: 'rotary', options }, attention: { causal: true } });
  const [q, k, v] = ['q', 'k', 'v'].map((name) => tensors.get(name) as SafeTensor) as [SafeTensor, SafeTensor, SafeTensor];
  return { body, expected: engine.attentionSync(q, k, v, { encoding: rotary(options), causal: true }).toArray() };
}

/** The reply's file holds these bits. */
export function expectValues(reply: Uint8Array, expected: Float32Array): void {
  const out = readSafetensors(reply).tensors.get('out');
  expect(out?.dtype).toBe('F32');
  expect(Buffer.from(out?.data ?? []).equals(Buffer.from(expected.buffer))).toBe(true);
}

/** Requests that are wrong, with the status and what the answer says. */
export function wrongs(): [name: string, body: Uint8Array, status: number, says: string][] {
  const [x, other] = [tensor([1, 2, 4, 8], 1), tensor([1, 3, 4, 8], 2)];
  const header = (text: string, length = text.length): Uint8Array => {
    const bytes = new Uint8Array(8 + text.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
    bytes.set(new TextEncoder().encode(text), 8);
    return bytes;
  };
  const asking = (asked: string): Uint8Array => writeSafetensors({ q: x, k: x, v: x }, { case: asked });
  return [
    ['nothing', new Uint8Array(0), 400, "expected at least 8 bytes (the header's length), got 0"],
    ['a header longer than the file', header('{}', 2 ** 40), 400, 'header expected at most 100000000 bytes'],
    ['a header that is no JSON', header('{"q":'), 400, 'header is not valid JSON'],
    [
      'offsets outside of the file',
      header('{"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'),
      400,
      'data_offsets within the 0 bytes',
    ],
    ['a header that nests', header('{"q":'.repeat(40)), 400, 'nests deeper'],
    ['no v', writeSafetensors({ q: x, k: x }), 400, '"v" expected a tensor'],
    ['heads that do not divide', writeSafetensors({ q: x, k: other, v: other }), 400, 'H=2 is not divisible by G=3'],
    ['two dimensions', writeSafetensors({ q: tensor([2, 8], 1), k: x, v: x }), 400, '"q" expected shape [B, H, L, D], got [2, 8]'],
    ['integers', writeSafetensors({ q: { ...x, dtype: 'I32' }, k: x, v: x }), 400, 'f32, f16 or bf16, got "I32"'],
    ['options that are no JSON', asking('{'), 400, 'JSON'],
    ['options that are null', asking('null'), 400, 'case: expected an object'],
    ['an option that strangers have not', asking('{"attention":{"out":1}}'), 400, 'got "out"'],
    ['the prototype', asking('{"attention":{"__proto__":{"causal":true}}}'), 400, 'got "__proto__"'],
    ['an unknown encoding', asking('{"encoding":{"name":"constructor"}}'), 400, 'expected alibi or rotary'],
    ['a wrong option', asking('{"encoding":{"name":"rotary","options":{"dim":7,"theta":1,"layout":"halves"}}}'), 400, '"dim"'],
    ['many encodings', asking(`{"encoding":[${'{},'.repeat(99)}{}]}`), 413, 'at most 2, got 100'],
    ['hours of work', file([1, 1, 170_000, 1]), 413, 'at most 100000000000 operations, got 115600000000'],
    [
      'a result beyond all memory',
      writeSafetensors({ q: tensor([1, 1, 100_000, 1], 1), k: tensor([1, 1, 1, 1], 1), v: tensor([1, 1, 1, 1024], 1) }),
      413,
      'out of memory',
    ],
  ];
}
