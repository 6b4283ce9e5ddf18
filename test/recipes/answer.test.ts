/** What the services share, in this process, where one can look inside: the engine has back all its memory, whatever became of a request. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../src/index.ts';
import { type Example, examples, expectValues, file, wrongs } from './posts.ts';
import { makeProject } from './project.ts';

const folder = makeProject();
const load = (path: string): Promise<Record<string, CallableFunction>> => import(pathToFileURL(join(folder, path)).href);
const { createEngine } = await load('node_modules/relpos/dist/index.js');
const { answer } = (await load('answer.mjs')) as { answer(engine: Engine, request: Request): Promise<Response> };
const engine: Engine = await createEngine?.({ threads: 2, maxMemory: 64 * 2 ** 20 });
afterAll(() => engine.dispose());

const LONG = file([1, 1, 12_000, 32], 3);
const request = (body: BodyInit | null, more: RequestInit & { duplex?: 'half' } = {}): Request =>
  new Request('http://localhost/', { method: 'POST', body, ...more });
const ask = async (body: Uint8Array): Promise<[number, string]> => {
  const response = await answer(engine, request(body as BodyInit));
  return [response.status, await response.text()];
};

let used: number;
beforeEach(() => {
  used = engine.memoryUsage().used;
});
const expectAllBack = (): void => expect(engine.memoryUsage()).toMatchObject({ used, quarantined: 0 });

describe('answer', () => {
  test('many at once leave nothing behind', async () => {
    const asked = examples(12);
    const responses = await Promise.all(asked.map(({ body }) => answer(engine, request(body as BodyInit))));
    for (const [n, response] of responses.entries()) {
      expectValues(new Uint8Array(await response.arrayBuffer()), (asked[n] as Example).expected);
    }
    // Cosines and slopes stay for later calls.
    engine.releaseTables();
    expectAllBack();
  });

  test.each(wrongs())('%s leaves nothing behind', async (_, body, status) => {
    expect((await ask(body))[0]).toBe(status);
    engine.releaseTables();
    expectAllBack();
  });

  test('a length that lies is not believed', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) });
    const response = await answer(engine, request(body, { duplex: 'half', headers: { 'content-length': '5' } }));
    expect(response.status).toBe(413);
  });

  test('a body that breaks off', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) });
    expect((await answer(engine, request(body, { duplex: 'half' }))).status).toBe(499);
  });

  test('a client that goes stops its call, and only that', async () => {
    const controller = new AbortController();
    const left = await answer(engine, request(LONG as BodyInit, { signal: controller.signal }));
    expect(left.status).toBe(200); // It has begun; nothing of the body is there.
    const [next] = examples(1) as [Example];
    const waiting = answer(engine, request(next.body as BodyInit));
    controller.abort();
    await expect(left.arrayBuffer()).rejects.toThrow();
    expectValues(new Uint8Array(await (await waiting).arrayBuffer()), next.expected);
    expectAllBack();
  });

  test('a client that goes before its call begins', async () => {
    const response = await answer(engine, request(LONG as BodyInit, { signal: AbortSignal.abort() }));
    expect(response.status).toBe(499);
    expectAllBack();
  });

  test('memory that others hold is not there now, and that is said', async () => {
    const most = engine.tensor([engine.memoryUsage().limit / 4 - 2 ** 19]);
    const [status, text] = await ask(file([1, 1, 20_000, 16]));
    expect([status, text]).toEqual([503, expect.stringContaining('out of memory')]);
    most.dispose();
    expectAllBack();
  });

  test('what is no fault of the request is for the operator alone', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    const broken = { attention: () => Promise.reject(new Error('a secret')) } as unknown as Engine;
    const response = await answer(broken, request(file([1, 1, 2, 2]) as BodyInit));
    expect([response.status, await response.text()]).toEqual([500, 'internal error\n']);
    expect(log).toHaveBeenCalledOnce();
    log.mockRestore();
  });
});
