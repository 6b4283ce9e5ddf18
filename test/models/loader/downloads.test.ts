/** Downloads that break, servers that answer oddly, files that change: what can go on goes on from where it broke, and the rest is one clear error. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { ResumingReader, Retries } from '../../../src/models/source-resume.ts';
import { Server, SHARDED, SINGLE, TENSORS, type Trick } from './files.ts';
import { QUICK, readAll } from './read.ts';

const NAME = 'model.safetensors';
const FILE = SINGLE[NAME] as Uint8Array;

let server: Server;
let address: string;
beforeEach(async () => {
  server = new Server(SINGLE);
  address = await server.start();
});
afterEach(() => server.stop());

const isWhole = (tensors: Map<string, Uint8Array>): boolean =>
  Object.entries(TENSORS).every(([name, { data }]) => Buffer.compare(tensors.get(name) as Uint8Array, data) === 0);

/** The ranges that the weights were asked for in. */
const ranges = (): (string | undefined)[] => server.asked.filter(({ name }) => name === NAME).map(({ range }) => range);

/** Plays the trick on answers with weights until it was played `times` times. */
function tricked(times: number, trick: (...args: Parameters<Trick>) => void, first = 1): Trick {
  let seen = 0;
  return (request, response, file) => {
    if (!request.url?.includes(NAME) || seen++ < first || seen > first + times) return false;
    trick(request, response, file);
    return true;
  };
}

async function failure(loading: Parameters<typeof readAll>[1] = {}): Promise<Error & { code?: string }> {
  return readAll(address, loading).then(
    () => new Error('it was read'),
    (error: Error) => error,
  );
}

describe('a whole download', () => {
  test('asks once for the opening, once for the rest, and for the small files as a whole', async () => {
    const { tensors } = await readAll(address);
    expect(isWhole(tensors)).toBe(true);
    expect(ranges()).toEqual(['bytes=0-65535', `bytes=65536-${FILE.length - 1}`]);
    expect(server.asked.find(({ name }) => name === 'config.json')).toEqual({ name: 'config.json', range: undefined });
  });

  test('of a small file needs one request', async () => {
    await readAll(address, {}, ['scale']);
    server.asked.length = 0;
    const small = { ...SINGLE, [NAME]: SHARDED['model-00002-of-00002.safetensors'] as Uint8Array };
    server.files = small;
    await readAll(address);
    expect(ranges()).toEqual(['bytes=0-65535']);
  });

  test('leaves out what lies far between two tensors', async () => {
    const { tensors } = await readAll(address, {}, ['layer.weight', 'scale']);
    expect([...tensors.keys()]).toEqual(['layer.weight', 'scale']);
    const asked = ranges().slice(1);
    expect(asked).toHaveLength(1);
    const [, begin, end] = /^bytes=(\d+)-(\d+)$/.exec(asked[0] as string) as RegExpExecArray;
    // From the one to the other: 12672 bytes, the 384 of the norm between them, and 4.
    expect(Number(end) - Number(begin) + 1).toBe(13060);
  });

  test('by a function like fetch, which may add headers', async () => {
    const seen: string[] = [];
    const own = (url: string, init: { headers: Readonly<Record<string, string>> }): Promise<Response> => {
      seen.push(url);
      return fetch(url, { ...init, headers: { ...init.headers, authorization: 'Bearer x' } } as RequestInit);
    };
    expect(isWhole((await readAll(address, { fetch: own as never })).tensors)).toBe(true);
    expect(seen[0]).toBe(`${address}/config.json`);
  });
});

