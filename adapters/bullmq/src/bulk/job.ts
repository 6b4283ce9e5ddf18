// What travels through the queue: claims and settings, never texts or vectors; and how both ends read it, as hostile as a file.
import { type Claim, integer, isRun, isSha256, readClaim, record, show } from '../content.ts';
import { readSettings, type Settings } from './settings.ts';

const VERSION = 1;

/** A job. */
export interface EmbedJob {
  readonly version: 1;
  /** The run that put it there: what lies in the store for it is the run's own. */
  readonly run: string;
  /** The shard's name. */
  readonly shard: string;
  readonly texts: Claim;
  readonly count: number;
  readonly settings: Settings;
}

/** What a worker answers. */
export interface EmbedAnswer {
  readonly version: 1;
  readonly shard: string;
  readonly vectors: Claim;
  /** Texts without a vector. */
  readonly setAside: number;
}

function expectVersion(version: unknown, what: string): void {
  if (version !== VERSION) throw new RangeError(`${what}: "version" expected ${VERSION}, got ${show(version)}`);
}

function expectShard(shard: unknown, what: string): string {
  if (!isSha256(shard)) throw new RangeError(`${what}: "shard" expected 64 hexadecimal digits, got ${show(shard)}`);
  return shard;
}

export function readJob(given: unknown): EmbedJob {
  const { version, run, shard, texts, count, settings } = record(given, 'job', ['version', 'run', 'shard', 'texts', 'count', 'settings']);
  expectVersion(version, 'job');
  if (!isRun(run)) throw new RangeError(`job: "run" expected a UUID, got ${show(run)}`);
  return {
    version: VERSION,
    run,
    shard: expectShard(shard, 'job'),
    texts: readClaim(texts, 'job.texts'),
    count: integer(count, 'job: "count"', 1, 65_536),
    settings: readSettings(settings, 'job.settings'),
  };
}

export function readAnswer(given: unknown): EmbedAnswer {
  const { version, shard, vectors, setAside } = record(given, 'answer', ['version', 'shard', 'vectors', 'setAside']);
  expectVersion(version, 'answer');
  return {
    version: VERSION,
    shard: expectShard(shard, 'answer'),
    vectors: readClaim(vectors, 'answer.vectors'),
    setAside: integer(setAside, 'answer: "setAside"', 0, 65_536),
  };
}
