/** Decoders and encoder-decoders as they are used, over the plain reference: text, chats, batches, forks, stop strings, full contexts, ends. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ChatMessage, loadChatTemplates } from '../../../src/models/chat.ts';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { Decoder } from '../../../src/models/decoder-model.ts';
import type { Finish, IndexedPiece } from '../../../src/models/generation.ts';
import { Seq2Seq } from '../../../src/models/seq2seq-model.ts';
import { loadTokenizer } from '../../../src/models/tokenizer.ts';
import { referenceDriver } from './reference-driver.ts';

const models = new URL('../../../examples/models/', import.meta.url);

interface Case {
  readonly prompt: string;
  readonly input: string;
  readonly ids: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
  readonly top: readonly (readonly [number, number])[];
}
const casesOf = (name: string): Case[] => JSON.parse(readFileSync(new URL(`${name}/reference.json`, models), 'utf8')).cases;

async function partsOf(name: string, longest?: number, config: Record<string, unknown> = {}) {
  const folder = fileURLToPath(new URL(name, models));
  const checkpoint = await openCheckpoint({ where: 'load' }, 'model', folder);
  const tokenizer = await loadTokenizer(checkpoint);
  const generation = { ...(await checkpoint.object('generation_config.json')), ...config };
  const driver = referenceDriver(folder, longest);
  return { driver, tokenizer, templates: await loadChatTemplates(checkpoint, tokenizer), generation };
}

/** All of a text, and why it ended. */
async function all(pieces: AsyncGenerator<string, Finish, void>): Promise<{ text: string; pieces: string[]; finish: Finish }> {
  const given: string[] = [];
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text: given.join(''), pieces: given, finish: value };
    given.push(value);
  }
}

async function allOf(pieces: AsyncGenerator<IndexedPiece, readonly Finish[], void>, count: number) {
  const texts = new Array<string>(count).fill('');
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { texts, finish: value };
    texts[value.index] += value.text;
  }
}

