// A Redis (or Valkey) of the tests' own, on the loopback interface.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { connect } from '../../src/redis.ts';

const PROGRAMS = ['redis-server', 'valkey-server'];

function works(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The server's program; undefined where there is none, which is a failure where everything must be. */
export const program: string | undefined = PROGRAMS.find(works);

/** Whether tests that need a server can be left out, with their names said. */
export const mayLeaveOut: boolean = program === undefined && process.env.CI !== 'true';

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** The certificate, of a server with TLS. */
  readonly certificate: string | undefined;
  /** Takes all that it holds from it: what a failed test left behind must not fail the next. */
  clear(): Promise<void>;
  /** Ends it as a power cut would, and starts it again with what its append-only file holds. */
  restart(pause: number): Promise<void>;
  stop(): void;
}

/** How a server is started: with a password, or with TLS alone by a certificate of its own. */
export interface Kind {
  readonly password?: string;
  readonly tls?: boolean;
}

/** A certificate for the loopback interface, which signs itself: [certificate, key]. */
function certify(folder: string): [string, string] {
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const words = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ];
  execFileSync('openssl', [...words, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  return [certificate, key];
}

export async function startRedis({ password, tls = false }: Kind = {}): Promise<TestRedis> {
  if (program === undefined) throw new Error(`none of ${PROGRAMS.join(', ')} is installed: Debian has redis-server`);
  const folder = mkdtempSync(join(tmpdir(), 'relpos-redis-'));
  const port = await freePort();
  const user = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const url = `${tls ? 'rediss' : 'redis'}://${user}127.0.0.1:${port}`;
  const [certificate, key] = tls ? certify(folder) : [];
  const secure = ['--tls-cert-file', certificate ?? '', '--tls-key-file', key ?? '', '--tls-auth-clients', 'no'];
  const listen = tls ? ['--port', '0', '--tls-port', String(port), ...secure] : ['--port', String(port)];
  const words = [...listen, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
  let child: ChildProcess | undefined;
  const ask = async <T>(question: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = connect({ url, ...(certificate !== undefined && { ca: certificate }) });
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  };
  const start = async (): Promise<void> => {
    child = spawn(program as string, [...words, ...(password === undefined ? [] : ['--requirepass', password])], { stdio: 'ignore' });
    const ready = await ask((redis) => Promise.race([redis.ping(), sleep(10_000, undefined, { ref: false })]));
    if (ready !== 'PONG') throw new Error('the server did not start in ten seconds');
  };
  await start();
  return {
    port,
    url,
    certificate,
    async clear() {
      await ask((redis) => redis.flushall());
    },
    async restart(pause) {
      const gone = new Promise((resolve) => child?.once('exit', resolve));
      child?.kill('SIGKILL');
      await gone;
      await sleep(pause);
      await start();
    },
    stop() {
      child?.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
