import process from 'node:process';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { readRuns } from '../bulk/heartbeat.ts';
import { isQueue } from '../bulk/settings.ts';
import { keysOf, reach } from '../redis.ts';
import { readArgs } from './args.ts';
import { plain, REDIS_OPTIONS, redisOf } from './common.ts';

export const STATUS_HELP = `relpos-bulk status [--redis <url>] [--json]

The runs that are under way, and of each model's queue the shards and the workers.
`;

export async function status(given: readonly string[]): Promise<number> {
  const args = readArgs(given, { ...REDIS_OPTIONS, json: 'flag' }, { least: 0, most: 0, what: 'options alone' });
  const redis = await reach(redisOf(args));
  try {
    const found = await gatherStatus(redis);
    process.stdout.write(args.flag('json') ? `${JSON.stringify(found)}\n` : text(found));
    return 0;
  } finally {
    redis.disconnect();
  }
}

type Found = Awaited<ReturnType<typeof gatherStatus>>;

async function gatherStatus(redis: Redis) {
  const names = (await keysOf(redis, 'bull:relpos-embed-*:meta')).map((key) => key.split(':')[1] as string).filter(isQueue);
  const queues = [];
  for (const name of names) {
    const queue = new Queue(name, { connection: redis, skipVersionCheck: true });
    const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'completed', 'failed');
    queues.push({ name, workers: await queue.getWorkersCount(), ...counts });
  }
  return { runs: await readRuns(redis), queues };
}

function text({ runs, queues }: Found): string {
  const lines = runs.map(({ out, texts, setAside, underWay, share, began, queue }) => {
    const percent = share === undefined ? '' : ` (${(100 * share).toFixed(1)} %)`;
    return `run of ${out}: ${texts} texts${percent}, ${setAside} set aside, ${underWay} shards under way, since ${began}, ${queue}`;
  });
  const shards = queues.map((one) => {
    const {
      name,
      workers,
      waiting = 0,
      active = 0,
      delayed = 0,
      completed = 0,
      failed = 0,
    } = one as Record<string, number> & { name: string; workers: number };
    return `${name}: ${workers} workers; shards: ${waiting} waiting, ${active} active, ${delayed} to be tried again, ${completed} done and not fetched, ${failed} failed`;
  });
  const all = [...lines, ...shards].map(plain);
  return `${all.length ? all.join('\n') : 'nothing: no run and no queue'}\n`;
}