describe('a decoder', () => {
  const [first, second, third] = casesOf('story-llama') as [Case, Case, Case];
  let decoder: Decoder;
  let driver: Awaited<ReturnType<typeof partsOf>>['driver'];
  beforeAll(async () => {
    const parts = await partsOf('story-llama');
    driver = parts.driver;
    decoder = new Decoder(parts);
  });

  test('continues as transformers does', async () => {
    const { text, pieces, finish } = await all(decoder.generate(first.prompt, { maxTokens: 64 }));
    expect(text).toBe(first.text);
    expect(finish).toEqual({ reason: 'length', tokens: 64 });
    expect(pieces.length).toBeGreaterThan(50);
    expect(driver.watched.sequences).toBe(0);
  });

  test('continues several side by side, as each alone', async () => {
    const prompts = [first.prompt, Int32Array.from(second.ids), third.ids];
    const { texts, finish } = await allOf(decoder.generateAll(prompts, { maxTokens: 24 }), 3);
    for (const [n, each] of [first, second, third].entries()) expect(each.text.startsWith(texts[n] as string), `${n}`).toBe(true);
    expect(finish).toEqual(new Array(3).fill({ reason: 'length', tokens: 24 }));
    // One call for the prompts, and one for each token but the last, for all three at once.
    expect(driver.watched.extended.slice(-24)[0]).toEqual([first.ids.length, second.ids.length, third.ids.length]);
    expect(driver.watched.extended.slice(-23)).toEqual(new Array(23).fill([1, 1, 1]));
  });

  test('draws the same tokens for the same seed, in a batch as alone', async () => {
    const options = { maxTokens: 12, temperature: 0.9, topK: 40, seed: 5 };
    const one = await all(decoder.generate(first.prompt, options));
    expect((await all(decoder.generate(first.prompt, options))).text).toBe(one.text);
    expect((await all(decoder.generate(first.prompt, { ...options, seed: 6 }))).text).not.toBe(one.text);
    const { texts } = await allOf(decoder.generateAll([first.prompt, first.prompt], options), 2);
    expect(texts[0]).toBe(one.text);
    expect(texts[1]).not.toBe(one.text);
  });

  test('ends before a stop string, wherever it is cut', async () => {
    const stop = first.text.slice(17, 23);
    const { text, finish } = await all(decoder.generate(first.prompt, { maxTokens: 64, stop: ['not there', stop] }));
    expect(text).toBe(first.text.slice(0, first.text.indexOf(stop)));
    expect(finish.reason).toBe('stop');
  });

  test('ends when the model does', async () => {
    const parts = await partsOf('story-llama', 256, { eos_token_id: [first.tokens[9], 1] });
    const { text, finish } = await all(new Decoder(parts).generate(first.prompt));
    const until = first.tokens.indexOf(first.tokens[9] as number);
    expect(text).toBe(parts.tokenizer.decode(first.tokens.slice(0, until)));
    expect(finish).toEqual({ reason: 'end', tokens: until + 1 });
  });

  test('ends when the context is full, or forgets its older half', async () => {
    const parts = await partsOf('story-llama', 24);
    const small = new Decoder(parts);
    const { finish } = await all(small.generate(first.ids, { maxTokens: 60 }));
    // The last token is not seen any more, only chosen.
    expect(finish).toEqual({ reason: 'length', tokens: 24 - first.ids.length + 1 });
    parts.driver.watched.extended.length = 0;
    const shifted = await all(small.generate(first.ids, { maxTokens: 60, contextShift: true }));
    expect(shifted.finish).toEqual({ reason: 'length', tokens: 60 });
    const sizes = parts.driver.watched.extended.map(([size]) => size as number);
    // 5 tokens, then one at a time up to 24; from 25 it begins again with the first and the newest 11.
    expect(sizes.slice(0, 22)).toEqual([5, ...new Array(19).fill(1), 12, 1]);
    expect(Math.max(...sizes)).toBe(12);
    const session = await small.session([7, ...first.ids]);
    await all(session.generate({ maxTokens: 25, contextShift: true }));
    expect(session.tokens.length).toBeLessThan(25);
    expect(session.tokens[0]).toBe(7);
    session.dispose();
  });

  test('a session with more tokens than the context is refused where it is continued, or forgets its older half', async () => {
    const parts = await partsOf('story-llama', 24);
    const small = new Decoder(parts);
    const long = Array.from({ length: 30 }, (_, n) => 300 + n);
    const refused = (length: number): string =>
      `generate: "session" expected at most 24 tokens, got ${length}: with "contextShift" the older half of them is forgotten`;
    const session = await small.session(long);
    await expect(all(session.generate())).rejects.toThrow(new RangeError(refused(30)));
    expect(session.tokens).toEqual(long);
    expect(parts.driver.watched.extended).toEqual([]);
    await all(session.generate({ maxTokens: 1, contextShift: true }));
    expect(parts.driver.watched.extended).toEqual([[12]]);
    // One that an earlier generation, or a text, has filled.
    const full = await small.session(long.slice(0, 20));
    expect((await all(full.generate({ maxTokens: 60 }))).finish).toEqual({ reason: 'length', tokens: 5 });
    await expect(all(full.generate())).rejects.toThrow(refused(25));
    const grown = await small.session(long.slice(0, 23));
    grown.append(' And it came to pass');
    await expect(all(grown.generate())).rejects.toThrow(refused(grown.tokens.length));
    for (const each of [session, full, grown]) each.dispose();
    expect(parts.driver.watched.sequences).toBe(0);
  });

  test('numbers of tokens come in whatever has a length and elements', async () => {
    const { ids } = first;
    const like: ArrayLike<number> = { ...ids, length: ids.length };
    const numbers = [ids, Int32Array.from(ids), Uint16Array.from(ids), Float64Array.from(ids), like];
    const expected = (await all(decoder.generate(first.prompt, { maxTokens: 6 }))).text;
    for (const prompt of numbers) expect((await all(decoder.generate(prompt, { maxTokens: 6 }))).text).toBe(expected);
    expect((await allOf(decoder.generateAll(numbers, { maxTokens: 6 }), 5)).texts).toEqual(new Array(5).fill(expected));
    expect(await decoder.logits(like)).toEqual(await decoder.logits(ids));
    expect(await decoder.hidden(like)).toEqual(await decoder.hidden(ids));
    const session = await decoder.session(like);
    expect(session.tokens).toEqual(ids);
    session.dispose();
  });

  test('a text that does not fit is refused, or cut if its older half may be forgotten', async () => {
    const parts = await partsOf('story-llama', 24);
    const small = new Decoder(parts);
    const long = Array.from({ length: 30 }, (_, n) => 300 + n);
    await expect(all(small.generate(long))).rejects.toThrow('generate: "prompt" expected at most 24 tokens, got 30');
    await expect(allOf(small.generateAll([long]), 1)).rejects.toThrow('generateAll: "prompts[0]" expected at most 24 tokens, got 30');
    await all(small.generate(long, { contextShift: true, maxTokens: 1 }));
    expect(parts.driver.watched.extended).toEqual([[12]]);
    expect(parts.driver.watched.sequences).toBe(0);
  });

  test('a session is continued, and forked without being computed again', async () => {
    const session = await decoder.session(first.prompt);
    const one = await all(session.generate({ maxTokens: 5 }));
    driver.watched.extended.length = 0;
    const fork = await session.fork();
    const rest = await all(session.generate({ maxTokens: 59 }));
    expect(one.text + rest.text).toBe(first.text);
    expect((await all(fork.generate({ maxTokens: 59 }))).text).toBe(rest.text);
    expect(Math.max(...driver.watched.extended.flat())).toBe(1);
    expect(session.tokens).toEqual([...first.ids, ...first.tokens]);
    expect(session.text).toBe(first.prompt + first.text);
    fork.append(' And');
    expect(fork.text).toBe(`${first.prompt}${first.text} And`);
    session.dispose();
    expect(() => session.generate()).toThrow(expect.objectContaining({ code: 'disposed' }));
    fork.dispose();
    expect(driver.watched.sequences).toBe(0);
  });

  test('a session is continued by one at a time', async () => {
    const session = await decoder.session(first.prompt);
    const pieces = session.generate({ maxTokens: 5 });
    await pieces.next();
    await expect(session.fork()).rejects.toMatchObject({ code: 'busy' });
    expect(() => session.generate()).toThrow(expect.objectContaining({ code: 'busy' }));
    await pieces.return({ reason: 'length', tokens: 1 });
    (await session.fork()).dispose();
    session.dispose();
  });

  test('two texts that are written at the same time do not touch each other', async () => {
    const [a, b] = await Promise.all([
      all(decoder.generate(first.prompt, { maxTokens: 20 })),
      all(decoder.generate(second.prompt, { maxTokens: 20 })),
    ]);
    expect(first.text.startsWith(a.text) && second.text.startsWith(b.text)).toBe(true);
  });

  test('a chat is put into the template of the checkpoint', async () => {
    const parts = await partsOf('story-llama');
    const messages: readonly ChatMessage[] = [{ role: 'user', content: first.prompt }];
    const template = '{{ bos_token }}{{ messages[0].content }}';
    const config = new TextEncoder().encode(JSON.stringify({}));
    const source = { 'config.json': config, 'chat_template.jinja': new TextEncoder().encode(template) };
    const templates = await loadChatTemplates(await openCheckpoint({ where: 'load' }, 'model', source), parts.tokenizer);
    const chat = new Decoder({ ...parts, templates });
    expect(await chat.chat(messages)).toBe(`<s>${first.prompt}`);
    expect((await all(chat.generate(messages, { maxTokens: 8 }))).text).toBe(parts.tokenizer.decode(first.tokens.slice(0, 8)));
    const none = '"chat_template.jinja": the checkpoint has no chat template "default"';
    await expect(all(decoder.generate(messages))).rejects.toThrow(`generate: ${none}`);
    await expect(allOf(decoder.generateAll([messages]), 1)).rejects.toThrow(`generateAll: ${none}`);
    await expect(decoder.session(messages)).rejects.toThrow(`session: ${none}`);
    await expect(decoder.chat(messages)).rejects.toThrow(`chat: ${none}`);
    const chatting = (given: unknown): Promise<string> => chat.chat(given as never);
    await expect(chatting('x')).rejects.toThrow(new TypeError('chat: "messages" expected an array of { role, content }, got "x"'));
    await expect(chatting([...messages, 'x'])).rejects.toThrow(
      new TypeError(`chat: "messages[${messages.length}]" expected { role, content }, got "x"`),
    );
    await expect(chat.chat(messages, { template: 'tools' })).rejects.toThrow(
      'chat: "chat_template.jinja": the checkpoint has no chat template "tools"; it has "default"',
    );
  });

  test('scores and rows of numbers', async () => {
    const rows = await decoder.logits(first.prompt);
    expect(rows).toHaveLength(first.ids.length);
    for (const [token, logit] of first.top) expect(rows.at(-1)?.[token]).toBeCloseTo(logit, 3);
    const hidden = await decoder.hidden(first.ids);
    expect(hidden.map(({ length }) => length)).toEqual(first.ids.map(() => 160));
  });

  test('a text without tokens begins with the first one of all texts', async () => {
    const empty = await all(decoder.generate([], { maxTokens: 4 }));
    expect(empty.text).toBe((await all(decoder.generate('', { maxTokens: 4 }))).text);
  });

  test('an abort ends it with its reason, and gives the memory back', async () => {
    const controller = new AbortController();
    const pieces = decoder.generate(first.prompt, { signal: controller.signal });
    await pieces.next();
    controller.abort(new Error('enough'));
    await expect(all(pieces)).rejects.toThrow('enough');
    for await (const _ of decoder.generate(first.prompt)) break;
    expect(driver.watched.sequences).toBe(0);
  });

  test('what the checkpoint says of drawing is taken, and options come before it', async () => {
    const config = { do_sample: true, temperature: 0.7, top_k: 1, repetition_penalty: 1 };
    const drawing = new Decoder(await partsOf('story-llama', 256, config));
    // Drawn of one token: the likeliest.
    expect(first.text.startsWith((await all(drawing.generate(first.prompt, { maxTokens: 10 }))).text)).toBe(true);
    const other = await all(drawing.generate(first.prompt, { maxTokens: 10, topK: 0, temperature: 3 }));
    expect(first.text.startsWith(other.text)).toBe(false);
  });

  test.each([
    [{ maxTokens: 0 }, RangeError, 'generate: "maxTokens" expected an integer ≥ 1, got 0'],
    [{ temperature: -1 }, RangeError, 'generate: "temperature" expected 0, or a number in 2^-100 … 2^100, got -1'],
    [{ topP: 0 }, RangeError, '"topP" expected a number in 0 … 1, not 0, got 0'],
    [{ topK: 1.5 }, RangeError, '"topK" expected an integer ≥ 0'],
    [{ minP: 2 }, RangeError, '"minP" expected a number in 0 … 1, got 2'],
    [{ repetitionPenalty: 0 }, RangeError, '"repetitionPenalty" expected a number in 2^-100 … 2^100, got 0'],
    [{ seed: -1 }, RangeError, '"seed" expected an integer'],
    [{ stop: ['a', ''] }, RangeError, '"stop[1]" expected a string that is not empty'],
    [{ stop: 3 }, TypeError, '"stop" expected a string, got 3'],
    [{ topk: 3 }, TypeError, 'did you mean "topK"?'],
    [{ signal: {} }, TypeError, '"signal" expected an AbortSignal'],
  ])('%j is refused at once', (options, kind, message) => {
    const call = () => decoder.generate('a', options as never);
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  });

  test.each([
    [3, 'generate: "prompt" expected a text, messages or numbers of tokens, got 3'],
    [[0, -1], 'generate: "prompt[1]" expected a token in 0 … 1023, got -1'],
    [[1024], 'generate: "prompt[0]" expected a token in 0 … 1023, got 1024'],
    [['a', 'b'], 'generate: "prompt[0]" expected the number of a token, got "a"'],
    [{}, 'generate: "prompt" expected a text, messages or numbers of tokens, got Object'],
    [{ length: -1 }, 'generate: "prompt" expected a text, messages or numbers of tokens, got Object'],
    [{ length: 2, 0: 1 }, 'generate: "prompt[1]" expected the number of a token, got undefined'],
    [{ length: 1, 0: { role: 'user', content: 'a' } }, 'generate: "prompt[0]" expected the number of a token, got Object'],
    [new DataView(new ArrayBuffer(8)), 'generate: "prompt" expected a text, messages or numbers of tokens, got DataView(8)'],
    [new Array(2), 'generate: "prompt[0]" expected the number of a token, got undefined'],
    [BigInt64Array.of(5n), 'generate: "prompt[0]" expected the number of a token, got 5n'],
  ])('the prompt %o is refused', async (prompt, message) => {
    await expect(all(decoder.generate(prompt as never, { maxTokens: 1 }))).rejects.toThrow(message);
  });

  test('what was disposed says so, once', async () => {
    const parts = await partsOf('story-llama');
    let ended = 0;
    const other = new Decoder({ ...parts, end: () => ended++ });
    other.dispose();
    other.dispose();
    expect([parts.driver.watched.disposed, ended]).toEqual([true, 1]);
    expect(() => other.generate('a')).toThrow(expect.objectContaining({ code: 'disposed', message: 'generate: the decoder was disposed' }));
  });
});

