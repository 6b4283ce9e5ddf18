// What a run tells of itself in Redis, for `relpos-bulk status` on any machine.
import type { Redis } from 'ioredis';
import { show } from '../content.ts';
import { keysOf } from '../redis.ts';
import type { Progress } from './embed-corpus.ts';

/** A run as it is seen from elsewhere. */
export interface RunState extends Progress {
  readonly queue: string;
  /** When it began, and when this was written: ISO 8601. */
  readonly began: string;
  readonly written: string;
  readonly out: string;
}

const PREFIX = 'relpos-bulk-run:';
/** Seconds after which a run that says nothing any more is forgotten. */
const KEEP_S = 60;

export async function writeRun(redis: Redis, id: string, state: RunState): Promise<void> {
  await redis.set(`${PREFIX}${id}`, JSON.stringify(state), 'EX', KEEP_S);
}

export async function forgetRun(redis: Redis, id: string): Promise<void> {
  await redis.unlink(`${PREFIX}${id}`);
}

/** Reads what a run tells of itself, as hostile as a file. */
function readState(text: string): RunState {
  const state = JSON.parse(text) as RunState;
  const { queue, began, written, out, texts, found, setAside, shards, underWay, share } = state;
  const words = [queue, began, written, out].every((word) => typeof word === 'string');
  const numbers = [texts, found, setAside, shards, underWay, share ?? 0].every((number) => Number.isFinite(number));
  if (!words || !numbers) throw new RangeError(show(text));
  return state;
}

export async function readRuns(redis: Redis): Promise<RunState[]> {
  const states: RunState[] = [];
  for (const key of await keysOf(redis, `${PREFIX}*`)) {
    try {
      const text = await redis.get(key);
      if (text !== null) states.push(readState(text));
    } catch {} // Not one of ours.
  }
  return states;
}
