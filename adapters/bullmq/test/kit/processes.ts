// The command line as processes of its own, and what stands between them.
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The command line's program. */
export const MAIN: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Running {
  readonly child: ChildProcess;
  /** All that it printed so far. */
  readonly printed: () => string;
  /** Resolves once it printed what fits. */
  until(pattern: RegExp): Promise<void>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

const running = new Set<Running>();

/** Ends what a test left running. */
export async function endAll(): Promise<void> {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all([...running].map(({ ended }) => ended));
}

const PATIENCE_MS = 60_000;

/** Starts a program of Node.js. */
export function startNode(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: 'ignore' | 'pipe' = 'ignore',
): Running {
  const child = spawn(process.execPath, args, { stdio: [input, 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let printed = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      for (const listener of listeners) listener();
    });
  }
  const ended = new Promise<number | string>((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')));
  const until = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        listeners.delete(look);
        clearTimeout(timer);
        reject(new Error(`${why} before it printed ${pattern}; it printed: ${printed}`));
      };
      const timer = setTimeout(() => fail('a minute passed'), PATIENCE_MS);
      const look = (): void => {
        if (!pattern.test(printed)) return;
        listeners.delete(look);
        clearTimeout(timer);
        resolve();
      };
      listeners.add(look);
      ended.then((code) => {
        look();
        if (!pattern.test(printed)) fail(`it ended with ${code}`);
      });
      look();
    });
  const one = { child, printed: () => printed, until, ended };
  running.add(one);
  ended.then(() => running.delete(one));
  return one;
}

/** `relpos-bulk` with these words. */
export const bulk = (...words: readonly string[]): Running => startNode([MAIN, ...words]);

/** A worker that is ready. */
export async function startWork(...words: readonly string[]): Promise<Running> {
  const worker = bulk('work', ...words);
  await worker.until(/^working:/m);
  return worker;
}

/** A wire to a server that can be cut and mended: while it is cut nothing passes, and nobody is told. */
export interface Wire {
  readonly port: number;
  cut(): void;
  mend(): void;
  close(): void;
}

export async function wireTo(port: number): Promise<Wire> {
  let isCut = false;
  const pairs = new Set<readonly [Socket, Socket]>();
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('data', (bytes) => other.write(bytes));
      one.on('error', () => other.destroy());
      one.on('close', () => {
        other.destroy();
        pairs.delete(pair);
      });
    }
    if (isCut) for (const socket of pair) socket.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const each = (act: (socket: Socket) => void): void => {
    for (const pair of pairs) for (const socket of pair) act(socket);
  };
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut() {
      isCut = true;
      each((socket) => socket.pause());
    },
    mend() {
      isCut = false;
      each((socket) => socket.resume());
    },
    close() {
      each((socket) => socket.destroy());
      server.close();
    },
  };
}
