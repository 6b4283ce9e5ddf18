/** GGUF files, written here by a writer of their own: the numbers, the model and the tokenizer are those of the checkpoint that they were made of. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import type { Blueprint } from '../../src/models/blueprint.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { GGUF_TYPES } from '../../src/models/gguf-blocks.ts';
import { estimate, loadDecoder, pack } from '../../src/models/index.ts';
import { inspectCheckpoint } from '../../src/models/inspect.ts';
import { loadTokenizer } from '../../src/models/tokenizer.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint } from './checkpoints.ts';
import { all, memoryOf } from './loaded.ts';
import { Server } from './loader/files.ts';

const STORY = fileURLToPath(new URL('../../examples/models/story-llama/', import.meta.url));
const golden = JSON.parse(readFileSync(new URL('gguf.json', import.meta.url), 'utf8')) as {
  strings: string[];
  blocks: Record<string, { bytes: string; numbers: string }>;
  cuts: Record<string, number[][]>;
  pieces: { tokens: string[]; scores: number[]; types: number[]; ids: number[][]; decoded: string[] };
};
const folders = mkdtempSync(join(tmpdir(), 'relpos-gguf-'));
afterAll(() => rmSync(folders, { recursive: true }));

type Value =
  | number
  | boolean
  | string
  | readonly string[]
  | { readonly f32: number }
  | { readonly f32s: readonly number[] }
  | { readonly i32s: readonly number[] };
interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A growing row of bytes. */
class Bytes {
  readonly parts: number[] = [];
  number(value: number, bytes: number): this {
    for (let n = 0; n < bytes; n++) this.parts.push(Number((BigInt(value) >> BigInt(8 * n)) & 255n));
    return this;
  }
  float(value: number): this {
    this.parts.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }
  text(text: string): this {
    const bytes = new TextEncoder().encode(text);
    this.number(bytes.length, 8);
    for (const byte of bytes) this.parts.push(byte);
    return this;
  }
  value(value: Value): this {
    if (typeof value === 'number') return this.number(4, 4).number(value, 4);
    if (typeof value === 'boolean') return this.number(7, 4).number(Number(value), 1);
    if (typeof value === 'string') return this.number(8, 4).text(value);
    if (Array.isArray(value)) {
      this.number(9, 4).number(8, 4).number(value.length, 8);
      for (const one of value) this.text(one);
      return this;
    }
    if ('f32' in value) return this.number(6, 4).float(value.f32);
    if ('f32s' in value) {
      this.number(9, 4).number(6, 4).number(value.f32s.length, 8);
      for (const one of value.f32s) this.float(one);
      return this;
    }
    const { i32s } = value as { i32s: readonly number[] };
    this.number(9, 4).number(5, 4).number(i32s.length, 8);
    for (const one of i32s) this.number(one, 4);
    return this;
  }
}

/** Writes a file. */
function gguf(values: Readonly<Record<string, Value>>, tensors: readonly Tensor[], version = 3): Uint8Array {
  const head = new Bytes().number(0x46554747, 4).number(version, 4).number(tensors.length, 8).number(Object.keys(values).length, 8);
  for (const [key, value] of Object.entries(values)) head.text(key).value(value);
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    head.text(name).number(shape.length, 4);
    for (const size of [...shape].reverse()) head.number(size, 8);
    head.number(type, 4).number(offset, 8);
    offset += Math.ceil(bytes.length / 32) * 32;
  }
  const start = Math.ceil(head.parts.length / 32) * 32;
  const file = new Uint8Array(start + offset);
  file.set(head.parts);
  let at = start;
  for (const { bytes } of tensors) {
    file.set(bytes, at);
    at += Math.ceil(bytes.length / 32) * 32;
  }
  return file;
}

/** f16 bits of a number that is one, or near one. */
function halfBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  const exponent = ((bits >> 23) & 255) - 112;
  if (exponent <= 0) return 0;
  // Cut off, not rounded: any f16 near by is a scale.
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >> 13) & 1023);
}

/** Numbers of a tensor of F16, as GGUF's own decoder never reads them. */
function floats(data: Uint8Array): Float32Array {
  const bits = new Uint16Array(data.slice().buffer);
  return Float32Array.from(bits, (one) => {
    const [exponent, fraction] = [(one >> 10) & 31, one & 1023];
    const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    return one >> 15 ? -size : size;
  });
}