describe('an encoder-decoder', () => {
  test('writes as transformers does, alone and side by side', async () => {
    const parts = await partsOf('fix-t5');
    const model = new Seq2Seq(parts);
    const cases = casesOf('fix-t5');
    const { texts, finish } = await allOf(model.generateAll(cases.map(({ input }) => input)), cases.length);
    expect(texts).toEqual(cases.map(({ text }) => text));
    expect(finish.every(({ reason }) => reason === 'end')).toBe(true);
    const [first] = cases as [Case];
    expect((await all(model.generate(first.input))).text).toBe(first.text);
    expect(parts.driver.watched.sequences).toBe(0);
    expect(() => model.generate(3 as never)).toThrow('generate: "text" expected a string, got 3');
    for (const start of [-1, 1e9]) {
      const other = new Seq2Seq(await partsOf('fix-t5', 256, { decoder_start_token_id: start }));
      await expect(all(other.generate('a'))).rejects.toThrow(
        expect.objectContaining({
          code: 'bad-checkpoint',
          message: `generate: "decoder_start_token_id" expected a token in 0 … ${model.blueprint.vocabulary - 1}, got ${start}`,
        }),
      );
    }
    expect(() => model.generateAll('a' as never)).toThrow('generateAll: "texts" expected an array of strings, got "a"');
  });
});

describe('what generation_config.json says wrongly', () => {
  test.each([
    [{ eos_token_id: 'x' }, /"eos_token_id" expected tokens in 0 … \d+, got "x"$/],
    [{ eos_token_id: 1e9 }, /"eos_token_id" expected tokens in 0 … \d+, got 1000000000$/],
    [{ eos_token_id: [1, 1.5] }, /"eos_token_id" expected tokens in 0 … \d+, got 1.5$/],
    [{ do_sample: 'yes' }, /"do_sample" expected true or false, got /],
  ])('%j', async (config, message) => {
    const decoder = new Decoder(await partsOf('story-llama', undefined, config));
    const written = (async () => all(decoder.generate('In the beginning', { maxTokens: 1 })))();
    const error = await written.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'bad-checkpoint' });
    expect((error as Error).message).toMatch(/^generation_config\.json: generate: /);
    expect((error as Error).message).toMatch(message);
  });
});
