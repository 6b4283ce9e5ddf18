/** Packed models: what is written, that it loads to the same memory and the same bits, and how it is refused when it is not whole. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { estimate, loadDecoder, loadEncoder, loadSeq2Seq, type PackOptions, pack } from '../../src/models/index.ts';
import { inspectCheckpoint } from '../../src/models/inspect.ts';
import type { LoadProgress } from '../../src/models/weights.ts';
import { WEIGHT_TYPES } from '../../src/nn/weights.ts';
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint, checkpointNames } from './checkpoints.ts';
import { all, memoryOf } from './loaded.ts';
import { Server } from './loader/files.ts';
import { BERT_CONFIG, WORD_PIECES } from './loader/vocabularies.ts';

type Files = Record<string, Uint8Array>;

const root = fileURLToPath(new URL('../../examples/models/', import.meta.url));
const STORY = join(root, 'story-llama');
const FIX = join(root, 'fix-t5');
const MODEL = 'model.safetensors';
const folders = mkdtempSync(join(tmpdir(), 'relpos-packed-'));
afterAll(() => rmSync(folders, { recursive: true }));
let count = 0;
/** A path at which nothing is. */
const fresh = (): string => join(folders, `${count++}`);

const text = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const filesOf = (folder: string): Files =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => name.replaceAll('\\', '/'))
      .filter((name) => !name.startsWith('reference') && statSync(join(folder, name)).isFile())
      .map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]),
  );

