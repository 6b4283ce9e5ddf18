/** What must hold of every service over HTTP. */
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { type Example, examples, expectValues, file, wrongs } from './posts.ts';

const MOST_BYTES = 2 ** 23;
const TOO_LONG = `the body is longer than ${MOST_BYTES} bytes`;

const post = (url: string, body: BodyInit, more: RequestInit & { duplex?: 'half' } = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body, ...more });

export async function expectAnswer(url: string, { body, expected }: Example): Promise<void> {
  const response = await post(url, body as BodyInit);
  const reply = new Uint8Array(await response.arrayBuffer());
  expect([response.status, response.status === 200 ? '' : new TextDecoder().decode(reply)]).toEqual([200, '']);
  expectValues(reply, expected);
}

/** One byte more than may be sent, in chunks without a length said before; then it waits, so that nothing is written to who has hung up. */
function tooMuch(): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent > MOST_BYTES) return new Promise(() => {});
      const chunk = new Uint8Array(sent === MOST_BYTES ? 1 : 65536);
      sent += chunk.length;
      return controller.enqueue(chunk);
    },
  });
}

/** Sends the head of a request alone; resolves with all that comes back until the text. */
function head(url: string, length: number, until: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(Number(port), hostname, () => {
      socket.write(`POST / HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${length}\r\n\r\n`);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after: ${heard}`)));
    socket.on('data', (chunk) => {
      heard += chunk;
      if (!heard.includes(until)) return;
      resolve(heard);
      socket.destroy();
    });
  });
}

/** Sends a request by hand, waits for some milliseconds or for the head of the response, and goes without a word. */
function leave(url: string, head: string, body: Uint8Array, when: number | 'head'): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`POST / HTTP/1.1\r\nhost: ${hostname}\r\n${head}\r\n\r\n`);
      socket.write(body, () => {
        if (when !== 'head') setTimeout(() => socket.destroy(), when);
      });
    });
    if (when === 'head') socket.once('data', () => socket.destroy());
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

/** The tests; `url` is asked when they run. `left` resolves when as many calls as it says have been stopped, where the host can tell. */
export function testService(url: () => string, left?: (calls: number) => Promise<void>): void {
  const [first, ...others] = examples(25) as [Example, ...Example[]];

  test('answers with the bits of the library', () => expectAnswer(url(), first));

  test('24 requests, 8 at a time, get each its own answer from one engine', async () => {
    const waiting = [...others];
    const client = async (): Promise<void> => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await expectAnswer(url(), next);
    };
    await Promise.all(Array.from({ length: 8 }, client));
  });

  test('GET is answered with what to do', async () => {
    const response = await fetch(url());
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await response.text()).toContain('safetensors');
  });

  test.each(wrongs())('%s', async (_, body, status, says) => {
    const response = await post(url(), body as BodyInit);
    expect(await response.text()).toContain(says);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toContain('text/plain');
  });

  test('a body too long is refused, whether its length is said or not', async () => {
    expect(await head(url(), MOST_BYTES + 1, TOO_LONG)).toContain('HTTP/1.1 413 ');
    const response = await post(url(), tooMuch(), { duplex: 'half' });
    expect([response.status, await response.text()]).toEqual([413, `${TOO_LONG}\n`]);
    await expectAnswer(url(), first);
  });

  test('a client that goes while it sends harms nobody', async () => {
    await leave(url(), 'content-length: 100000', new Uint8Array(5000), 50);
    await leave(url(), 'transfer-encoding: chunked', new TextEncoder().encode('5\r\nab'), 50);
    await expectAnswer(url(), first);
  });

  test('a client that goes in the middle of a long call leaves the engine free', { timeout: 120_000 }, async () => {
    const long = file([1, 1, 20_000, 24], 5);
    // Where nothing stops a call it runs to its end, and one is enough; elsewhere its response begins long before.
    const [times, when] = left ? ([3, 'head'] as const) : ([1, 200] as const);
    for (let n = 0; n < times; n++) await leave(url(), `content-length: ${long.length}`, long, when);
    await left?.(times);
    await Promise.all([first, ...others.slice(0, 7)].map((example) => expectAnswer(url(), example)));
  });
}
