/** The embedding worker in workerd, by Miniflare, with a checkpoint in a bucket of R2: many requests, wrong ones, clients that go. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Encoder, loadEncoder } from '../../src/models/index.ts';
import { bundleWorker, readSettings, type Settings } from './modules.ts';
import { describeWith, makeProject, runtime } from './project.ts';

/** The worker, telling how many texts were embedded, how often a model was loaded, and how often its bucket was asked. */
const WATCHED = `import { Encoder } from 'relpos/models';
import worker from './worker.mjs';
const told = { texts: 0, encoders: 0, gets: 0 };
const seen = new WeakSet();
const { embed } = Encoder.prototype;
Encoder.prototype.embed = function (texts, ...rest) {
  told.texts += texts.length;
  if (!seen.has(this)) told.encoders++;
  seen.add(this);
  return embed.call(this, texts, ...rest);
};
/** The bucket, slow enough that a client can go while the model is loaded for it. */
const slow = (bucket) => ({
  async get(...asked) {
    told.gets++;
    await new Promise((resolve) => setTimeout(resolve, 30));
    return bucket.get(...asked);
  },
});
export default {
  fetch(request, env, ctx) {
    if (request.url.endsWith('/told')) return Response.json(told);
    return worker.fetch(request, { ...env, MODELS: slow(env.MODELS) }, ctx);
  },
};
`;

interface Told {
  readonly texts: number;
  readonly encoders: number;
  readonly gets: number;
}

const NODE = runtime('node24/bin/node');
const checkpoint = fileURLToPath(new URL('../models/checkpoints/bert', import.meta.url));
const script = fileURLToPath(new URL('miniflare.mjs', import.meta.url));

/** Starts a server; the address. */
async function start(folder: string, settings: Settings, servers: ChildProcess[]): Promise<string> {
  const args = [script, runtime('miniflare/package.json'), folder, JSON.stringify(settings), `tiny=${checkpoint}`];
  const server = spawn(NODE, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  servers.push(server);
  let printed = '';
  return new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        const address = /^listening: (\S+)$/m.exec(printed)?.[1];
        if (address) resolve(address);
      });
    }
    server.on('exit', (code) => reject(new Error(`it ended with ${code}: ${printed}`)));
  });
}