/** Blocks of 32 as Q8_0, or as Q4_0 whose largest number is −8. */
function quantised(numbers: Float32Array, type: 'Q8_0' | 'Q4_0'): Uint8Array {
  const bytes = type === 'Q8_0' ? 34 : 18;
  const out = new Uint8Array((numbers.length / 32) * bytes);
  for (let block = 0; block < numbers.length / 32; block++) {
    const row = [...numbers.subarray(32 * block, 32 * block + 32)];
    const largest = row.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    const d = type === 'Q8_0' ? Math.abs(largest) / 127 : largest / -8;
    const scale = halfBits(d);
    out.set([scale & 255, scale >> 8], bytes * block);
    row.forEach((x, i) => {
      const q = d === 0 ? 0 : x / d;
      if (type === 'Q8_0') out[bytes * block + 2 + i] = Math.round(q) & 255;
      else
        out[bytes * block + 2 + (i & 15)] =
          (out[bytes * block + 2 + (i & 15)] as number) | (Math.min(15, Math.floor(q + 8.5)) << (i & 16 ? 4 : 0));
    });
  }
  return out;
}

const PARTS: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

type Kind = 'F32' | 'F16' | 'Q8_0' | 'Q4_0';
type Config = Readonly<Record<string, number>>;

/** Rows of heads with the two numbers that turn together side by side. */
function paired(numbers: Float32Array, rows: number, heads: number): Float32Array {
  const [width, half] = [numbers.length / rows, rows / heads / 2];
  const out = new Float32Array(numbers.length);
  for (let h = 0; h < heads; h++) {
    for (let side = 0; side < 2; side++) {
      for (let n = 0; n < half; n++) {
        const from = (h * 2 + side) * half + n;
        out.set(numbers.subarray(from * width, (from + 1) * width), ((h * half + n) * 2 + side) * width);
      }
    }
  }
  return out;
}

/** The tensors of a folder as a file has them. */
function tensorsOf(folder: string, architecture: string, kind: Kind): Tensor[] {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Config;
  const file = readSafetensors(readFileSync(join(folder, 'model.safetensors')));
  return [...file.tensors].map(([own, { shape, dtype, data }]) => {
    const [, layer, part = '', last] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(own) ?? [];
    const heads = { 'self_attn.q_proj': config.num_attention_heads, 'self_attn.k_proj': config.num_key_value_heads }[part];
    const whole = { 'model.embed_tokens': 'token_embd', 'model.norm': 'output_norm', lm_head: 'output' }[part];
    const name = `${layer === undefined ? whole : `blk.${layer}.${PARTS[part]}`}.${last}`;
    expect(dtype).toBe('F16');
    const read = floats(data);
    const numbers = architecture === 'llama' && heads ? paired(read, shape[0] as number, heads) : read;
    if (kind === 'F32' || shape.length === 1) return { name, shape, type: 0, bytes: new Uint8Array(numbers.slice().buffer) };
    if (kind === 'F16' || (shape.at(-1) as number) % 32) {
      // Their own bits, in the other order.
      const bits = new Uint16Array(data.slice().buffer);
      const order = Float32Array.from(bits.keys());
      const moved = architecture === 'llama' && heads ? paired(order, shape[0] as number, heads) : order;
      return { name, shape, type: 1, bytes: new Uint8Array(Uint16Array.from(moved, (n) => bits[n] as number).buffer) };
    }
    return { name, shape, type: kind === 'Q8_0' ? 8 : 2, bytes: quantised(numbers, kind) };
  });
}

function valuesOf(folder: string, architecture: string): Record<string, Value> {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Config;
  const own = (key: string): string => `${architecture}.${key}`;
  const base = (config.rope_theta ?? 10000) as number;
  return {
    'general.architecture': architecture,
    [own('context_length')]: config.max_position_embeddings as number,
    [own('embedding_length')]: config.hidden_size as number,
    [own('block_count')]: config.num_hidden_layers as number,
    [own('feed_forward_length')]: config.intermediate_size as number,
    [own('attention.head_count')]: config.num_attention_heads as number,
    [own('attention.head_count_kv')]: config.num_key_value_heads as number,
    ...(config.head_dim && { [own('attention.key_length')]: config.head_dim }),
    [own('attention.layer_norm_rms_epsilon')]: { f32: config.rms_norm_eps as number },
    [own('rope.freq_base')]: { f32: base },
    [own('vocab_size')]: config.vocab_size as number,
  };
}

