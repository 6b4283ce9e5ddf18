import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Computer, localComputer } from '../bulk/computer.ts';
import { openCorpus } from '../bulk/corpus.ts';
import { embedCorpus, type Progress } from '../bulk/embed-corpus.ts';
import { forgetRun, type RunState, writeRun } from '../bulk/heartbeat.ts';
import { OutFolder } from '../bulk/out-folder.ts';
import { QueueComputer } from '../bulk/queue-computer.ts';
import { queueName } from '../bulk/settings.ts';
import { connect, FAREWELL_MS } from '../redis.ts';
import { MOST_PORT, MOST_THREADS, readArgs, UsageError } from './args.ts';
import { loadModel, MODEL_OPTIONS, modelOf, REDIS_OPTIONS, redisOf, say, settingsOf, stopSignal, storeOf, warner } from './common.ts';
import { Metrics } from './metrics.ts';

export const EMBED_HELP = `relpos-bulk embed <corpus> --model <folder> --out <folder> [--redis <url>]

Embeds every text of a corpus. Rows of the result are the corpus's lines in their order; a text that cannot be embedded has a row of zeros, and its reason is
in set-aside.jsonl. What is there already is not computed again: the same command goes on after any end.

  <corpus>            a file of lines or of JSON lines (.jsonl, .ndjson), also in gzip; - is standard input
  --model <folder>    a folder of Hugging Face's form, or an address with its --sha256
  --out <folder>      gets shards/*.safetensors ("embeddings" [rows, width] F32), set-aside.jsonl and, at the end, index.json
  --redis <url>       redis://[user:password@]host:port[/db], rediss:// for TLS; default $REDIS_URL, else redis://127.0.0.1:6379
  --redis-ca <file>   certificates that the server's is signed by
  --local             no queue: this process computes, with --threads threads (default 1); the files are the same, byte for byte
  --weights <type>    f32, f16, bf16, i8, i4; default as the folder has them. The workers must be given the same
  --format <name>     jsonl or text; default by the file's name
  --field <key>       the key of the text in JSON lines; default text
  --shard-tokens <n>  tokens of a shard, about; default 16384
  --ahead <n>         shards under way at most: what lies in Redis at a time; default 32
  --store <folder>    texts and vectors travel by a folder that all machines share, and not through Redis
  --max-length <n>    tokens of a text at most; the rest is cut off
  --pooling <name>    mean, cls, last, max; default as the model says
  --prompt <name>     the prompt of the model to put before each text
  --raw               vectors are not brought to length 1
  --metrics <port>    Prometheus metrics at http://127.0.0.1:<port>/metrics; --metrics-host for another interface
`;

const OPTIONS = {
  ...REDIS_OPTIONS,
  ...MODEL_OPTIONS,
  out: 'word',
  local: 'flag',
  threads: 'count',
  format: 'word',
  field: 'word',
  'shard-tokens': 'count',
  ahead: 'count',
  store: 'word',
  'max-length': 'count',
  pooling: 'word',
  prompt: 'word',
  raw: 'flag',
  metrics: 'count',
  'metrics-host': 'word',
} as const;

