#!/usr/bin/env node
// The command line of those who hold keys and merge states.
import { startShardHost } from '../attention/host.ts';
import { startMerger } from '../attention/merger.ts';
import { type Args, MOST_LOCK_S, MOST_THREADS, readArgs, UsageError } from './args.ts';
import { REDIS_OPTIONS, redisOf, say, stopSignal, storeOf, warner } from './common.ts';
import { runCommands } from './run.ts';

const HOLD_HELP = `relpos-shards hold --context <name> --host <n> [--redis <url>]

Holds the keys and values of one host of a context (ShardedAttention.publish gives its name), and answers requests until it is stopped. One that was
killed is started again with the same words: it finds its keys in the store.

  --context <name>     the context's name
  --host <n>           which of its hosts this is, from 0
  --threads <n>        threads; default 1
  --max-memory <n>     MiB that the engine may take at most
  --precision <name>   reproducible (the default) or int16; the same for all hosts
  --redis <url>        redis://[user:password@]host:port[/db], rediss:// for TLS; default $REDIS_URL, else redis://127.0.0.1:6379; --redis-ca <file>
  --store <folder>     tensors lie in a folder that all machines share, and not in Redis
  --lock <seconds>     after so long without a sign a host counts as gone; default 30
`;

const MERGE_HELP = `relpos-shards merge --context <name> [--redis <url>]

Merges what the hosts of a context answer, until it is stopped. One is enough; several share the work. --max-memory, --redis, --redis-ca, --store and
--lock are as for hold.
`;

const PROGRAM = 'relpos-shards';
const COMMON = { ...REDIS_OPTIONS, context: 'word', store: 'word', lock: 'count', 'max-memory': 'count' } as const;
const NONE = { least: 0, most: 0, what: 'options alone' };

const common = (args: Args) => {
  const most = args.count('max-memory', 65_536);
  return {
    redis: redisOf(args),
    store: storeOf(args),
    context: args.need('context'),
    lockMs: (args.count('lock', MOST_LOCK_S) ?? 30) * 1000,
    ...(most !== undefined && { maxMemory: most * 2 ** 20 }),
    warn: warner(PROGRAM),
  };
};

/** Works until a signal comes. */
async function until(signal: AbortSignal, started: Promise<{ close(): Promise<void> }>, text: string): Promise<number> {
  const working = await started;
  say(text);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  await working.close();
  return 0;
}

async function hold(given: readonly string[]): Promise<number> {
  const args = readArgs(given, { ...COMMON, host: 'word', threads: 'count', precision: 'word' }, NONE);
  const signal = stopSignal(PROGRAM, 'finishing the request that is under way');
  const host = args.need('host');
  if (!/^\d{1,9}$/.test(host)) throw new UsageError(`--host expected a whole number from 0, got "${host}"`);
  const precision = args.word('precision') ?? 'reproducible';
  if (precision !== 'reproducible' && precision !== 'int16')
    throw new UsageError(`--precision expected reproducible or int16, got "${precision}"`);
  const options = { ...common(args), host: Number(host), threads: args.count('threads', MOST_THREADS) ?? 1, precision } as const;
  return until(signal, startShardHost(options), `holding: host ${host} of ${options.context}`);
}

async function merge(given: readonly string[]): Promise<number> {
  const options = common(readArgs(given, COMMON, NONE));
  return until(stopSignal(PROGRAM, 'finishing the merge that is under way'), startMerger(options), `merging: ${options.context}`);
}

await runCommands({
  program: PROGRAM,
  about: 'attention over keys that no machine holds: its hosts and its mergers',
  commands: {
    hold: { run: hold, help: HOLD_HELP, summary: 'hold the keys of one host' },
    merge: { run: merge, help: MERGE_HELP, summary: 'merge what hosts answer' },
  },
  example: 'README.md has an example of the asking end.\n',
});