/** Tokens of a byte-level tokenizer.json. */
function tokensOf(folder: string, pre = 'gpt-2'): Record<string, Value> {
  const { model } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'));
  const tokens = Object.entries(model.vocab as Record<string, number>).sort(([, a], [, b]) => a - b);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens.map(([token]) => token),
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (id < 2 ? 3 : 1)) },
    'tokenizer.ggml.merges': (model.merges as (string | string[])[]).map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))),
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    'tokenizer.ggml.add_bos_token': true,
  };
}

const story = (kind: Kind = 'F16', more: Readonly<Record<string, Value>> = {}): Uint8Array =>
  gguf({ ...valuesOf(STORY, 'llama'), ...tokensOf(STORY), ...more }, tensorsOf(STORY, 'llama', kind));
const STORY_FILE = story();

test.each(Object.entries(golden.blocks))('blocks of %s are the numbers that gguf makes of them', (name, { bytes, numbers }) => {
  const type = Object.values(GGUF_TYPES).find((one) => one.name === name) as (typeof GGUF_TYPES)[number];
  const from = new Uint8Array(Buffer.from(bytes, 'base64'));
  const expected = new Uint8Array(Buffer.from(numbers, 'base64'));
  const found = new Float32Array(expected.length / 4);
  type?.decode?.(from, from.length / type.bytes, found);
  // Zeros without their sign, which is that of a scale.
  expect(found.map((x) => x + 0)).toEqual(new Float32Array(expected.buffer).map((x) => x + 0));
});

describe('a model of a GGUF file', () => {
  test.each(['F32', 'F16'] as const)('in %s is in memory what its checkpoint is', async (kind) => {
    const engine = await createEngine({ threads: 1 });
    for (const weights of ['f32', 'i8'] as const) {
      expect(await memoryOf(engine, { 'a.gguf': story(kind) }, weights)).toEqual(await memoryOf(engine, STORY, weights));
    }
    engine.dispose();
  });

  test.each(['llama', 'qwen2', 'qwen3'])('is that of %s', async (name) => {
    const { folder } = checkpoint(name);
    const engine = await createEngine({ threads: 1 });
    const tensors = tensorsOf(folder, name, 'F32');
    const given = { 'a.gguf': gguf(valuesOf(folder, name), tensors) };
    expect(await memoryOf(engine, given, 'f16')).toEqual(await memoryOf(engine, folder, 'f16'));
    const found = (await inspectCheckpoint(given)).blueprint as Blueprint;
    const blueprint = (await inspectCheckpoint(folder)).blueprint as Blueprint;
    const of = ({ decoder, longest, kind }: Blueprint) =>
      [kind, longest, decoder?.layers[0]?.attention, decoder?.norm].map((one) => JSON.stringify(one));
    expect(of(found)).toEqual(of(blueprint));
    engine.dispose();
  });

  test('of Q4_0 has the scales and integers of the file in i4', async () => {
    const engine = await createEngine({ threads: 1 });
    const file = story('Q4_0');
    const memory = new Map(await memoryOf(engine, { 'a.gguf': file }));
    const { bytes, shape } = tensorsOf(STORY, 'llama', 'Q4_0').find(({ name }) => name === 'blk.2.attn_output.weight') as Tensor;
    const panels = memory.get('model.layers.2.self_attn.o_proj.weight') as Uint8Array;
    const [rows, width] = shape as [number, number];
    const scales = new Float32Array(panels.buffer);
    const half = new Float32Array(32);
    for (let row = 0; row < rows; row++) {
      for (let block = 0; block < width / 32; block++) {
        const at = 18 * ((row * width) / 32 + block);
        // The scale, as the block's own number for q = 9.
        GGUF_TYPES[2]?.decode?.(new Uint8Array([bytes[at] as number, bytes[at + 1] as number, ...new Array(16).fill(0x99)]), 1, half);
        const panel = 160 * ((row >> 3) * (width / 32) + block);
        expect(scales[panel / 4 + (row & 7)]).toBe(half[0]);
        for (let k = 0; k < 32; k++) {
          const byte = panels[panel + 32 + 32 * (k >> 3) + 4 * (row & 7) + (k & 3)] as number;
          const own = bytes[at + 2 + (k & 15)] as number;
          if ((k & 4 ? byte >> 4 : byte & 15) !== (k & 16 ? own >> 4 : own & 15)) throw new Error(`row ${row}, number ${32 * block + k}`);
        }
      }
    }
    engine.dispose();
  });

  test.each([
    ['F16', 'f16'],
    ['Q8_0', 'i8'],
    ['Q4_0', 'i4'],
  ] as const)('of %s is loaded in %s', async (kind, weights) => {
    const given = { 'story.gguf': story(kind) };
    expect((await estimate(given)).weights).toBe((await estimate(STORY, { weights })).weights);
    const bytes = tensorsOf(STORY, 'llama', kind).reduce((sum, one) => sum + one.bytes.length, 0);
    expect((await estimate(given)).stored).toBe(bytes);
    using decoder = await loadDecoder(given, { threads: 2 });
    using own = await loadDecoder(STORY, { threads: 1, weights });
    // Words of which the model is sure: some of its own are nearly as likely as others, and the file's integers are rounded again.
    const [a, b] = [await all(decoder.generate('And', { maxTokens: 16 })), await all(own.generate('And', { maxTokens: 16 }))];
    expect(a).toBe(b);
    expect(a.length).toBeGreaterThan(40);
  });

  test('may be packed', async () => {
    const to = join(folders, 'packed');
    const { weights, files } = await pack({ 'story.gguf': STORY_FILE }, to, { weights: 'i8', threads: 1 });
    expect([weights, files.map(({ name }) => name)]).toEqual([
      'i8',
      ['model.safetensors', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'config.json'],
    ]);
    using one = await loadDecoder(to, { threads: 1 });
    using other = await loadDecoder(STORY, { threads: 1, weights: 'i8' });
    expect(await all(one.generate('And', { maxTokens: 30 }))).toBe(await all(other.generate('And', { maxTokens: 30 })));
  });

  test('lies in a folder, under a path or an address, among files', async () => {
    const folder = join(folders, 'one');
    mkdirSync(folder);
    const path = join(folder, 'story-llama.F16.gguf');
    writeFileSync(path, STORY_FILE);
    const server = new Server({ 'story.gguf': STORY_FILE });
    const address = await server.start();
    const blob = Object.assign(new Blob([STORY_FILE.slice()]), { name: 'story.gguf' });
    for (const given of [folder, path, pathToFileURL(path), [blob], new Map([['x.gguf', STORY_FILE]]), `${address}/story.gguf`]) {
      using decoder = await loadDecoder(given as string, { threads: 1, weights: 'i8' });
      expect(await all(decoder.generate('In the beginning', { maxTokens: 8 }))).toBe(' of the church, in');
    }
    // Its header, and a pass over its tensors.
    expect(server.asked.filter(({ name }) => name === 'story.gguf').length).toBeLessThanOrEqual(6);
    await server.stop();
  });
});