export async function embed(given: readonly string[]): Promise<number> {
  const args = readArgs(given, OPTIONS, { least: 1, most: 1, what: 'one corpus' });
  const [path] = args.operands as [string];
  const format = args.word('format');
  if (format !== undefined && format !== 'jsonl' && format !== 'text')
    throw new UsageError(`--format expected jsonl or text, got "${format}"`);
  const out = args.need('out');
  const tokens = args.count('shard-tokens', 2 ** 30) ?? 16_384;
  const model = await modelOf(args);
  const settings = settingsOf(args, model);
  const signal = stopSignal('relpos-bulk', 'stopping; the same command goes on from here');
  const warn = warner('relpos-bulk');
  const field = args.word('field');
  const redis = redisOf(args);
  const local = args.flag('local');
  const [threads, ahead, port] = [
    args.count('threads', MOST_THREADS) ?? 1,
    args.count('ahead', 65_536) ?? 32,
    args.count('metrics', MOST_PORT),
  ];
  const corpus = await openCorpus(path, { signal, ...(format && { format }), ...(field !== undefined && { field }) });
  const folder = await OutFolder.open(out, settings, tokens);
  /** What has to be ended, whatever comes. */
  const ends: (() => unknown)[] = [() => folder.close()];
  try {
    const watch = new Watch(corpus.total !== undefined);
    ends.push(() => watch.end());
    const metrics = await watch.metrics(port, args.word('metrics-host'));
    ends.push(() => metrics?.close());
    const computer: Computer & { workers?: () => Promise<number> } = local
      ? localComputer(await loadModel(model, threads, signal), settings)
      : new QueueComputer({ redis, settings, run: folder.run, ahead, store: storeOf(args), warn });
    ends.push(() => computer.close());
    if (!local) ends.push(heartbeat(redis, { queue: queueName(settings), out: resolve(out) }, watch, computer, warn));
    const onProgress = (progress: Progress): void => watch.take(progress);
    const result = await embedCorpus({ corpus, out: folder, computer, settings, tokens, signal, onProgress });
    watch.end();
    const aside = result.setAside ? `, ${result.setAside} set aside (${out}/set-aside.jsonl)` : '';
    say(`${result.rows} texts of width ${result.width} in ${result.shards} shards${aside}: ${out}/index.json`);
    return 0;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Milliseconds between two lines of progress, where it is a terminal that draws over them and where it is not. */
const LINE_MS = process.stderr.isTTY ? 500 : 10_000;

/** Progress as people read it, with the rate of the last half minute and the time that is left. */
class Watch {
  last: Progress = { texts: 0, found: 0, setAside: 0, shards: 0, underWay: 0, share: undefined };
  readonly began = Date.now();
  #said = Date.now();
  #drawn = false;
  #marks: { readonly at: number; readonly texts: number; readonly share: number }[] = [];
  readonly #known: boolean;
  #metrics: { readonly take: (progress: Progress) => void } | undefined;

  constructor(known: boolean) {
    this.#known = known;
  }

  async metrics(port: number | undefined, host = '127.0.0.1'): Promise<Metrics | undefined> {
    if (port === undefined) return undefined;
    const metrics = new Metrics('embed');
    const [texts, aside, under] = [
      metrics.gauge('texts', 'Texts that are done'),
      metrics.gauge('set_aside', 'Texts that were set aside'),
      metrics.gauge('shards_under_way', 'Shards that are under way'),
    ];
    this.#metrics = { take: (progress) => [texts.set(progress.texts), aside.set(progress.setAside), under.set(progress.underWay)] };
    say(`metrics: http://${host}:${await metrics.listen({ port, host })}/metrics`);
    return metrics;
  }

  take(progress: Progress): void {
    this.last = progress;
    this.#metrics?.take(progress);
    const now = Date.now();
    this.#marks.push({ at: now, texts: progress.texts - progress.found, share: progress.share ?? 0 });
    while (this.#marks.length > 2 && now - (this.#marks[0]?.at ?? now) > 30_000) this.#marks.shift();
    if (now - this.#said < LINE_MS) return;
    this.#said = now;
    const line = this.line();
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
    else say(line);
    this.#drawn = process.stderr.isTTY;
  }

  line(): string {
    const { texts, found, setAside, share } = this.last;
    const [first, now] = [this.#marks[0], this.#marks.at(-1)];
    const seconds = first && now ? (now.at - first.at) / 1000 : 0;
    const rate = first && now && seconds > 0 ? (now.texts - first.texts) / seconds : 0;
    const speed = first && now && seconds > 0 ? (now.share - first.share) / seconds : 0;
    const left = this.#known && share !== undefined && speed > 0 ? `, ${duration((1 - share) / speed)} left` : '';
    const percent = this.#known && share !== undefined ? ` (${(100 * share).toFixed(1)} %)` : '';
    return `${texts} texts${percent}, ${rate.toFixed(rate < 10 ? 1 : 0)} a second${left}${found ? `, ${found} were there` : ''}${setAside ? `, ${setAside} set aside` : ''}`;
  }

  end(): void {
    if (this.#drawn) process.stderr.write('\n');
    this.#drawn = false;
  }
}

function duration(exact: number): string {
  const seconds = Math.round(exact);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
}

const BEAT_MS = 2000;
/** Milliseconds without any worker after which that is said. */
const ALONE_MS = 5000;

/** Tells of the run in Redis, and says so if nobody works. Returns what ends it. */
function heartbeat(
  address: ReturnType<typeof redisOf>,
  about: Pick<RunState, 'queue' | 'out'>,
  watch: Watch,
  computer: { workers?: () => Promise<number> },
  warn: (text: string) => void,
): () => Promise<void> {
  const redis = connect(address);
  const id = randomUUID();
  const began = new Date(watch.began).toISOString();
  let busy = false;
  const timer = setInterval(async () => {
    if (busy || redis.status !== 'ready') return;
    busy = true;
    try {
      await writeRun(redis, id, { ...watch.last, ...about, began, written: new Date().toISOString() });
      const alone = watch.last.underWay > 0 && Date.now() - watch.began > ALONE_MS && (await computer.workers?.()) === 0;
      if (alone) warn('no worker of this model and these weights is connected: start some with "relpos-bulk work"');
    } catch {} // The connection tells of its own troubles.
    busy = false;
  }, BEAT_MS);
  return async () => {
    clearInterval(timer);
    const forgotten = redis.status === 'ready' ? forgetRun(redis, id).catch(() => {}) : Promise.resolve();
    await Promise.race([forgotten, sleep(FAREWELL_MS)]);
    redis.disconnect();
  };
}
