/** Turns of the event loop on hosts whose functions for it do not work: no call may be left unsettled, and no bit may change. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine, type Engine } from '../../src/index.ts';
import { nextTask } from '../../src/platform/time.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';

afterEach(() => vi.unstubAllGlobals());

const WAYS = ['setImmediate', 'MessageChannel', 'setTimeout'] as const;
const original = { setImmediate: globalThis.setImmediate, setTimeout: globalThis.setTimeout };
type Name = (typeof WAYS)[number];

/** What a host may have in place of a function: none, one that throws, one that never calls back. */
const FAULTS = ['missing', 'throwing', 'silent'] as const;

function fault(kind: (typeof FAULTS)[number], name: Name): unknown {
  if (kind === 'missing') return undefined;
  return vi.fn(function silent() {
    if (kind === 'throwing') throw new Error('not here');
    return name === 'MessageChannel' ? { port1: {}, port2: { postMessage() {} } } : undefined;
  });
}

/** A call of several slices on one thread; the hash of its output. */
async function longCall(engine: Engine): Promise<string> {
  using x = engine.tensor([1, 4, 1200, 64], numbers(4 * 1200 * 64, 1));
  using out = await engine.attention(x, x, x, { causal: true });
  return hashBits(out.toArray());
}

const engine = await createEngine({ threads: 1 });
const expected = await longCall(engine);

const broken: [string, readonly Name[]][] = [
  ...WAYS.map((name): [string, Name[]] => [name, [name]]),
  ['setImmediate and MessageChannel', ['setImmediate', 'MessageChannel']],
  ['setImmediate and setTimeout', ['setImmediate', 'setTimeout']],
  ['MessageChannel and setTimeout', ['MessageChannel', 'setTimeout']],
];

describe.each(FAULTS)('%s', (kind) => {
  test.each(broken)('%s', async (_, names) => {
    for (const name of names) vi.stubGlobal(name, fault(kind, name));
    const turned = vi.fn();
    const way = WAYS.find((name) => !names.includes(name)) as Name;
    if (way === 'MessageChannel')
      vi.stubGlobal(
        way,
        class extends MessageChannel {
          [Symbol.toStringTag] = String(turned());
        },
      );
    else vi.stubGlobal(way, (callback: () => void, ms?: number) => [turned(), (original[way] as typeof setTimeout)(callback, ms)][1]);
    expect(await longCall(engine)).toBe(expected);
    expect(turned.mock.calls.length).toBeGreaterThan(1);
  });
});

test('a host without any way gets no turn, and its calls settle', async () => {
  for (const name of WAYS) vi.stubGlobal(name, fault('throwing', name));
  expect(await longCall(engine)).toBe(expected);
});

test('a way that works is asked alone from its second turn on', async () => {
  const { setImmediate } = globalThis;
  const immediate = vi.fn((callback: () => void) => setImmediate(callback));
  const timeout = vi.fn(globalThis.setTimeout);
  vi.stubGlobal('setImmediate', immediate);
  vi.stubGlobal('setTimeout', timeout);
  vi.stubGlobal('MessageChannel', class extends MessageChannel {});
  await nextTask();
  await new Promise((resolve) => setImmediate(resolve));
  const turns = timeout.mock.calls.length;
  expect(turns).toBe(1);
  for (let n = 0; n < 10; n++) await nextTask();
  expect(timeout.mock.calls.length).toBe(turns);
  expect(immediate.mock.calls.length).toBe(11);
});

test("Node's channels are heard in its own way: an event of the other kind loads all of its fetch", async () => {
  const asked: string[] = [];
  const watched = (port: MessagePort): MessagePort =>
    new Proxy(port, {
      get(_, name) {
        asked.push(String(name));
        return Reflect.get(port, name).bind(port);
      },
      set(_, name, value) {
        asked.push(`${String(name)} =`);
        return Reflect.set(port, name, value);
      },
    });
  const { MessageChannel: Channel } = globalThis;
  function Watched() {
    const { port1, port2 } = new Channel();
    return { port1: watched(port1), port2 };
  }
  for (const [name, value] of Object.entries({ setImmediate: undefined, setTimeout: undefined, MessageChannel: Watched })) {
    vi.stubGlobal(name, value);
  }
  await nextTask();
  expect(new Set(asked)).toEqual(new Set(['on', 'close']));
});

test('other tasks get their turn', async () => {
  let turned = 0;
  let on = true;
  const turn = (): void => {
    turned++;
    if (on) setImmediate(turn);
  };
  setImmediate(turn);
  for (let n = 0; n < 5; n++) await nextTask();
  on = false;
  expect(turned).toBeGreaterThanOrEqual(4);
});

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', true, true],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', false, false],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36', true, false],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/60.5 Safari/605.1.15', true, false],
])('%s, a page: %s, yields by way of another process: %s', async (userAgent, page, expectedWay) => {
  const made: BroadcastChannel[] = [];
  const closed = vi.fn();
  vi.stubGlobal(
    'BroadcastChannel',
    class extends BroadcastChannel {
      constructor(name: string) {
        super(name);
        made.push(this);
      }
      override close(): void {
        closed();
        super.close();
      }
    },
  );
  vi.stubGlobal('process', undefined);
  vi.stubGlobal('navigator', { userAgent });
  vi.stubGlobal(page ? 'document' : 'WorkerGlobalScope', {});
  vi.stubGlobal('setImmediate', undefined);
  vi.stubGlobal('MessageChannel', class extends MessageChannel {});
  for (let n = 0; n < 50; n++) await nextTask();
  expect(made.length > 0).toBe(expectedWay);
  // Once it is proven it is the only one, and nothing is left open.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(closed).toHaveBeenCalledTimes(made.length);
  const before = made.length;
  for (let n = 0; n < 5; n++) await nextTask();
  expect(made.length).toBe(before + (expectedWay ? 10 : 0));
});

test.each([
  ['workerd', { navigator: { userAgent: 'Cloudflare-Workers' } }],
  ['edge-light', { EdgeRuntime: 'edge-runtime' }],
])('%s, which serves requests, is asked for no turn at all', async (_, globals) => {
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  for (const name of WAYS) vi.stubGlobal(name, fault('throwing', name));
  let later = false;
  queueMicrotask(() =>
    queueMicrotask(() =>
      queueMicrotask(() => {
        later = true;
      }),
    ),
  );
  await nextTask();
  expect(later).toBe(false);
  for (const name of WAYS) expect(globalThis[name]).not.toHaveBeenCalled();
  expect(await longCall(engine)).toBe(expected);
  for (const name of WAYS) expect(globalThis[name]).not.toHaveBeenCalled();
});
