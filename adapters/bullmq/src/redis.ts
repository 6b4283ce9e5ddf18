// The connection: an address of Redis or Valkey becomes options, and what is said of it never holds its password.
import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';

/** How to reach Redis or Valkey. */
export interface RedisAddress {
  /** `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. */
  readonly url: string;
  /** A file with the certificates (PEM) that the server's is signed by, for TLS; else those that Node.js trusts. */
  readonly ca?: string;
}

/** The address without user and password. */
export function showAddress({ url }: RedisAddress): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}

function parseUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new TypeError('redis: "url" expected redis://host:port or rediss://host:port, got what is no address');
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') {
    throw new TypeError(`redis: "url" expected redis:// or rediss://, got ${parsed.protocol}//`);
  }
  if (!/^\/?\d{0,5}$/.test(parsed.pathname))
    throw new TypeError(`redis: "url" expected the number of a database after the port, got ${parsed.pathname}`);
  return parsed;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError('redis: "url" expected user and password with %25 for a percent sign, got one that begins no escape');
  }
}

/** ioredis' options for an address. A command waits for the connection however long that takes: who calls says so, and goes on when it is back. */
export function redisOptions(address: RedisAddress): RedisOptions {
  const { protocol, hostname, port, username, password, pathname } = parseUrl(address.url);
  return {
    host: hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(port || 6379),
    ...(username && { username: decoded(username) }),
    ...(password && { password: decoded(password) }),
    db: Number(pathname.slice(1) || 0),
    ...(protocol === 'rediss:' && { tls: address.ca === undefined ? {} : { ca: readFileSync(address.ca) } }),
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 6), 3000),
    // A connection that a network swallowed is found out by what is not answered.
    keepAlive: 5000,
    connectTimeout: 10_000,
  };
}

/** Milliseconds after which it is said again that a connection is gone. */
const AGAIN_MS = 60_000;

/** A connection of its own. `onTrouble` hears that it is gone and why: at once, and once a minute until it is back. */
export function connect(address: RedisAddress, onTrouble: (why: string) => void = () => {}): Redis {
  const redis = new Redis<'legacy'>(redisOptions(address) as RedisOptions & { replyMapping?: 'legacy' });
  let told = 0;
  redis.on('error', (error: Error) => {
    if (Date.now() - told < AGAIN_MS) return;
    told = Date.now();
    onTrouble(`${showAddress(address)}: ${error.message || (error as NodeJS.ErrnoException).code}`);
  });
  redis.on('ready', () => {
    told = 0;
  });
  return redis;
}

/** Milliseconds that a server may take to answer somebody who asks whether it is there. */
const PATIENCE_MS = 5000;

/** A connection to a server that answers. One that does not is an error, with the reason. */
export async function reach(address: RedisAddress): Promise<Redis> {
  let trouble: string | undefined;
  const redis = connect(address, (why) => {
    trouble = why;
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), PATIENCE_MS);
  });
  try {
    await Promise.race([redis.ping(), late]);
    return redis;
  } catch (error) {
    redis.disconnect();
    throw new Error(`Redis cannot be reached: ${trouble ?? `${showAddress(address)}: ${(error as Error).message}`}`);
  } finally {
    clearTimeout(timer);
  }
}

/** All keys of a pattern. */
export async function keysOf(redis: Redis, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const some of redis.scanStream({ match: pattern, count: 500 })) keys.push(...(some as string[]));
  return [...new Set(keys)].sort();
}

/** What of BullMQ is closed: it may have connections of its own beside the one that it was given. */
interface Closing {
  close(): Promise<void>;
}

/** How long a farewell may take: a server that is gone does not answer it. */
export const FAREWELL_MS = 1000;

/** Closes what stands on connections, then these. */
export async function closeAll(parts: readonly Closing[], connections: readonly Redis[]): Promise<void> {
  const all = Promise.all(parts.map((part) => part.close().catch(() => {})));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FAREWELL_MS);
  });
  await Promise.race([all, late]);
  clearTimeout(timer);
  for (const connection of connections) connection.disconnect();
}

/** Milliseconds that the work under way is waited for while the server is gone: without it nobody can be told of the result. */
const GONE_MS = 5000;

/** Ends a worker once its job is done; at once where its server has been gone for a while: somebody else gets the job. */
export async function closeWorker(worker: Closing, connection: Redis): Promise<void> {
  let seen = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const gone = new Promise<void>((resolve) => {
    timer = setInterval(() => {
      if (connection.status === 'ready') seen = Date.now();
      else if (Date.now() - seen > GONE_MS) resolve();
    }, 250);
  });
  await Promise.race([worker.close(), gone]);
  clearInterval(timer);
  connection.disconnect();
}
