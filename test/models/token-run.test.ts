/** Runs of one token, which begin again what the last one left: whatever came between, their bits are those of a run that was planned for them. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { blueprintOf } from '../../src/models/families/index.ts';
import { Runner } from '../../src/models/runner.ts';
import { appendAll, type Session } from '../../src/models/session.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { type LayerContext, layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import { checkpoint } from './checkpoints.ts';

const where = 'token run';
const engine = await createEngine({ threads: 1 });
const layers = await layerContext(where, engine, OWN_LAYERS);
afterAll(() => engine.dispose());

async function load(name: string, on: LayerContext = layers): Promise<Runner> {
  const opened = await openCheckpoint({ where }, 'model', checkpoint(name).folder);
  const weights = await opened.weights();
  try {
    const index = new Map(weights.names.map((each) => [each, weights.info(each)]));
    return await Runner.load(on, blueprintOf(opened.config, index), weights, { where, weights: 'f32', reader: TextReader });
  } finally {
    await weights.close();
  }
}

/** Some tokens, no two of a kind in a row. */
const some = (count: number, first: number, vocabulary: number): number[] =>
  Array.from({ length: count }, (_, n) => (first + 7 * n + n * n) % vocabulary);

/** Logits after these tokens, of a session that has seen no others, in one run for each. */
async function planned(runner: Runner, ids: readonly number[], source: { ids: number[] } | undefined): Promise<Float32Array> {
  const session = await runner.session({ capacity: 192, ...(source && { source }) });
  // A run between any two makes each plan its own.
  const other = await runner.session({ capacity: 192, ...(source && { source }) });
  for (const [n, id] of ids.entries()) {
    await session.append([id]);
    if (n + 1 < ids.length) await other.append([id, id]);
    if (other.length > 100) other.truncate(0);
  }
  const logits = session.logits.toArray() as Float32Array;
  session.dispose();
  other.dispose();
  return logits;
}

describe.each(['llama', 'gemma3', 'gpt2', 'bloom', 'mistral', 't5', 'transformer-xl-memory'])('%s', (name) => {
  test('alone, over pages and windows, after tokens were taken back, beside a fork and a batch', async () => {
    const runner = await load(name);
    const { vocabulary, longest = 192 } = runner.blueprint;
    const source = runner.blueprint.kind === 'seq2seq' ? { ids: some(9, 3, vocabulary) } : undefined;
    const ids = some(Math.min(longest, 140), 1, vocabulary);
    const expected = new Map<number, Float32Array>();
    const at = async (count: number): Promise<Float32Array> => {
      const found = expected.get(count) ?? (await planned(runner, ids.slice(0, count), source));
      expected.set(count, found);
      return found;
    };
    const open = (): Promise<Session> => runner.session({ capacity: 192, ...(source && { source }) });
    const step = async (session: Session): Promise<void> => session.append([ids[session.length] as number]);
    const session = await open();
    for (const count of [3, 66, Math.min(ids.length, 131)]) {
      while (session.length < count) await step(session);
      expect(session.logits.toArray()).toEqual(await at(count));
    }
    session.truncate(60);
    for (const count of [61, 62, 67]) {
      while (session.length < count) session.appendSync([ids[session.length] as number]);
      expect(session.logits.toArray()).toEqual(await at(count));
    }
    const fork = session.fork();
    for (let n = 0; n < 3; n++) for (const one of [session, fork]) await step(one);
    expect(session.logits.toArray()).toEqual(await at(70));
    await step(fork);
    expect(fork.logits.toArray()).toEqual(await at(71));
    const size = fork.logits.shape[1] as number;
    const both = (await appendAll([fork, session], [[ids[71] as number], [ids[70] as number]])).toArray() as Float32Array;
    expect([both.slice(0, size), both.slice(size)]).toEqual([await at(72), await at(71)]);
    await step(session);
    expect(session.logits.toArray()).toEqual(await at(72));
    await step(session);
    expect([session.logits.toArray(), session.hidden.shape]).toEqual([await at(73), [1, runner.blueprint.width]]);
    for (const one of [session, fork]) one.dispose();
    runner.dispose();
  });
});

test('one that is refused leaves the text as it was, and the next one goes on', async () => {
  const runner = await load('llama');
  const session = await runner.session({ capacity: 5 });
  const ids = some(6, 2, runner.blueprint.vocabulary);
  for (const id of ids.slice(0, 5)) await session.append([id]);
  await expect(session.append(ids.slice(5))).rejects.toThrow(/capacity/);
  session.truncate(3);
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await session.append([ids[3] as number]);
  await expect(session.append([ids[4] as number], controller.signal)).rejects.toThrow('enough');
  expect(session.length).toBe(4);
  await session.append([ids[4] as number]);
  expect(session.logits.toArray()).toEqual(await planned(runner, ids.slice(0, 5), undefined));
  session.dispose();
  runner.dispose();
});
