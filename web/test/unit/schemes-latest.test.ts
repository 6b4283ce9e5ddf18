import { expect, test } from 'vitest';
import { type Answering, Latest } from '../../src/panels/schemes/latest.ts';

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** A worker whose answers, and whose end, the test decides. */
function scene() {
  const asked: string[] = [];
  const said: (readonly [string, string | undefined, string | undefined])[] = [];
  const state = { started: 0, stopped: 0, answer: (_: string): void => {}, fail: (_: Error): void => {}, crash: (_: Error): void => {} };
  const start = (broken: (error: Error) => void): Answering<string, string> => {
    state.started += 1;
    state.crash = broken;
    return {
      compute: (request) => {
        asked.push(request);
        return new Promise((resolve, reject) => {
          state.answer = resolve;
          state.fail = reject;
        });
      },
      stop: () => {
        state.stopped += 1;
      },
    };
  };
  const latest = new Latest<string, string>(start, (request, answer, error) => said.push([request, answer, error]));
  return { asked, said, state, latest };
}

test('one request is under way, and of those that come meanwhile the newest is next', async () => {
  const { asked, said, state, latest } = scene();
  for (const request of ['a', 'b', 'c']) latest.ask(request);
  await turn();
  expect(asked).toEqual(['a']);
  state.answer('A');
  await turn();
  expect(asked).toEqual(['a', 'c']);
  state.answer('C');
  await turn();
  expect(said).toEqual([
    ['a', 'A', undefined],
    ['c', 'C', undefined],
  ]);
  expect(asked).toEqual(['a', 'c']);
});

test('the first request is asked twice if no other comes, so that its time is that of later ones', async () => {
  const { asked, state, latest } = scene();
  latest.ask('a');
  await turn();
  state.answer('A');
  await turn();
  state.answer('A');
  await turn();
  expect(asked).toEqual(['a', 'a']);
});

test('a request that fails says why, and the worker goes on', async () => {
  const { said, state, latest } = scene();
  latest.ask('a');
  await turn();
  state.fail(new Error('no'));
  await turn();
  latest.ask('b');
  await turn();
  state.answer('B');
  await turn();
  expect(said).toEqual([
    ['a', undefined, 'no'],
    ['b', 'B', undefined],
  ]);
  expect([state.started, state.stopped]).toEqual([1, 0]);
});

test('a worker that breaks says so once, and another one answers the next request', async () => {
  const { said, state, latest } = scene();
  latest.ask('a');
  await turn();
  state.crash(new Error('broke'));
  await turn();
  expect(said).toEqual([['a', undefined, 'broke']]);
  expect([state.started, state.stopped]).toEqual([1, 1]);
  latest.ask('b');
  await turn();
  state.answer('B');
  await turn();
  expect(said.at(-1)).toEqual(['b', 'B', undefined]);
  expect(state.started).toBe(2);
});

test('after a stop nothing is said', async () => {
  const { said, state, latest } = scene();
  latest.ask('a');
  await turn();
  latest.stop();
  state.answer('A');
  await turn();
  expect(said).toEqual([]);
  expect(state.stopped).toBe(1);
});