describe('a connection that ends early', () => {
  test.each([0, 1, 4093, 65536, 900_000])('after %i bytes goes on from there', async (count) => {
    server.trick = tricked(2, (request, response, file) => server.cut(response, file as Uint8Array, request.headers.range, count));
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
    const begins = ranges().map((range) => Number(/^bytes=(\d+)/.exec(range as string)?.[1]));
    expect(begins).toEqual([0, 65536, 65536 + count, 65536 + 2 * count]);
  });

  test('in the opening begins anew', async () => {
    server.trick = tricked(2, (request, response, file) => server.cut(response, file as Uint8Array, request.headers.range, 100), 0);
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
    expect(ranges().slice(0, 3)).toEqual(['bytes=0-65535', 'bytes=0-65535', 'bytes=0-65535']);
  });

  test('of a small file begins anew', async () => {
    let cuts = 0;
    server.trick = (request, response, file) => {
      if (!request.url?.includes('config.json') || cuts++ > 1) return false;
      server.cut(response, file as Uint8Array, undefined, 5);
      return true;
    };
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
    expect(server.asked.filter(({ name }) => name === 'config.json')).toHaveLength(3);
  });

  test('too often without progress is an error that says where', async () => {
    server.trick = tricked(99, (request, response, file) => server.cut(response, file as Uint8Array, request.headers.range, 10));
    const error = await failure();
    expect(error).toMatchObject({ name: 'RelposError', code: 'unreadable' });
    expect(error.message).toMatch(/^loadEncoder: "model.safetensors" cannot be read: .* at byte 65576; 4 tries$/);
    expect(ranges()).toHaveLength(1 + 4);
  });

  test('often, with a mebibyte between, is no error', async () => {
    const parts = 7;
    server.files = { ...SINGLE, ...large(parts) };
    server.trick = tricked(parts, (request, response, file) =>
      server.cut(response, file as Uint8Array, request.headers.range, (1 << 20) + 9),
    );
    const checkpoint = await openCheckpoint({ where: 'loadEncoder', patience: { ...QUICK, failures: 1 } }, 'model', address);
    const weights = await checkpoint.weights();
    let bytes = 0;
    for await (const { data } of weights.stream(weights.names)) bytes += data.length;
    await weights.close();
    expect(bytes).toBe(parts * 2 ** 20);
    expect(ranges().length).toBeGreaterThan(parts);
  });
});

