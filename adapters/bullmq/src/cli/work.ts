import { startWorker } from '../bulk/worker.ts';
import { MOST_LOCK_S, MOST_PORT, MOST_THREADS, readArgs } from './args.ts';
import { loadModel, MODEL_OPTIONS, modelOf, REDIS_OPTIONS, redisOf, say, stopSignal, storeOf, warner } from './common.ts';
import { Metrics } from './metrics.ts';

export const WORK_HELP = `relpos-bulk work --model <folder> [--redis <url>] [--threads <n>]

Works at the shards of a model, on any number of machines at a time, until it is stopped (SIGTERM or Ctrl+C: the shard under way is finished first).

  --model <folder>    a folder of Hugging Face's form, or an address with its --sha256: its files come with every checksum looked at
  --sha256 <digits>   the model's checksum, from "relpos-bulk digest"
  --cache <folder>    where models from addresses are kept; default ~/.cache/relpos-bulk
  --weights <type>    as for embed
  --redis <url>       as for embed; --redis-ca as well
  --store <folder>    as for embed
  --threads <n>       threads of this worker; default 1: several workers of one thread do more than one of several
  --lock <seconds>    after so long without a sign a worker counts as gone, and another one takes its shard; default 30
  --metrics <port>    Prometheus metrics at http://127.0.0.1:<port>/metrics; --metrics-host for another interface
`;

const OPTIONS = {
  ...REDIS_OPTIONS,
  ...MODEL_OPTIONS,
  store: 'word',
  threads: 'count',
  lock: 'count',
  metrics: 'count',
  'metrics-host': 'word',
} as const;

export async function work(given: readonly string[]): Promise<number> {
  const args = readArgs(given, OPTIONS, { least: 0, most: 0, what: 'options alone' });
  const signal = stopSignal('relpos-bulk', 'finishing the shard that is under way');
  const model = await modelOf(args);
  const encoder = await loadModel(model, args.count('threads', MOST_THREADS) ?? 1, signal);
  const metrics = new Metrics('work');
  const [texts, aside, seconds] = [
    metrics.counter('texts_total', 'Texts that this worker embedded'),
    metrics.counter('set_aside_total', 'Texts that this worker set aside'),
    metrics.seconds('shard_seconds', 'Seconds of a shard'),
  ];
  const port = args.count('metrics', MOST_PORT);
  const host = args.word('metrics-host') ?? '127.0.0.1';
  if (port !== undefined) say(`metrics: http://${host}:${await metrics.listen({ port, host })}/metrics`);
  const worker = await startWorker({
    redis: redisOf(args),
    encoder,
    model,
    store: storeOf(args),
    lockMs: (args.count('lock', MOST_LOCK_S) ?? 30) * 1000,
    warn: warner('relpos-bulk'),
    onShard(shard) {
      texts.inc(shard.texts - shard.setAside);
      aside.inc(shard.setAside);
      seconds.observe(shard.seconds);
    },
  });
  say(`working: model ${model.model.slice(0, 12)}, weights ${model.weights}`);
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined));
  });
  const broken = await Promise.race([stopped, worker.broken]);
  await worker.close();
  encoder.dispose();
  metrics.close();
  if (broken) throw new Error(`this worker cannot keep its results, and ends: ${broken.message}`);
  return 0;
}