/** Packs into memory. */
async function packed(model: string | Files, options: PackOptions = {}): Promise<Files> {
  const files: Files = {};
  const write = async (name: string, size: number, pieces: AsyncIterable<Uint8Array>): Promise<void> => {
    const all = new Uint8Array(size);
    let at = 0;
    for await (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    expect(at).toBe(size);
    files[name] = all;
  };
  await pack(model, { write }, { threads: 1, ...options });
  return files;
}

type Memory = Awaited<ReturnType<typeof memoryOf>>;

/** The first place in which two models differ, of as many; −1: none. */
const differing = (a: Memory, b: Memory): number =>
  a.findIndex(([name, bytes], n) => name !== b[n]?.[0] || Buffer.compare(bytes, b[n]?.[1] as Uint8Array) !== 0);

/** A tiny BERT with words, whose pooling is that of sentence-transformers. */
function sentences(): Files {
  const { [MODEL]: weights, 'config.json': config } = filesOf(checkpoint('bert').folder) as Files & { 'model.safetensors': Uint8Array };
  return {
    'config.json': config as Uint8Array,
    [MODEL]: weights,
    'tokenizer.json': text(WORD_PIECES),
    'tokenizer_config.json': text(BERT_CONFIG),
    'modules.json': text([
      { type: 'sentence_transformers.models.Transformer', path: '' },
      { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
      { type: 'sentence_transformers.models.Normalize', path: '2_Normalize' },
    ]),
    '1_Pooling/config.json': text({ pooling_mode_cls_token: true }),
    'config_sentence_transformers.json': text({ prompts: { query: 'hello ' } }),
    'notes.txt': text('not of the model'),
  };
}

describe('the memory of a model', () => {
  test.each(checkpointNames)('%s: read from packed i8 is what packing makes', async (name) => {
    const engine = await createEngine({ threads: 1 });
    const files = filesOf(checkpoint(name).folder);
    const small = await packed(files, { weights: 'i8' });
    const [read, made] = [await memoryOf(engine, small), await memoryOf(engine, files, 'i8')];
    expect(made.length).toBeGreaterThan(10);
    expect(read.length).toBe(made.length);
    expect(differing(read, made)).toBe(-1);
    expect(differing(await memoryOf(engine, small, undefined, { alone: true }), made)).toBe(-1);
    engine.dispose();
  });

  test.each([1, 2])('read straight into it on %i: of several files, of a folder, from a server, told of or not', async (threads) => {
    const engine = await createEngine({ threads });
    const made = await memoryOf(engine, STORY, 'f16');
    const folder = fresh();
    await pack(STORY, folder, { weights: 'f16', threads: 1 });
    const server = new Server(await packed(STORY, { weights: 'f16', shardSize: 100_000 }));
    for (const given of [server.files, folder, await server.start()]) {
      const told: LoadProgress[] = [];
      for (const onProgress of [undefined, (each: LoadProgress) => told.push(each)]) {
        expect(differing(await memoryOf(engine, given, undefined, { alone: true, ...(onProgress && { onProgress }) }), made)).toBe(-1);
      }
      const copied: LoadProgress[] = [];
      await memoryOf(engine, given, undefined, { onProgress: (each) => copied.push(each) });
      expect(told).toEqual(copied);
      expect(told.at(-1)?.loaded).toBe(told[0]?.total);
    }
    await server.stop();
    engine.dispose();
  });

  test.each(['bert-classify', 'deberta-v2-conv', 'deberta-v3', 'gpt2', 'longt5-global', 'phi3', 't5', 'transformer-xl'])(
    '%s: the same in every type',
    async (name) => {
      const engine = await createEngine({ threads: 2 });
      const files = filesOf(checkpoint(name).folder);
      for (const weights of WEIGHT_TYPES) {
        const [read, made] = [await memoryOf(engine, await packed(files, { weights, threads: 3 })), await memoryOf(engine, files, weights)];
        expect(differing(read, made)).toBe(-1);
      }
      engine.dispose();
    },
  );

  test.each(['i8', 'i4'] as const)('whatever reads embeddings before they are projected is of f16, the rest of %s', async (weights) => {
    const { [MODEL]: file } = await packed(filesOf(checkpoint('transformer-xl').folder), { weights });
    const { tensors } = readSafetensors(file as Uint8Array);
    const floats = [...tensors].filter(([, { dtype }]) => dtype === 'F16').map(([name, { shape }]) => [name, ...shape]);
    expect(floats).toEqual([
      ['transformer.word_emb.emb_projs.1', 4, 16, 8],
      ['transformer.word_emb.emb_projs.2', 4, 8, 8],
      ['transformer.word_emb.emb_projs.0', 4, 32, 8],
    ]);
  });

  test('of tensors that come in several pieces', async () => {
    const files = filesOf(STORY);
    const { tensors } = readSafetensors(files[MODEL] as Uint8Array);
    const [rows, name] = [5000, 'model.embed_tokens.weight'];
    const bits = Uint16Array.from({ length: rows * 160 }, (_, n) => 0x3000 + ((n * 40503) & 0x7ff));
    const big: Files = {
      ...files,
      [MODEL]: writeSafetensors(new Map([...tensors, [name, { dtype: 'F16', shape: [rows, 160], data: new Uint8Array(bits.buffer) }]])),
      'config.json': text({ ...JSON.parse(new TextDecoder().decode(files['config.json'])), vocab_size: rows }),
    };
    const engine = await createEngine({ threads: 1 });
    const [read, made] = [await memoryOf(engine, await packed(big, { weights: 'f32' })), await memoryOf(engine, big, 'f32')];
    expect(made[0]?.[1]).toHaveLength(4 * rows * 160);
    expect(differing(read, made)).toBe(-1);
    expect(differing(await memoryOf(engine, await packed(big, { weights: 'f32' }), undefined, { alone: true }), made)).toBe(-1);
    engine.dispose();
  });

  test('is the same on every host: these are the bytes of version 3', async () => {
    // If one of these changes, packed files that exist are wrong: VERSION of src/models/packed-format.ts has to be raised with them.
    const hashes: Record<string, string> = {};
    for (const weights of WEIGHT_TYPES) {
      const { [MODEL]: file } = await packed(STORY, { weights });
      expect(readSafetensors(file as Uint8Array).metadata.version).toBe('3');
      hashes[weights] = createHash('sha256')
        .update(file as Uint8Array)
        .digest('hex')
        .slice(0, 16);
    }
    expect(hashes).toEqual({
      f32: 'd902ba5f610128b1',
      f16: '960e3c6a5b4eaafa',
      bf16: 'b15928805d164716',
      i8: '4ab3ace070746710',
      i4: '48c94c799d46cb2a',
    });
  });
});

describe('a packed model', () => {
  test('is written as what it is', async () => {
    const files = await packed(sentences(), { weights: 'i4' });
    // What is no part of a model stays behind; the configuration comes last.
    expect(Object.keys(files)).toEqual([
      MODEL,
      'tokenizer.json',
      'tokenizer_config.json',
      'config_sentence_transformers.json',
      'modules.json',
      '1_Pooling/config.json',
      'config.json',
    ]);
    for (const [name, bytes] of Object.entries(files)) if (name !== MODEL) expect(bytes).toEqual(sentences()[name]);
    const { metadata, tensors } = readSafetensors(files[MODEL] as Uint8Array);
    const own = readSafetensors(sentences()[MODEL] as Uint8Array).tensors;
    expect({ ...metadata, tensors: JSON.parse(metadata.tensors as string) }).toEqual({
      format: 'relpos-panels',
      version: '3',
      weights: 'i4',
      tensors: Object.fromEntries([...own].map(([name, { shape }]) => [name, shape])),
    });
    const { hidden_size: width, intermediate_size: inner, vocab_size: words } = JSON.parse(new TextDecoder().decode(files['config.json']));
    const of = (name: string): unknown => {
      const { dtype, shape } = tensors.get(name) as SafeTensor;
      return [dtype, ...shape];
    };
    const padded = Math.ceil(width / 32) * 32;
    // Rows of tokens are i8; q, k and v lie together.
    expect(of('embeddings.word_embeddings.weight')).toEqual(['I8', Math.ceil(words / 8), 64 + 8 * Math.ceil(width / 4) * 4]);
    expect(of('encoder.layer.0.attention.self.query.weight')).toEqual(['U8', Math.ceil((3 * width) / 8), (padded / 32) * 160]);
    expect(of('encoder.layer.0.intermediate.dense.weight')).toEqual(['U8', Math.ceil(inner / 8), (padded / 32) * 160]);
    expect(of('encoder.layer.0.attention.self.query.bias')).toEqual(['F32', 8 * Math.ceil((3 * width) / 8)]);
    expect(tensors.has('encoder.layer.0.attention.self.key.weight')).toBe(false);
  });

  test.each(WEIGHT_TYPES)('says in %s what the checkpoint says, embeds as it does, and takes as much', async (weights) => {
    const [story, fix, bert] = [await packed(STORY, { weights }), await packed(FIX, { weights }), await packed(sentences(), { weights })];
    const options = { maxTokens: 24, temperature: 0.9, seed: 3 };
    {
      using one = await loadDecoder(story, { threads: 2 });
      using other = await loadDecoder(STORY, { threads: 1, weights });
      expect(await all(one.generate('In the beginning', options))).toBe(await all(other.generate('In the beginning', options)));
      expect(await one.logits([5, 6, 7])).toEqual(await other.logits([5, 6, 7]));
    }
    {
      using one = await loadSeq2Seq(fix, { threads: 1 });
      using other = await loadSeq2Seq(FIX, { threads: 2, weights });
      expect(await all(one.generate('nd h sd', options))).toBe(await all(other.generate('nd h sd', options)));
    }
    {
      using one = await loadEncoder(bert, { threads: 1, weights });
      using other = await loadEncoder(sentences(), { threads: 1, weights });
      const texts = ['hello world', 'unaffable running'];
      expect(await one.embed(texts, { prompt: 'query' })).toEqual(await other.embed(texts, { prompt: 'query' }));
    }
    const [own, given] = [await estimate(story), await estimate(STORY, { weights })];
    expect({ ...own, stored: 0 }).toEqual({ ...given, stored: 0 });
    const kept = await inspectCheckpoint(story);
    expect([kept.packed, kept.storedAs, Object.keys(kept.memory)]).toEqual([true, weights, [weights]]);
    expect((await inspectCheckpoint(STORY)).packed).toBe(false);
  });

  test.each(['f32', 'i8', 'i4'] as const)('in %s lies where others lay before as in fresh memory', async (weights) => {
    const engine = await createEngine({ threads: 1 });
    const garbage = engine.tensor([4_000_000]);
    garbage.set(new Float32Array(4_000_000).fill(Number.NaN));
    garbage.dispose();
    for (const name of ['bert-classify', 'gpt2', 'xlnet-classify', 'bloom']) {
      const { folder, config } = checkpoint(name);
      const load = 'n_embd' in config || name === 'bloom' ? loadDecoder : loadEncoder;
      const files = await packed(folder, { weights });
      using one = await load(files, { engine });
      using other = await load(files, { threads: 1 });
      expect(await one.hidden('The cat sat on the mat.')).toEqual(await other.hidden('The cat sat on the mat.'));
    }
    engine.dispose();
  });

  test('comes from a server in one pass', async () => {
    const server = new Server(await packed(STORY, { weights: 'i8' }));
    const progress: number[] = [];
    using decoder = await loadDecoder(await server.start(), { threads: 1, onProgress: ({ loaded }) => progress.push(loaded) });
    expect(decoder.context).toBe(256);
    expect(server.asked.filter(({ name }) => name === MODEL)).toHaveLength(2);
    expect(progress.at(-1)).toBe((await estimate(server.files)).stored);
    await server.stop();
  });

  test('goes into several files with an index', async () => {
    const shardSize = 100_000;
    const files = await packed(STORY, { weights: 'i8', shardSize });
    const names = Object.keys(files).filter((name) => name.endsWith('.safetensors'));
    expect(names).toHaveLength(16);
    expect(names[0]).toBe('model-00001-of-00016.safetensors');
    const index = JSON.parse(new TextDecoder().decode(files['model.safetensors.index.json']));
    const found: Record<string, string> = {};
    let total = 0;
    for (const name of names) {
      const { tensors, metadata } = readSafetensors(files[name] as Uint8Array);
      const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
      expect(bytes <= shardSize || tensors.size === 1).toBe(true);
      expect(metadata.weights).toBe('i8');
      total += bytes;
      for (const tensor of tensors.keys()) found[tensor] = name;
    }
    expect(index).toEqual({ metadata: { total_size: total }, weight_map: found });
    expect((await estimate(files)).stored).toBe(total);
    const engine = await createEngine({ threads: 1 });
    expect(await memoryOf(engine, files)).toEqual(await memoryOf(engine, await packed(STORY, { weights: 'i8' })));
    engine.dispose();
  });

  test('is not packed again', async () => {
    const files = await packed(STORY, { weights: 'i8' });
    await expect(packed(files)).rejects.toThrow('pack: "model" expected a checkpoint, got one that is packed as i8 already');
    await expect(packed(files, { weights: 'i4' })).rejects.toThrow(RangeError);
  });
});

describe('progress and ends', () => {
  test('bytes read and bytes written are told as one', async () => {
    const told: { loaded: number; total: number; file: string }[] = [];
    const files = await packed(STORY, { weights: 'f16', shardSize: 500_000, onProgress: (each) => told.push(each) });
    const { stored } = await estimate(STORY);
    const { stored: written } = await estimate(files);
    expect(told.map(({ loaded }) => loaded)).toEqual(told.map(({ loaded }) => loaded).sort((a, b) => a - b));
    expect(new Set(told.map(({ total }) => total))).toEqual(new Set([stored + written]));
    expect(told.at(-1)?.loaded).toBe(stored + written);
    expect(told[0]?.file).toBe(MODEL);
    expect(told.at(-1)?.file).toBe(
      Object.keys(files)
        .filter((name) => name.endsWith('.safetensors'))
        .at(-1),
    );
  });

  test.each([1, 3, 7])('a signal ends it at the %i. report, and nothing is left', async (at) => {
    const to = fresh();
    const controller = new AbortController();
    const reason = new Error('enough');
    let reports = 0;
    const onProgress = (): void => {
      if (++reports === at) controller.abort(reason);
    };
    await expect(pack(STORY, to, { threads: 1, signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(readdirSync(folders).filter((name) => name.startsWith('.relpos'))).toEqual([]);
    expect(existsSync(to)).toBe(false);
  });

  test('what the taker of the files throws is thrown', async () => {
    const reason = new Error('full');
    const taken: string[] = [];
    const write = async (name: string, _size: number, pieces: AsyncIterable<Uint8Array>): Promise<void> => {
      if (name === 'tokenizer.json') throw reason;
      for await (const _ of pieces);
      taken.push(name);
    };
    await expect(pack(STORY, { write }, { threads: 1 })).rejects.toBe(reason);
    expect(taken).toEqual([MODEL, 'generation_config.json']);
  });
});

describe('a folder', () => {
  const list = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

  test('that is new gets all files, and those of its parts', async () => {
    const to = fresh();
    const { files, bytes, weights } = await pack(sentences(), pathToFileURL(`${to}/`), { weights: 'i8' });
    expect(weights).toBe('i8');
    expect(bytes).toBe(files.reduce((sum, one) => sum + one.bytes, 0));
    expect(list(to).filter((name) => name !== '1_Pooling')).toEqual(files.map(({ name }) => name).sort());
    for (const { name, bytes } of files) expect(readFileSync(join(to, name)).length).toBe(bytes);
    using encoder = await loadEncoder(to, { threads: 1 });
    expect((await encoder.embed(['hello']))[0]).toBeInstanceOf(Float32Array);
  });

  test('that is empty gets them too', async () => {
    const to = fresh();
    mkdirSync(to);
    await pack(STORY, to, { weights: 'i8' });
    expect(list(to)).toEqual(['config.json', 'generation_config.json', MODEL, 'tokenizer.json', 'tokenizer_config.json']);
  });

  test('with something in it stays as it is', async () => {
    const to = fresh();
    mkdirSync(to);
    writeFileSync(join(to, 'letter.txt'), 'dear');
    await expect(pack(STORY, to)).rejects.toThrow(`got "${to}": it has "letter.txt" in it; with "force" the model there is replaced`);
    expect(list(to)).toEqual(['letter.txt']);
  });

  test('with a model in it gets the new one if that is forced, and keeps what else it has', async () => {
    const to = fresh();
    await pack(STORY, to, { weights: 'i8', shardSize: 400_000 });
    writeFileSync(join(to, 'letter.txt'), 'dear');
    const before = list(to);
    expect(before).toContain('model-00002-of-00005.safetensors');
    // What fails before the end changes nothing.
    await expect(pack({ ...filesOf(STORY), [MODEL]: new Uint8Array(9) }, to, { force: true })).rejects.toThrow('safetensors');
    const controller = new AbortController();
    const aborting = { force: true, signal: controller.signal, onProgress: () => controller.abort(new Error('stop')) };
    await expect(pack(STORY, to, aborting)).rejects.toThrow('stop');
    expect(list(to)).toEqual(before);
    await pack(sentences(), to, { weights: 'i4', force: true });
    expect(list(to).filter((name) => name.endsWith('.safetensors') || name.endsWith('.txt'))).toEqual(['letter.txt', MODEL]);
    expect((await inspectCheckpoint(to)).storedAs).toBe('i4');
    await pack(STORY, to, { weights: 'i8', shardSize: 400_000, force: true });
    expect((await inspectCheckpoint(to)).blueprint.modelType).toBe('llama');
    expect(list(to)).not.toContain(MODEL);
    expect(list(to).filter((name) => name.startsWith('.relpos'))).toEqual([]);
  });

  test('in which a folder has the name of one of its files stays as it is', async () => {
    const to = fresh();
    await pack(STORY, to, { weights: 'i8' });
    rmSync(join(to, 'tokenizer.json'));
    mkdirSync(join(to, 'tokenizer.json'));
    const before = list(to);
    await expect(pack(STORY, to, { weights: 'i4', force: true })).rejects.toMatchObject({
      code: 'unwritable',
      message: 'pack: "tokenizer.json" cannot be written: a folder has that name',
    });
    expect(list(to)).toEqual(before);
  });

  test('that cannot be one is refused before anything is read', async () => {
    const file = fresh();
    writeFileSync(file, '');
    const link = fresh();
    symlinkSync('nowhere', link);
    const own = fresh();
    await pack(STORY, own);
    for (const [to, message] of [
      [file, 'it is a file'],
      [link, 'it is a link to nothing'],
      [join(file, 'below'), 'ENOTDIR'],
      [join(folders, 'none', 'below'), `there is no folder "${join(folders, 'none')}"`],
    ] as const) {
      await expect(pack(STORY, to)).rejects.toThrow(message);
      await expect(pack(STORY, to)).rejects.toThrow(RangeError);
    }
    await expect(pack(own, own, { force: true })).rejects.toThrow('it is the folder of the model itself');
    await expect(pack(pathToFileURL(own), `${own}/../${own.slice(folders.length)}`, { force: true })).rejects.toThrow('the model itself');
    for (const to of ['', 7, null, undefined, {}, 'https://example.org/x']) {
      await expect(pack(STORY, to as never)).rejects.toThrow('pack: "to" expected a folder or an object with "write", got');
    }
    await expect(pack(STORY, join(folders, 'x'.repeat(300)))).rejects.toThrow(/ENAMETOOLONG/);
    expect(readdirSync(folders).filter((name) => name.startsWith('.relpos'))).toEqual([]);
  });

  test('options that are none are refused', async () => {
    const to = fresh();
    await expect(pack(STORY, to, { weights: 'i5' as never })).rejects.toThrow('pack: "weights" expected');
    await expect(pack(STORY, to, { shardSize: 0 })).rejects.toThrow('pack: "shardSize" expected an integer');
    await expect(pack(STORY, to, { force: 1 as never })).rejects.toThrow('pack: "force" expected true or false');
    await expect(pack(STORY, to, { context: 1 } as never)).rejects.toThrow('context');
    await expect(pack(STORY, to, { maxMemory: 70_000 })).rejects.toMatchObject({ code: 'out-of-memory' });
    await expect(pack(join(folders, 'none'), to)).rejects.toThrow('there is no such folder');
    expect(existsSync(to)).toBe(false);
  });
});

describe('a packed model that is broken', () => {
  /** A packed file with something changed. */
  const changed = (files: Files, change: (tensors: Map<string, SafeTensor>, metadata: Record<string, string>) => void): Files => {
    const { tensors, metadata } = readSafetensors(files[MODEL] as Uint8Array);
    const own = { ...metadata };
    change(tensors, own);
    return { ...files, [MODEL]: writeSafetensors(tensors, own) };
  };
  const config = (files: Files, change: Record<string, unknown>): Files => ({
    ...files,
    'config.json': text({ ...JSON.parse(new TextDecoder().decode(files['config.json'])), ...change }),
  });
  const norm = 'model.norm.weight';
  const query = 'model.layers.0.self_attn.q_proj.weight';

  test.each<[string, (files: Files) => Files, string]>([
    [
      'of a later version',
      (files) => changed(files, (_, said) => Object.assign(said, { version: '4' })),
      'it was packed in version "4", and this relpos reads "3"',
    ],
    [
      'of an earlier version',
      (files) => changed(files, (_, said) => Object.assign(said, { version: '2' })),
      'it was packed in version "2", and this relpos reads "3"',
    ],
    [
      'of no version',
      (files) => changed(files, (_, said) => delete said.version),
      'it was packed in version undefined, and this relpos reads "3"',
    ],
    [
      'of an unknown type',
      (files) => changed(files, (_, said) => Object.assign(said, { weights: 'i5' })),
      '"weights" of its metadata expected one of f32,',
    ],
    ['of another type', (files) => changed(files, (_, said) => Object.assign(said, { weights: 'i4' })), `tensor "${query}" expected U8`],
    [
      'without names',
      (files) => changed(files, (_, said) => delete said.tensors),
      '"tensors" of its metadata expected the names and shapes',
    ],
    [
      'with broken names',
      (files) => changed(files, (_, said) => Object.assign(said, { tensors: '{' })),
      '"tensors" of its metadata expected the names',
    ],
    [
      'with a list of names',
      (files) => changed(files, (_, said) => Object.assign(said, { tensors: '[]' })),
      '"tensors" of its metadata expected the names',
    ],
    [
      'with a shape that is none',
      (files) => changed(files, (_, said) => Object.assign(said, { tensors: `{"${norm}":[-160]}` })),
      `"tensors" of its metadata expected a shape for "${norm}", got [-160]`,
    ],
    ['with names that lack one', (files) => changed(files, (_, said) => Object.assign(said, { tensors: '{}' })), 'checkpoint: no tensor'],
    ['that lacks a vector', (files) => changed(files, (tensors) => tensors.delete(norm)), `has no tensor "${norm}"`],
    ['that lacks panels', (files) => changed(files, (tensors) => tensors.delete(query)), `has no tensor "${query}"`],
    [
      'with a vector that is too long',
      (files) => changed(files, (tensors) => tensors.set(norm, { dtype: 'F32', shape: [161], data: new Uint8Array(644) })),
      `tensor "${norm}" expected F32 [160], as config.json has it in i8, got F32 [161]`,
    ],
    [
      'with panels that are too short',
      (files) => changed(files, (tensors) => tensors.set(query, { dtype: 'I8', shape: [1, 1344], data: new Uint8Array(1344) })),
      `tensor "${query}" expected I8 [30, 1344], as config.json has it in i8, got I8 [1, 1344]`,
    ],
    ['with the configuration of a wider model', (files) => config(files, { intermediate_size: 440 }), 'checkpoint: "model.layers.0.mlp.'],
    [
      'with the configuration of a deeper model',
      (files) => config(files, { num_hidden_layers: 1e9 }),
      'checkpoint: no tensor "model.layers.5.',
    ],
    ['that is cut short', (files) => ({ ...files, [MODEL]: (files[MODEL] as Uint8Array).subarray(0, -1) }), 'data_offsets within the'],
    ['of which the names are those of the checkpoint', (files) => changed(files, (_, said) => delete said.format), 'checkpoint: '],
  ])('%s: one clear error, and memory as before', async (_, broken, message) => {
    const files = broken(await packed(STORY, { weights: 'i8' }));
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    for (const load of [() => loadDecoder(files, { engine }), () => estimate(files), () => inspectCheckpoint(files)]) {
      await expect(load()).rejects.toMatchObject({ code: 'bad-checkpoint' });
      await expect(load()).rejects.toThrow(message);
    }
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
  });

  test('of numbers of another type with the same size', async () => {
    const files = changed(await packed(STORY, { weights: 'f16' }), (_, said) => Object.assign(said, { weights: 'bf16' }));
    await expect(estimate(files)).rejects.toThrow(
      'tensor "model.embed_tokens.weight" expected BF16 [128, 160, 8], as config.json has it in bf16, got F16',
    );
  });

  test('asked for in another type, it says what to do', async () => {
    const files = await packed(STORY, { weights: 'i8' });
    const asked = loadDecoder(files, { weights: 'i4' });
    await expect(asked).rejects.toThrow(RangeError);
    await expect(loadDecoder(files, { weights: 'i4' })).rejects.toThrow(
      'loadDecoder: "weights" expected \'i8\', as the model is packed, got \'i4\': leave "weights" out, or load the checkpoint that was packed, or pack that with "i4"',
    );
    using decoder = await loadDecoder(files, { weights: 'i8', threads: 1 });
    expect(decoder.context).toBe(256);
  });

  test('with numbers that are none it runs, and ends', async () => {
    const files = changed(await packed(STORY, { weights: 'i8' }), (tensors) => {
      const { dtype, shape, data } = tensors.get(query) as SafeTensor;
      tensors.set(query, { dtype, shape, data: new Uint8Array(data).fill(0xff) });
    });
    using decoder = await loadDecoder(files, { threads: 1 });
    expect((await decoder.logits([1, 2])).at(-1)).toHaveLength(1024);
  });

  test('a file that grows short while it is read gives its memory back', async () => {
    const server = new Server(await packed(STORY, { weights: 'f32' }));
    server.trick = (request, response, file) => {
      if (file === undefined || !/bytes=[1-9]/.test(request.headers.range ?? '')) return false;
      response.writeHead(404).end();
      return true;
    };
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    await expect(loadDecoder(await server.start(), { engine })).rejects.toMatchObject({ name: 'RelposError' });
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
    await server.stop();
  });
});
