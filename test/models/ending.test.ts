/** Models that are broken off, disposed of in the middle, or given what they have no rows for: one clear error, and memory as before. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { loadDecoder, loadEncoder, loadSeq2Seq } from '../../src/models/index.ts';
import { readSafetensors, writeSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint } from './checkpoints.ts';

const trained = (name: string): string => fileURLToPath(new URL(`../../examples/models/${name}`, import.meta.url));
const { folder: gpt2 } = checkpoint('gpt2');
const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

/** Bytes in use but for the tables that an engine keeps. */
function used(): number {
  engine.releaseTables();
  return engine.memoryUsage().used;
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

describe('what is broken off gives its memory back', () => {
  test('the generation of an encoder-decoder', async () => {
    const before = used();
    const model = await loadSeq2Seq(trained('fix-t5'), { engine });
    const begin = async (): Promise<number> => {
      for await (const piece of model.generate('nd h sd')) {
        expect(piece).toBe('a');
        break;
      }
      return used();
    };
    // The first call makes what all of them use.
    const once = await begin();
    for (let n = 0; n < 3; n++) expect(await begin()).toBe(once);
    model.dispose();
    expect(used()).toBe(before);
  });

  test('a session that is disposed of while it runs: the run ends first', async () => {
    const before = used();
    const decoder = await loadDecoder(trained('story-llama'), { engine });
    // What every call uses is made by the first.
    for await (const _ of decoder.generate('a', { maxTokens: 1 }));
    const loaded = used();
    const session = await decoder.session('the word of the LORD came '.repeat(36));
    const pending = session.generate({ maxTokens: 20 }).next();
    await new Promise((resolve) => setTimeout(resolve, 1));
    session.dispose();
    await expect(pending).rejects.toMatchObject({ code: 'disposed', message: 'generate: the session was disposed' });
    expect(used()).toBe(loaded);
    decoder.dispose();
    expect(used()).toBe(before);
  });
});

describe('a model that is disposed of while it works', () => {
  test.each(['own', 'shared'])('says so, and its memory stays until the run has ended: %s engine', async (whose) => {
    const given = whose === 'shared' ? { engine } : { threads: 1 };
    const before = used();
    // Before it has begun, and at several places further on, where the last may find it done.
    for (const turns of [0, 2, 5, 10, 20, 50]) {
      const fixing = await loadSeq2Seq(trained('fix-t5'), given);
      const pending = fixing.generate('nd h sd').next();
      for (let turn = 0; turn < turns; turn++) await undefined;
      fixing.dispose();
      expect(turns < 10 ? ['disposed'] : ['disposed', 'none'], `${turns}`).toContain(await codeOf(pending));
    }

    const decoder = await loadDecoder(trained('story-llama'), given);
    const pieces = decoder.generate('In the beginning', { maxTokens: 20 });
    expect((await pieces.next()).done).toBe(false);
    decoder.dispose();
    expect(await codeOf(pieces.next())).toBe('disposed');

    const other = await loadDecoder(trained('story-llama'), given);
    const rows = other.logits('In the beginning God created the heaven and the earth.');
    await Promise.resolve();
    other.dispose();
    expect(await codeOf(rows)).toBe('disposed');
    expect(used()).toBe(before);
  });

  test('under the name of the call, wherever that was', async () => {
    const named = (call: string, what: string) => ({ code: 'disposed', message: `${call}: the ${what} was disposed` });
    const open = () => loadDecoder(trained('story-llama'), { engine });
    const one = await open();
    const pieces = one.generate('In the beginning', { maxTokens: 20 });
    await pieces.next();
    one.dispose();
    await expect(pieces.next()).rejects.toMatchObject(named('generate', 'decoder'));

    const several = await open();
    const texts = several.generateAll(['In the beginning', 'A wise man'], { maxTokens: 20 });
    await texts.next();
    several.dispose();
    // The other text's piece was there.
    await texts.next();
    await expect(texts.next()).rejects.toMatchObject(named('generateAll', 'decoder'));

    const scored = await open();
    const first = scored.logits([1, 2, 3]);
    const rows = scored.logits([1, 2, 3]);
    for (let turn = 0; turn < 5; turn++) await undefined;
    scored.dispose();
    expect(['disposed', 'none']).toContain(await codeOf(first));
    await expect(rows).rejects.toMatchObject(named('logits', 'decoder'));

    const kept = await open();
    const session = await kept.session('In the beginning');
    const continued = session.generate({ maxTokens: 20 });
    await continued.next();
    kept.dispose();
    await expect(continued.next()).rejects.toMatchObject({ code: 'disposed', message: 'the model was disposed' });

    const fixing = await loadSeq2Seq(trained('fix-t5'), { engine });
    const written = fixing.generate('nd h sd');
    await written.next();
    fixing.dispose();
    await expect(written.next()).rejects.toMatchObject(named('generate', 'model'));
  });

  test('what was left in the middle goes with it', async () => {
    const before = used();
    const decoder = await loadDecoder(trained('story-llama'), { engine });
    const pieces = decoder.generateAll(['In the beginning', 'A wise man'], { maxTokens: 20 });
    expect((await pieces.next()).done).toBe(false);
    const session = await decoder.session('The LORD is my');
    await session.fork();
    decoder.dispose();
    expect(used()).toBe(before);
  });

  test('an encoder of many texts', async () => {
    const before = used();
    const encoder = await loadEncoder(checkpoint('bert').folder, { engine });
    const vectors = encoder.embed(Array.from({ length: 3000 }, (_, n) => `a text of some words ${n}`));
    await new Promise((resolve) => setTimeout(resolve, 1));
    encoder.dispose();
    expect(['disposed', 'none']).toContain(await codeOf(vectors));
    expect(used()).toBe(before);
  });
});

describe('what a model has no rows for', () => {
  test('more tokens than positions', async () => {
    using decoder = await loadDecoder(gpt2, { engine });
    const ids = Array.from({ length: decoder.context + 1 }, (_, n) => 1 + (n % 50));
    const wanted = `"ids" expected at most ${decoder.context} tokens, got ${ids.length}`;
    await expect(decoder.logits(ids)).rejects.toThrow(`logits: ${wanted}`);
    await expect(decoder.hidden(ids)).rejects.toThrow(`hidden: ${wanted}`);
    expect(await decoder.logits(ids.slice(1))).toHaveLength(decoder.context);
  });

  test('tokens of a tokenizer with more of them', async () => {
    const { folder } = checkpoint('llama');
    const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}/${name}`));
    const tokenizer = JSON.parse(new TextDecoder().decode(read('tokenizer.json')));
    for (const token of Object.keys(tokenizer.model.vocab)) tokenizer.model.vocab[token] += 500;
    for (const token of tokenizer.added_tokens) token.id += 500;
    tokenizer.post_processor = null;
    const files = {
      'config.json': read('config.json'),
      'model.safetensors': read('model.safetensors'),
      'tokenizer.json': new TextEncoder().encode(JSON.stringify(tokenizer)),
    };
    using decoder = await loadDecoder(files, { engine });
    expect(await codeOf(decoder.logits('hello'))).toBe('bad-checkpoint');
    expect(await codeOf(decoder.generate('hello').next())).toBe('bad-checkpoint');
    using session = await decoder.session([1, 2]);
    expect(() => session.append('hello')).toThrow(
      /^append: "tokenizer.json": its token ".+" has the number \d+, and the model has \d+ tokens$/,
    );
    const { folder: bert } = checkpoint('bert-classify');
    const names = ['config.json', 'model.safetensors'];
    const own = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(`${bert}/${name}`))]));
    using encoder = await loadEncoder({ ...own, 'tokenizer.json': files['tokenizer.json'] }, { engine });
    await expect(encoder.embed('hello')).rejects.toThrow(/^embed: "tokenizer.json": its token ".+" has the number \d+, and the model has/);
  });

  test('a head that is missing is called as its family calls it', async () => {
    for (const [family, name] of [
      ['gpt-neox', 'embed_out.weight'],
      ['phi3', 'lm_head.weight'],
    ] as const) {
      const { folder } = checkpoint(family);
      const read = (file: string): Uint8Array => new Uint8Array(readFileSync(`${folder}/${file}`));
      const { tensors } = readSafetensors(read('model.safetensors'));
      tensors.delete(name);
      const config = { ...JSON.parse(new TextDecoder().decode(read('config.json'))), tie_word_embeddings: false };
      const files = { 'config.json': new TextEncoder().encode(JSON.stringify(config)), 'model.safetensors': writeSafetensors(tensors) };
      await expect(loadDecoder(files, { engine })).rejects.toThrow(
        `"model.safetensors": it has no head that gives logits ("${name}"), and config.json does not tie it to the embeddings`,
      );
    }
  });

  test('labels by the hundred million', async () => {
    const { folder } = checkpoint('bert-classify');
    const names = ['config.json', 'tokenizer.json', 'model.safetensors'];
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(`${folder}/${name}`))]));
    const { id2label, label2id, ...config } = JSON.parse(new TextDecoder().decode(files['config.json']));
    files['config.json'] = new TextEncoder().encode(JSON.stringify({ ...config, num_labels: 1e8 }));
    using encoder = await loadEncoder(files, { engine });
    expect(encoder.blueprint.classifier?.labels).toEqual(Object.keys(id2label).map((_, n) => `LABEL_${n}`));
  });
});

describe('options of a generation', () => {
  test('a temperature, or a penalty, that would leave no numbers', async () => {
    using decoder = await loadDecoder(trained('story-llama'), { engine });
    for (const temperature of [1e-38, 1e-300, 1e31, -1]) {
      expect(() => decoder.generate('a', { temperature })).toThrow('"temperature" expected 0, or a number in 2^-100 … 2^100');
    }
    expect(() => decoder.generate('a', { repetitionPenalty: 1e-300 })).toThrow('"repetitionPenalty" expected a number in 2^-100');
    const words = { maxTokens: 6, temperature: 2 ** -100 };
    const [cold, likeliest] = [decoder.generate('In the beginning', words), decoder.generate('In the beginning', { maxTokens: 6 })];
    for await (const piece of cold) expect((await likeliest.next()).value).toBe(piece);
  });

  test.each([{ temperature: -1 }, { top_p: -3 }, { min_p: 7 }, { top_k: 2.5 }, { repetition_penalty: 0 }])(
    'of generation_config.json: %j',
    async (own) => {
      const names = ['config.json', 'tokenizer.json', 'model.safetensors'];
      const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(`${trained('story-llama')}/${name}`))]));
      const told = new TextEncoder().encode(JSON.stringify({ do_sample: true, ...own }));
      using decoder = await loadDecoder({ ...files, 'generation_config.json': told }, { engine });
      expect(() => decoder.generate('a')).toThrow(`generation_config.json: generate: "${Object.keys(own)[0]}" expected`);
    },
  );
});
