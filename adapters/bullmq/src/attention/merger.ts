// Merging: the parent of a request's jobs takes their states in the order of the keys. The order is fixed, so the bits are, whoever answered first.
import { type Job, UnrecoverableError } from 'bullmq';
import { collectStates, type DecodedState, decodeState, encodeState, loadState } from 'relpos';
import { type Claim, readClaim, record, show } from '../content.ts';
import { workAt } from '../one-at-a-time.ts';
import { closeWorker } from '../redis.ts';
import { deposit, redeem } from '../store/store.ts';
import { mergeQueue, seenChunks } from './context.ts';
import { type HostAnswer, MOST_STALLS, PRECISIONS } from './host.ts';
import { begin, type ProcessOptions } from './process.ts';
import { readRequest } from './request.ts';

/** What a merger answers: the whole. */
export interface MergeAnswer {
  readonly whole: Claim;
}

const MOST_STATES = 4096;

/** What a host answered. */
function readAnswer(given: unknown): HostAnswer {
  const { states, precision } = record(given, 'answer', ['states', 'precision']);
  if (!Array.isArray(states) || states.length > MOST_STATES)
    throw new RangeError(`answer: "states" expected a list of ${MOST_STATES} at most`);
  const known = PRECISIONS.find((one) => one === precision);
  if (!known) throw new RangeError(`answer: "precision" expected one of ${PRECISIONS.join(', ')}, got ${show(precision)}`);
  return { states: states.map((state: unknown, n) => readClaim(state, `answer.states[${n}]`)), precision: known };
}

/** Claims on the states of all hosts, which must have computed alike: else the whole had bits that hang on who answered. */
function statesOf(given: readonly unknown[]): Claim[] {
  const answers = given.map(readAnswer);
  const precisions = [...new Set(answers.map(({ precision }) => precision))].sort();
  if (precisions.length > 1) throw new RangeError(`merge: expected hosts of one precision, got ${precisions.join(' and ')}`);
  return answers.flatMap(({ states }) => states);
}

/** Starts a merger; several may work for one context. */
export async function startMerger(options: ProcessOptions): Promise<{ close(): Promise<void> }> {
  const { context: id, lockMs, warn } = options;
  const { connection, store, engine, context, end } = await begin(options, { threads: 1 });

  const merge = async (job: Job): Promise<MergeAnswer> => {
    const request = readRequest(record(job.data, 'job', ['request']).request);
    const [failure] = Object.values(await job.getIgnoredChildrenFailures());
    if (failure !== undefined) throw new UnrecoverableError(failure);
    const states = statesOf(Object.values(await job.getChildrenValues()));
    const decoded: DecodedState[] = [];
    for (const state of states) decoded.push(decodeState(await redeem(store, state)));
    const seen = seenChunks(context, { start: request.start, end: request.start + request.queries }, request.options);
    const empty = [...seen.keys()].filter((index) => !seen[index]);
    const ordered = collectStates(decoded, context.chunks.length, { empty });
    if (ordered.some((state) => state.id !== request.id)) throw new RangeError(`merge: expected states of the request ${request.id}`);
    const loaded: ReturnType<typeof loadState>[] = [];
    try {
      // One by one: those before one that finds no room are given back too.
      for (const state of ordered) loaded.push(loadState(engine, state));
      const merged = await engine.mergeStates(loaded);
      const bytes = encodeState(merged, { id: request.id });
      merged.out.dispose();
      merged.lse.dispose();
      return { whole: await deposit(store, 'whole', bytes, request.id) };
    } finally {
      for (const { out, lse } of loaded) {
        out.dispose();
        lse.dispose();
      }
    }
  };
  const worker = workAt(mergeQueue(id), merge, { connection, lockMs, mostStalls: MOST_STALLS, what: 'merge', warn });
  return {
    async close() {
      await closeWorker(worker, connection);
      await end();
    },
  };
}