/** A file of that many mebibytes of zeros. */
function large(mebibytes: number): Record<string, Uint8Array> {
  const bytes = mebibytes * 2 ** 20;
  const header = new TextEncoder().encode(JSON.stringify({ a: { dtype: 'U8', shape: [bytes / 64, 64], data_offsets: [0, bytes] } }));
  const file = new Uint8Array(8 + header.length + bytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return { [NAME]: file };
}

describe('a server that answers', () => {
  test('503 and 429 is asked again, after the time that it names', async () => {
    const started = performance.now();
    let times = 0;
    server.trick = tricked(2, (_, response) => response.writeHead([503, 429][times++] as number, { 'retry-after': '0.2' }).end());
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
    expect(performance.now() - started).toBeGreaterThan(395);
  });

  test('500 for ever is an error', async () => {
    server.trick = tricked(99, (_, response) => response.writeHead(500).end());
    const error = await failure();
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toContain('HTTP 500 Internal Server Error at byte 65536; 4 tries');
  });

  test('404 has no such file', async () => {
    server.files = { 'config.json': SINGLE['config.json'] as Uint8Array };
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-checkpoint' });
    expect(error.message).toBe(`loadEncoder: "model.safetensors": HTTP 404 from ${address}/, and no model.safetensors.index.json`);
  });

  test('403 to what may not be there, as S3 does, has none either', async () => {
    server.trick = (_, response, file) => file === undefined && Boolean(response.writeHead(403).end());
    const checkpoint = await openCheckpoint({ where: 'loadEncoder' }, 'model', address);
    expect(await checkpoint.json('modules.json')).toBeUndefined();
  });

  test('401 is an error at once', async () => {
    server.trick = tricked(1, (_, response) => response.writeHead(401).end(), 0);
    expect((await failure()).message).toBe('loadEncoder: "model.safetensors" cannot be read: HTTP 401 Unauthorized');
    expect(ranges()).toHaveLength(1);
  });

  test('403 to the weights is an error of reading', async () => {
    server.trick = (request, response) => /safetensors/.test(request.url ?? '') && Boolean(response.writeHead(403).end());
    const error = await failure();
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toContain('"model.safetensors" cannot be read: HTTP 403 from');
  });

  test('416 to the beginning of a file with bytes is an error that says so', async () => {
    server.trick = tricked(1, (_, response) => response.writeHead(416, { 'content-range': `bytes */${FILE.length}` }).end(), 0);
    const error = await failure();
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toContain('"model.safetensors" cannot be read: HTTP 416');
  });

  test('redirects that go round are followed once', async () => {
    let asked = 0;
    server.trick = (request, response) => {
      asked++;
      return Boolean(response.writeHead(302, { location: request.url }).end());
    };
    const error = await failure();
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toContain('"config.json" cannot be read: fetch failed (redirect count exceeded)');
    expect(asked).toBeLessThan(25);
  });

  test.each([
    'Fetch failed: Maximum number of redirects (20) reached',
    'TooManyRedirects: The response redirected too many times. For more information, pass `verbose: true` in the second argument to fetch()',
    'too many HTTP redirects',
  ])('redirects that go round are so in the words of other hosts: %s', async (words) => {
    let asked = 0;
    const fetch = (): never => {
      asked++;
      throw new TypeError(words);
    };
    const error = await openCheckpoint({ where: 'loadEncoder', fetch }, 'model', address).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'unreadable', message: `loadEncoder: "config.json" cannot be read: ${words}` });
    expect(asked).toBe(1);
  });

  test('settings without an end are given up at 16 MiB', async () => {
    server.trick = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 32)));
      };
      response.writeHead(200).on('drain', more);
      more();
      return true;
    };
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-checkpoint' });
    expect(error.message).toBe('loadEncoder: "config.json": expected at most 16777216 bytes, got more');
  });

  test('with a page for every address has no such file, and says so', async () => {
    server.trick = (_, response) => Boolean(response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>'));
    const { message } = await failure();
    expect(message).toContain('loadEncoder: "config.json" cannot be read: there is none at');
    expect(message).toContain('answers a page (text/html) in its place)');
  });

  test('with a redirect is followed, for every part', async () => {
    server.trick = (request, response) => {
      if (request.url?.includes('moved')) return false;
      response.writeHead(302, { location: `${request.url}?moved=1` }).end();
      return true;
    };
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
  });

  test('without ranges is read from its beginning', async () => {
    server.trick = (_, response, file) => {
      if (file === undefined) return false;
      server.give(response, file, undefined);
      return true;
    };
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
  });

  test('without ranges, and breaks, begins anew and leaves out what came', async () => {
    let times = 0;
    server.trick = (_, response, file) => {
      if (file !== FILE) return false;
      if (times++ === 1) server.cut(response, file, undefined, 700_000);
      else server.give(response, file, undefined);
      return true;
    };
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
    expect(times).toBe(3);
  });

  test('without a length, compressed on its way or not, is read to the end of its tensors', async () => {
    server.trick = (_, response, file) => {
      if (file === undefined) return false;
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write(file.subarray(0, 1000));
      response.end(file.subarray(1000));
      return true;
    };
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
  });

  test('without a length, and less than the header says, is an error', async () => {
    server.trick = tricked(
      99,
      (_, response, file) => {
        response.writeHead(200);
        response.write((file as Uint8Array).subarray(0, 1000));
        response.end((file as Uint8Array).subarray(1000, 100_000));
      },
      0,
    );
    expect((await failure()).message).toMatch(/"model.safetensors" cannot be read: it ended before byte \d+ at byte \d+; 4 tries/);
  });

  test('another part than it was asked for is asked again', async () => {
    server.trick = tricked(1, (_, response, file) => server.give(response, file as Uint8Array, 'bytes=70000-80000'));
    expect(isWhole((await readAll(address)).tensors)).toBe(true);
  });

  test('a part that says it is of another length is an error', async () => {
    server.trick = tricked(1, (_, response) =>
      response.writeHead(206, { 'content-range': `bytes 65536-65545/${FILE.length + 1}` }).end(FILE.subarray(65536, 65546)),
    );
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-checkpoint' });
    expect(error.message).toContain(`it was changed while it was read (${FILE.length} bytes became ${FILE.length + 1}); load it again`);
  });

  test('another version of the file when it goes on is an error', async () => {
    server.trick = tricked(1, (request, response, file) => {
      server.cut(response, file as Uint8Array, request.headers.range, 5000);
      server.tag = '"two"';
    });
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-checkpoint' });
    expect(error.message).toContain('it was changed while it was read (ETag "one" became ETag "two"); load it again');
  });

  test('that the file has become shorter is an error', async () => {
    server.trick = tricked(1, (_, response) => response.writeHead(416, { 'content-range': 'bytes */9' }).end());
    expect((await failure()).message).toContain('it was changed while it was read (it has no byte 65536 any more); load it again');
  });

  test('that the file is gone is an error', async () => {
    server.trick = tricked(1, (_, response) => response.writeHead(404).end());
    expect((await failure()).message).toContain('it was changed while it was read (HTTP 404');
  });

  test('nothing for a while counts as broken', async () => {
    server.trick = tricked(1, () => {});
    expect(isWhole((await readAll(address, { patience: { ...QUICK, stall: 200 } })).tensors)).toBe(true);
    server.trick = tricked(1, (_, response, file) => {
      response.writeHead(206, { 'content-range': `bytes 65536-${FILE.length - 1}/${FILE.length}` });
      response.write((file as Uint8Array).subarray(65536, 70000));
    });
    expect(isWhole((await readAll(address, { patience: { ...QUICK, stall: 200 } })).tensors)).toBe(true);
  });

  test('nobody at all is an error', async () => {
    await server.stop();
    const error = await failure();
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toMatch(/^loadEncoder: "config.json" cannot be read: .*ECONNREFUSED.*; 4 tries$/);
    await server.start();
  });

  test('a port that fetch may not ask is an error at once', async () => {
    const error = await readAll('http://127.0.0.1:1/').catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: 'unreadable',
      message: 'loadEncoder: "config.json" cannot be read: fetch failed (bad port)',
    });
  });

  test.each(['http://127.0.0.1:99999/', 'http://', 'https://[::/'])('%s is no address', async (given) => {
    const error = await readAll(given).catch((thrown: Error) => thrown);
    expect(error).toEqual(new RangeError(`loadEncoder: "model" expected a URL, got ${JSON.stringify(given)}`));
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  test('before anything: nothing is asked', async () => {
    expect(await failure({ signal: AbortSignal.abort(reason) })).toBe(reason);
    expect(server.asked).toEqual([]);
  });

  test.each([
    ['while the config is waited for', 'config.json', 0],
    ['while the header is waited for', NAME, 0],
    ['while the weights are waited for', NAME, 1],
  ])('%s', async (_, name, first) => {
    const controller = new AbortController();
    let seen = 0;
    server.trick = (request) => {
      if (!request.url?.includes(name) || seen++ < first) return false;
      setTimeout(() => controller.abort(reason), 10);
      return true; // And never an answer.
    };
    expect(await failure({ signal: controller.signal })).toBe(reason);
    await quiet();
  });

  test('while a body is coming', async () => {
    const controller = new AbortController();
    server.trick = tricked(1, (_, response, file) => {
      response.writeHead(206, { 'content-range': `bytes 65536-${FILE.length - 1}/${FILE.length}` });
      response.write((file as Uint8Array).subarray(65536, 70000), () => setTimeout(() => controller.abort(reason), 10));
    });
    expect(await failure({ signal: controller.signal })).toBe(reason);
    await quiet();
  });

  test('while it waits to try again', async () => {
    const controller = new AbortController();
    server.trick = tricked(1, (_, response) => {
      response.writeHead(503, { 'retry-after': '50' }).end();
      setTimeout(() => controller.abort(reason), 50);
    });
    expect(await failure({ signal: controller.signal })).toBe(reason);
    await quiet();
  });

  test('while the caller is at work on a piece', async () => {
    const controller = new AbortController();
    const checkpoint = await openCheckpoint({ where: 'loadEncoder', signal: controller.signal }, 'model', address);
    const weights = await checkpoint.weights();
    const pieces = weights.stream(weights.names);
    await pieces.next();
    controller.abort(reason);
    await expect(pieces.next()).rejects.toBe(reason);
    await weights.close();
    await quiet();
  });

  test('a caller that leaves off leaves no connection', async () => {
    server.files = { ...SINGLE, ...large(32) };
    const checkpoint = await openCheckpoint({ where: 'loadEncoder' }, 'model', address);
    const weights = await checkpoint.weights();
    for await (const _ of weights.stream(weights.names)) break;
    await weights.close();
    await quiet();
  });

  test('a reader that is given up while its body breaks asks no more', async () => {
    let asked = 0;
    let fail = (_: Error): void => {};
    const ask = async () => {
      asked++;
      return { next: () => new Promise<undefined>((_, reject) => (fail = reject)), cancel() {} };
    };
    const reader = new ResumingReader(new Retries({ where: 'x', patience: QUICK }, 'file'), ask, 0, 10);
    const filling = reader.fill(new Uint8Array(10));
    await new Promise((resolve) => setTimeout(resolve, 5));
    reader.close();
    fail(new Error('broken'));
    await expect(filling).rejects.toThrow('broken');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toBe(1);
  });

  test('what the progress throws ends it', async () => {
    const weights = await (await openCheckpoint({ where: 'loadEncoder' }, 'model', address)).weights();
    const pieces = weights.stream(weights.names, () => {
      throw reason;
    });
    await expect(pieces.next()).rejects.toBe(reason);
    await weights.close();
    await quiet();
  });
});

/** Nothing is being asked, and nothing is asked any more. */
async function quiet(): Promise<void> {
  const before = server.asked.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(server.asked.length).toBe(before);
  expect(server.answering.size).toBe(0);
}
