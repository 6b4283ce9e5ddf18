// What the commands share: the connection, the store, the model and how one ends.
import process from 'node:process';
import type { Redis } from 'ioredis';
import type { Encoder } from 'relpos/models';
import { fetchModel, isAddress, manifestOf } from '../bulk/model.ts';
import { readSettings, type Settings } from '../bulk/settings.ts';
import type { RedisAddress } from '../redis.ts';
import { folderStore } from '../store/folder-store.ts';
import { redisStore } from '../store/redis-store.ts';
import type { Store } from '../store/store.ts';
import { type Args, UsageError } from './args.ts';

/** Options of every command that speaks with Redis. */
export const REDIS_OPTIONS = { redis: 'word', 'redis-ca': 'word' } as const;
/** Options that say which model. */
export const MODEL_OPTIONS = { model: 'word', sha256: 'word', weights: 'word', cache: 'word' } as const;

/** Text of one line without what commands a terminal: some of it came from the queue. */
export const plain = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

export const say = (text: string): void => void process.stderr.write(`${plain(text)}\n`);

/** Trouble, but one that may come a thousand times: the same words are said once in ten seconds. */
export function warner(program: string): (text: string) => void {
  const last = new Map<string, number>();
  return (text) => {
    const now = Date.now();
    if (now - (last.get(text) ?? 0) < 10_000) return;
    if (last.size > 100) last.clear();
    last.set(text, now);
    say(`${program}: ${text}`);
  };
}

export function redisOf(args: Args): RedisAddress {
  const url = args.word('redis') ?? process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
  const ca = args.word('redis-ca');
  return { url, ...(ca !== undefined && { ca }) };
}

export function storeOf(args: Args): (redis: Redis) => Store {
  const folder = args.word('store');
  return folder === undefined ? redisStore : () => folderStore(folder);
}

/** A model that is named on the command line: its folder on this machine, if it is wanted, and what it is. */
export interface NamedModel {
  readonly model: string;
  readonly weights: string;
  /** The folder, fetched first if the model is at an address. */
  folder(signal: AbortSignal): Promise<string>;
}

export async function modelOf(args: Args): Promise<NamedModel> {
  const place = args.need('model');
  const sum = args.word('sha256');
  const weights = args.word('weights') ?? 'default';
  if (isAddress(place)) {
    if (sum === undefined) throw new UsageError('a --model from an address needs its --sha256, from "relpos-bulk digest" of its folder');
    const cache = args.word('cache') ?? `${process.env.XDG_CACHE_HOME ?? `${process.env.HOME ?? '.'}/.cache`}/relpos-bulk`;
    const { model } = readSettings({ model: sum, weights }, '--sha256');
    return { model, weights, folder: async (signal) => (await fetchModel(place, model, cache, signal)).folder };
  }
  const { digest } = await manifestOf(place);
  if (sum !== undefined && sum !== digest) throw new Error(`--sha256 expected the model ${sum}, ${place} is ${digest}`);
  readSettings({ model: digest, weights }, '--weights');
  return { model: digest, weights, folder: async () => place };
}

/** Loads the encoder, on so many threads. */
export async function loadModel({ folder, weights }: NamedModel, threads: number, signal: AbortSignal): Promise<Encoder> {
  const { loadEncoder } = await import('relpos/models');
  return loadEncoder(await folder(signal), { threads, signal, ...(weights !== 'default' && { weights: weights as 'i8' }) });
}

export function settingsOf(args: Args, { model, weights }: Pick<NamedModel, 'model' | 'weights'>): Settings {
  const [pooling, prompt, maxLength] = [args.word('pooling'), args.word('prompt'), args.count('max-length', 2 ** 20)];
  return readSettings(
    {
      model,
      weights,
      ...(pooling !== undefined && { pooling }),
      ...(prompt !== undefined && { prompt }),
      ...(maxLength !== undefined && { maxLength }),
      ...(args.flag('raw') && { normalize: false }),
    },
    'options',
  );
}

/** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
export function stopSignal(program: string, text: string): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
      say(`${program}: ${text}`);
      controller.abort(new Stopped(name));
    });
  }
  return controller.signal;
}

/** A person or a supervisor asked for the end. */
export class Stopped extends Error {
  readonly code: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('stopped');
    this.code = signal === 'SIGINT' ? 130 : 143;
  }
}
