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

/** ioredis' options for an address. A command waits for the connection however long that takes: who calls says so, and goes on when it is back. */
export function redisOptions(address: RedisAddress): RedisOptions {
  const { protocol, hostname, port, username, password, pathname } = parseUrl(address.url);
  return {
    host: hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1) || 0),
    ...(protocol === 'rediss:' && { tls: address.ca === undefined ? {} : { ca: readFileSync(address.ca) } }),
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 6), 3000),
    // A connection that a network swallowed is found out by what is not answered.
    keepAlive: 5000,
    connectTimeout: 10_000,
  };
}

/** A connection of its own. `onTrouble` hears, once for each loss, that it is gone and why. */
export function connect(address: RedisAddress, onTrouble: (why: string) => void = () => {}): Redis {
  const redis = new Redis<'legacy'>(redisOptions(address) as RedisOptions & { replyMapping?: 'legacy' });
  let lost = false;
  redis.on('error', (error: Error) => {
    if (!lost) onTrouble(`${showAddress(address)}: ${error.message || (error as NodeJS.ErrnoException).code}`);
    lost = true;
  });
  redis.on('ready', () => {
    lost = false;
  });
  return redis;
}

/** What of BullMQ is closed: it may have connections of its own beside the one that it was given. */
interface Closing {
  close(): Promise<void>;
}

/** How long a farewell may take: a server that is gone does not answer it. */
const FAREWELL_MS = 1000;

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