describe('the tokenizer of a GGUF file', () => {
  const of = async (values: Readonly<Record<string, Value>>, beside: Record<string, Uint8Array> = {}) =>
    loadTokenizer(
      await openCheckpoint({ where: 'loadDecoder' }, 'model', {
        'a.gguf': gguf({ ...valuesOf(STORY, 'llama'), ...values }, []),
        ...beside,
      }),
    );

  test.each(Object.entries(golden.cuts))('%s: awkward strings', async (pre, ids) => {
    const tokenizer = await of(tokensOf(STORY, pre));
    for (const [n, text] of golden.strings.entries())
      expect([text, ...tokenizer.encode(text).ids]).toEqual([text, ...(ids[n] as number[])]);
    expect(tokenizer.special).toMatchObject({ bos: { token: '<s>', id: 0 }, eos: { token: '</s>', id: 1 } });
  });

  test('pieces: awkward strings', async () => {
    const { tokens, scores, types, ids, decoded } = golden.pieces;
    const tokenizer = await of({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': { f32s: scores },
      'tokenizer.ggml.token_type': { i32s: types },
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.unknown_token_id': 0,
    });
    const wrong: unknown[] = [];
    for (const [n, text] of golden.strings.entries()) {
      // SentencePiece itself has no special tokens in a text, and puts a space before none.
      if (/<s>|<\/s>|<unk>/.test(text) || text === '') continue;
      const found = [...tokenizer.encode(text).ids];
      if (found.join() !== (ids[n] as number[]).join()) wrong.push([text, found, ids[n]]);
      else expect(tokenizer.decode(found)).toBe(decoded[n]);
    }
    expect(wrong).toEqual([]);
  });

  test('is that beside the file, if there is one, and must be where it is of an unknown kind', async () => {
    const values = { ...tokensOf(STORY), 'tokenizer.ggml.pre': 'tekken' };
    await expect(of(values)).rejects.toThrow(
      'the pre-tokenizer "tekken" is not one that is known (default, gpt-2, smollm, llama-bpe, qwen2)',
    );
    await expect(of(values)).rejects.toThrow("put the model's tokenizer.json beside it");
    await expect(of({ 'tokenizer.ggml.model': 't5' })).rejects.toThrow('the tokenizer "t5" is not one that is known (gpt2, llama)');
    const tokenizer = await of(values, { 'tokenizer.json': new Uint8Array(readFileSync(join(STORY, 'tokenizer.json'))) });
    expect([...tokenizer.encode('In the').ids]).toEqual([...(await of(tokensOf(STORY))).encode('In the').ids]);
  });
});

