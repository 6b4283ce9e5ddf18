// Bytes that come in a stream which may break: what is missing is asked for again, from where it broke.

import { RelposError } from '../arguments/errors.ts';
import { after } from '../platform/time.ts';
import { reasonOf, unreadable } from './fault.ts';
import type { Loading, Patience, RangeReader } from './source.ts';

/** How a broken download goes on unless it is told otherwise: 0.25, 0.5, 1, 2 and 4 seconds, then the error. */
const PATIENCE: Patience = { failures: 5, pause: 250, stall: 60_000 };

/** The longest wait that a server may ask for, in milliseconds. */
const LONGEST_WAIT = 60_000;

/** Progress after which failures are forgotten. */
const FORGIVEN = 1 << 20;

/** A failure that another try may mend, and the milliseconds that the server asks to wait before it. */
export class Passing extends Error {
  readonly wait: number;

  constructor(message: string, wait = 0, options?: ErrorOptions) {
    super(message, options);
    this.wait = wait;
  }
}

/** A body as it comes. */
export interface Body {
  /** The next bytes, or undefined at its end. */
  next(): Promise<Uint8Array | undefined>;
  cancel(): void;
}

/** What is used of a ReadableStream. */
export interface ByteStream {
  getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: unknown }>; cancel(): Promise<void> };
}

/** The body of a stream of bytes. */
export function bodyOf(stream: ByteStream): Body {
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      if (done) return undefined;
      if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      throw new TypeError('the stream gives something else than bytes');
    },
    // What fails while it is given up is of no interest.
    cancel: () => void reader.cancel().catch(() => {}),
  };
}

/** Says of each failure of one piece of work whether it is tried again, and when. Errors of ours are for good. */
export class Retries {
  readonly #loading: Loading;
  readonly #file: string;
  #failures = 0;
  #failedAt = 0;

  constructor(loading: Loading, file: string) {
    this.#loading = loading;
    this.#file = file;
  }

  get patience(): Patience {
    return this.#loading.patience ?? PATIENCE;
  }

  /**
   * Waits before the next try.
   *
   * @param at how far the work has come, which forgives earlier failures
   * @throws what is for good; the signal's reason; RelposError `unreadable` if it failed too often
   */
  async failed(error: unknown, at: number): Promise<void> {
    const { signal, where } = this.#loading;
    if (signal?.aborted) throw signal.reason;
    if (error instanceof RelposError) throw error;
    // Ports that fetch is not allowed to ask stay so, and redirects that go round: Node counts them, Deno has a maximum number of them, Bun and WebKit
    // too many. Chromium and Firefox do not say that it is this.
    if (/\bbad port\b|redirect/i.test(reasonOf(error))) throw unreadable(where, this.#file, reasonOf(error), error);
    if (at >= this.#failedAt + FORGIVEN) this.#failures = 0;
    this.#failedAt = at;
    const { failures, pause } = this.patience;
    if (++this.#failures > failures) {
      const place = at > 0 ? ` at byte ${at}` : '';
      throw unreadable(where, this.#file, `${reasonOf(error)}${place}; ${failures + 1} tries`, error);
    }
    const asked = error instanceof Passing ? Math.min(error.wait, LONGEST_WAIT) : 0;
    await wait(Math.max(asked, pause * 2 ** (this.#failures - 1)), this.#loading);
  }

  /** What `waiting` gives, unless it takes longer than a connection may stand still. */
  async moving<T>(waiting: Promise<T>): Promise<T> {
    const { stall } = this.patience;
    return ended(waiting, this.#loading, stall, () => new Passing(`no byte came for ${stall / 1000} s`));
  }
}

/** @throws the signal's reason as soon as it is aborted */
function wait(milliseconds: number, loading: Loading): Promise<void> {
  return ended(new Promise<void>((resolve) => after(milliseconds, resolve)), loading);
}

/** What `waiting` gives, unless the signal is aborted or the time is over before. */
function ended<T>(waiting: Promise<T>, { signal }: Loading, limit?: number, late?: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => finish(() => reject(signal?.reason));
    const stop = limit === undefined ? () => {} : after(limit, () => finish(() => reject(late?.())));
    const finish = (how: () => void): void => {
      stop();
      signal?.removeEventListener('abort', abort);
      how();
    };
    signal?.addEventListener('abort', abort);
    waiting.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error)),
    );
    if (signal?.aborted) abort();
  });
}

/** A pass over [begin, end) of a file that `ask` gives the bodies of: each begins at the byte that it is asked for. */
export class ResumingReader implements RangeReader {
  readonly #retries: Retries;
  readonly #ask: (begin: number, end: number) => Promise<Body>;
  readonly #end: number;
  #at: number;
  #body: Body | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #closed = false;

  constructor(retries: Retries, ask: (begin: number, end: number) => Promise<Body>, begin: number, end: number) {
    this.#retries = retries;
    this.#ask = ask;
    this.#at = begin;
    this.#end = end;
  }

  async fill(target: Uint8Array): Promise<void> {
    for (let filled = 0; filled < target.length; ) {
      if (this.#rest.length === 0) this.#rest = await this.#more();
      const taken = this.#rest.subarray(0, target.length - filled);
      target.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
  }

  /** The next bytes that come, at least one. */
  async #more(): Promise<Uint8Array> {
    for (;;) {
      try {
        this.#body ??= await this.#retries.moving(this.#ask(this.#at, this.#end));
        if (this.#closed) throw new Passing('it was given up');
        const bytes = await this.#retries.moving(this.#body.next());
        if (bytes === undefined) throw new Passing(`it ended before byte ${this.#end}`);
        // A server may send more than it was asked for.
        const wanted = bytes.subarray(0, this.#end - this.#at);
        this.#at += wanted.length;
        if (wanted.length > 0) return wanted;
      } catch (error) {
        this.#drop();
        if (this.#closed) throw error;
        await this.#retries.failed(error, this.#at);
        if (this.#closed) throw error;
      }
    }
  }

  #drop(): void {
    this.#body?.cancel();
    this.#body = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }
}