/** Sends a request whose client goes when `until` resolves. */
async function leave(url: string, texts: readonly string[], until: () => Promise<unknown>): Promise<void> {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify({ texts });
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`POST /embed HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await until();
  await new Promise((resolve) => socket.resetAndDestroy().once('close', resolve));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describeWith(NODE, 'embedding worker', () => {
  const servers: ChildProcess[] = [];
  const folder = join(makeProject(), 'embedding-worker');
  const settings = { ...readSettings(join(folder, 'wrangler.jsonc')), vars: { MODEL: 'tiny' } };
  let encoder: Encoder;
  let url: string;

  beforeAll(async () => {
    encoder = await loadEncoder(checkpoint, { weights: 'i8', threads: 1 });
    writeFileSync(join(folder, 'watched.mjs'), WATCHED);
    await bundleWorker(folder, 'watched.mjs');
    url = await start(folder, settings, servers);
    // The first client goes while the model is loaded for it.
    await leave(url, ['first'], () => until(({ gets }) => gets > 1));
  }, 60_000);
  afterAll(() => {
    encoder?.dispose();
    for (const server of servers) server.kill();
  });

  const post = (body: BodyInit, at = url): Promise<Response> => fetch(`${at}/embed`, { method: 'POST', body });
  const told = async (): Promise<Told> => (await fetch(`${url}/told`)).json() as never;
  async function until(done: (now: Told) => boolean): Promise<void> {
    while (!done(await told())) await pause(1);
  }

  /** The answer has the bits of the library. */
  async function expectVectors(texts: readonly string[]): Promise<void> {
    const response = await post(JSON.stringify({ texts }));
    const { vectors, error } = (await response.json()) as { vectors: number[][]; error?: string };
    expect([response.status, error]).toEqual([200, undefined]);
    expect(vectors.map((vector) => Float32Array.from(vector))).toEqual(await encoder.embed(texts));
  }

  test('answers with the bits of the library', () =>
    expectVectors(['How old are you?', '', 'What is your age?', 'naïve 漢字', 'x y', '!']));

  test('24 requests, 8 at a time, get each its own answer from one engine', async () => {
    const waiting = Array.from({ length: 24 }, (_, n) =>
      Array.from({ length: 1 + (n % 9) }, (_, text) => `My dear ${n}, ${'had '.repeat(text)}`),
    );
    const client = async (): Promise<void> => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await expectVectors(next);
    };
    await Promise.all(Array.from({ length: 8 }, client));
    expect((await told()).encoders).toBe(1);
  });

  test('tells how similar texts are', async () => {
    const query = new URLSearchParams([
      ['text', 'How old are you?'],
      ['with', 'What is your age?'],
      ['with', 'It rains.'],
    ]);
    const response = await fetch(`${url}/similarity?${query}`);
    const [expected] = await encoder.similarity('How old are you?', ['What is your age?', 'It rains.']);
    expect(await response.json()).toEqual({ similarity: expected });
  });

  const texts = (given: unknown): string => JSON.stringify({ texts: given });
  test.each([
    ['nothing', '', 400, 'the body is no JSON'],
    ['no JSON', '{"texts":', 400, 'the body is no JSON'],
    ['null', 'null', 400, '"texts" expected at least one text'],
    ['no texts', texts([]), 400, '"texts" expected at least one text'],
    ['one text that is no list', texts('How old are you?'), 400, '"texts" expected at least one text'],
    ['a number', texts(['How', 1]), 400, '"texts" expected texts, got 1'],
    ['an object', texts([{ length: 4 }]), 400, '"texts" expected texts, got {"length":4}'],
    ['too many texts', texts(Array(65).fill('a')), 413, '"texts" expected at most 64 texts, got 65'],
    ['a text too long', texts(['a'.repeat(8193)]), 413, 'a text expected at most 8192 characters, got 8193'],
    ['a body too long', texts(['a'.repeat(262_144)]), 413, 'the body is longer than 262144 bytes'],
  ])('%s', async (_, body, status, says) => {
    const response = await post(body);
    const { error } = (await response.json()) as { error: string };
    expect([response.status, error.slice(0, says.length)]).toEqual([status, says]);
  });

  test.each([
    ['GET /embed', '/embed', 'GET', 405, 'expected POST, got GET'],
    ['POST /similarity', '/similarity?text=a&with=b', 'POST', 405, 'expected GET, got POST'],
    ['two texts', '/similarity?text=a&text=b&with=c', 'GET', 400, '"text" expected once, got 2 times'],
    ['nothing to compare with', '/similarity?text=a', 'GET', 400, '"with" expected at least one text'],
    ['another path', '/', 'GET', 404, 'expected POST /embed with {"texts": [...]}, or GET /similarity?text=...&with=...&with=...'],
  ])('%s', async (_, path, method, status, says) => {
    const response = await fetch(url + path, { method });
    expect([response.status, await response.json()]).toEqual([status, { error: says }]);
    expect(response.headers.get('allow')).toBe(status === 405 ? says.split(/,? /)[1] : null);
  });

  test('stops when the client goes, and goes on for others', { timeout: 60_000 }, async () => {
    const before = (await told()).texts;
    // Some hundred milliseconds of work, most of them the tokenizer's.
    await leave(url, Array(64).fill('My dear Mr. Bennet, '.repeat(190)), () => until(({ texts }) => texts - before >= 4));
    await expectVectors(['How old are you?']);
    await pause(500);
    expect((await told()).texts - before).toBeLessThan(64);
    await expectVectors(['What is your age?']);
    expect((await told()).encoders).toBe(1);
  });

  describe('without its model', () => {
    test('says so, and no more', async () => {
      const address = await start(folder, { ...settings, vars: { MODEL: 'secret' } }, servers);
      for (let n = 0; n < 2; n++) {
        const response = await post(texts(['a']), address);
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10']);
        expect(await response.json()).toEqual({ error: 'the model cannot be loaded' });
      }
    }, 60_000);
  });
});