test('a GGUF file that has not a number for each token', async () => {
  const { tokens, scores } = golden.pieces;
  const pieces = { 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.unknown_token_id': 0 };
  const cases: [Record<string, Value>, string][] = [
    [{ 'tokenizer.ggml.scores': { f32s: scores.slice(1) } }, 'scores'],
    [{ 'tokenizer.ggml.scores': { f32s: scores }, 'tokenizer.ggml.token_type': { i32s: [...tokens.map(() => 1), 1] } }, 'token_type'],
  ];
  for (const [more, key] of cases) {
    const given = { 'a.gguf': gguf({ ...valuesOf(STORY, 'llama'), ...pieces, ...more }, tensorsOf(STORY, 'llama', 'F16')) };
    await expect(loadDecoder(given, { threads: 1 })).rejects.toThrow(
      `loadDecoder: "a.gguf": "tokenizer.ggml.${key}" expected ${tokens.length} numbers, got ${tokens.length + (key === 'scores' ? -1 : 1)}`,
    );
    // What lies beside it goes before what the file says of texts.
    const beside = { ...given, 'tokenizer.json': new Uint8Array(readFileSync(join(STORY, 'tokenizer.json'))) };
    (await loadDecoder(beside, { threads: 1 })).dispose();
  }
});

describe('a GGUF file that is broken', () => {
  const tensors = tensorsOf(STORY, 'llama', 'F16');
  const values = { ...valuesOf(STORY, 'llama'), ...tokensOf(STORY) };
  const without = (key: string) => Object.fromEntries(Object.entries(values).filter(([name]) => name !== key));
  const first = (change: Partial<Tensor>) => [{ ...(tensors[0] as Tensor), ...change }, ...tensors.slice(1)];
  const patched = (at: number, ...bytes: number[]): Uint8Array => {
    const file = STORY_FILE.slice();
    file.set(bytes, at);
    return file;
  };
  const name = tensors[0]?.name;

  test.each<[string, () => Uint8Array, string]>([
    ['of another kind', () => patched(0, 0x50), 'it does not begin with "GGUF"'],
    ['of an older version', () => gguf(values, tensors, 1), 'GGUF of version 1 is not read, only of 2 and 3'],
    ['of the other byte order', () => patched(4, 0, 0, 0, 3), 'GGUF of version 50331648 is not read'],
    ['of nothing', () => new Uint8Array(0), 'its header does not end within 0 bytes'],
    ['with a header that is cut short', () => STORY_FILE.slice(0, 5000), 'its header does not end within 5000 bytes'],
    ['with more entries than there are', () => patched(16, 255, 255, 255, 255, 255, 255, 255, 255), 'its header does not end within'],
    ['with tensors that are cut short', () => STORY_FILE.slice(0, -4096), 'ends at byte'],
    [
      'of an unknown architecture',
      () => gguf({ ...values, 'general.architecture': 'mamba' }, tensors),
      '"general.architecture" expected one of llama, qwen2, qwen3, got "mamba"',
    ],
    [
      'without a width',
      () => gguf(without('llama.embedding_length'), tensors),
      '"llama.embedding_length" expected a whole number from 1, got undefined',
    ],
    ['with experts', () => gguf({ ...values, 'llama.expert_count': 8 }, tensors), 'models with experts are not run'],
    ['of several files', () => gguf({ ...values, 'split.count': 2 }, tensors), 'it is one of several files'],
    [
      'with factors of rotations',
      () => gguf(values, [...tensors, { name: 'rope_freqs.weight', shape: [10], type: 0, bytes: new Uint8Array(40) }]),
      'rotations with factors',
    ],
    [
      'with other scaling',
      () => gguf({ ...values, 'llama.rope.scaling.type': 'yarn' }, tensors),
      '"llama.rope.scaling.type" expected none or linear, got "yarn"',
    ],
    [
      'with an unknown tensor',
      () => gguf(values, first({ name: 'blk.0.ssm.weight' })),
      'tensor "blk.0.ssm.weight" is none that llama is known to have',
    ],
    ['with an unknown type', () => gguf(values, first({ type: 12 })), `tensor "${name}" is of type 12, and only`],
    [
      'with rows that are no blocks',
      () => gguf(values, first({ type: 14 })),
      `tensor "${name}" has rows of 160, and Q6_K has blocks of 256`,
    ],
    ['with a tensor that is too large', () => gguf(values, first({ shape: [2 ** 50, 160] })), `tensor "${name}" `],
    ['with too many dimensions', () => gguf(values, first({ shape: [1, 1, 1, 1, 160] })), 'expected at most 4 dimensions, got 5'],
    ['with odd alignment', () => gguf({ ...values, 'general.alignment': 48 }, tensors), '"general.alignment" expected one of 8, 16, 32,'],
    ['with a tensor of another shape', () => gguf(values, first({ shape: [512, 320] })), `"a.gguf": "${name}" expected shape [`],
    ['that lacks a tensor', () => gguf(values, tensors.slice(1)), `"a.gguf": no tensor "${name}"`],
    [
      'that lacks a tensor of a layer',
      () =>
        gguf(
          values,
          tensors.filter((one) => one.name !== 'blk.2.attn_k.weight'),
        ),
      '"a.gguf": no tensor "blk.2.attn_k.weight"; it has blk.0.attn_k.weight',
    ],
    ['without tensors', () => gguf(values, []), '"a.gguf": it has no tensors'],
    [
      'with heads that share no keys',
      () => gguf({ ...values, 'llama.attention.head_count_kv': 3 }, tensors),
      `"a.gguf": "llama.attention.head_count_kv" expected a divisor of the ${values['llama.attention.head_count']} heads, got 3`,
    ],
    [
      'with a norm that divides by nothing',
      () => gguf({ ...values, 'llama.attention.layer_norm_rms_epsilon': { f32: 0 } }, tensors),
      '"a.gguf": "llama.attention.layer_norm_rms_epsilon" expected a',
    ],
    [
      'with rotations that grow',
      () => gguf({ ...values, 'llama.rope.freq_base': { f32: 0 } }, tensors),
      '"a.gguf": "llama.rope.freq_base" expected a',
    ],
    [
      'with scaling by what is not there',
      () => gguf({ ...values, 'llama.rope.scaling.type': 'linear' }, tensors),
      '"a.gguf": "llama.rope.scaling.factor" expected a finite number, got undefined',
    ],
    [
      'with scaling by nothing',
      () => gguf({ ...values, 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': { f32: 0 } }, tensors),
      '"a.gguf": "llama.rope.scaling.factor" expected a',
    ],
    [
      'that begins with no token',
      () => gguf({ ...values, 'tokenizer.ggml.bos_token_id': 999_999 }, tensors),
      `"a.gguf": "tokenizer.ggml.bos_token_id" expected a token in 0 … ${(values['llama.vocab_size'] as number) - 1}, got 999999`,
    ],
    [
      'that ends with no token',
      () => gguf({ ...values, 'tokenizer.ggml.eos_token_id': values['llama.vocab_size'] as number }, tensors),
      '"a.gguf": "tokenizer.ggml.eos_token_id" expected a token in 0 … ',
    ],
    [
      'with more tokens than it has rows for',
      () => gguf({ ...values, 'llama.vocab_size': 7 }, tensors),
      `"a.gguf": "tokenizer.ggml.tokens" expected at most 7 tokens, got ${(values['tokenizer.ggml.tokens'] as string[]).length}`,
    ],
  ])('%s: one clear error, and memory as before', async (_, file, message) => {
    const given = { 'a.gguf': file() };
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    for (const load of [() => loadDecoder(given, { engine }), () => estimate(given)]) {
      await expect(load()).rejects.toMatchObject({ code: 'bad-checkpoint' });
      await expect(load()).rejects.toThrow(message);
      await expect(load()).rejects.not.toThrow(/config\.json|safetensors/);
    }
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
  });
});
