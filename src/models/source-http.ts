// An address: files are fetched, large ones by parts, and a download that breaks goes on from where it broke.

import type { Signal } from '../platform/types.ts';
import { broken, unreadable } from './fault.ts';
import type { Fetch, Loading, Missing, Source, SourceFile } from './source.ts';
import { type Known, OPENING, openedFile, readOpening, skipping } from './source-parts.ts';
import { type Body, type ByteStream, bodyOf, Passing, Retries } from './source-resume.ts';

/** What is used of a response. */
interface Answer {
  readonly status: number;
  readonly statusText?: string;
  readonly headers: { get(name: string): string | null };
  readonly body?: ByteStream | null;
}

/** The files below an address. */
export function httpSource(loading: Loading, url: URL): Source {
  const base = new URL(url);
  base.hash = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return new Http(loading, base);
}

class Http implements Source {
  readonly name: string;
  readonly #loading: Loading;
  readonly #base: URL;

  constructor(loading: Loading, base: URL) {
    this.#loading = loading;
    this.#base = base;
    // A query may be a signature: not for messages.
    this.name = `${base.origin}${base.pathname}`;
  }

  /** Asked for as a whole, so that the server may compress it. */
  async whole(name: string, most: number): Promise<Uint8Array | Missing> {
    const retries = new Retries(this.#loading, name);
    for (;;) {
      const exchange = new Exchange(this.#loading);
      try {
        const answer = await retries.moving(exchange.ask(this.#address(name), {}));
        const missing = this.#missing(name, answer);
        if (missing !== undefined) return { missing };
        this.#expect(name, answer, [200]);
        const length = plainLength(answer);
        if (length !== undefined && length > most) throw broken(this.#loading.where, name, `expected at most ${most} bytes, got ${length}`);
        const bytes = await this.#collect(name, answer, most, retries);
        if (length !== undefined && bytes.length !== length) throw new Passing(`expected ${length} bytes, got ${bytes.length}`);
        return bytes;
      } catch (error) {
        await retries.failed(error, 0);
      } finally {
        exchange.end();
      }
    }
  }

  async #collect(name: string, answer: Answer, most: number, retries: Retries): Promise<Uint8Array> {
    const body = bodyOf(streamOf(answer));
    const parts: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const bytes = await retries.moving(body.next());
      if (bytes === undefined) break;
      size += bytes.length;
      if (size > most) throw broken(this.#loading.where, name, `expected at most ${most} bytes, got more`);
      parts.push(bytes);
    }
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  async open(name: string): Promise<SourceFile | Missing> {
    const retries = new Retries(this.#loading, name);
    for (;;) {
      const exchange = new Exchange(this.#loading);
      try {
        const answer = await retries.moving(exchange.ask(this.#address(name), { range: `bytes=0-${OPENING - 1}` }));
        const missing = this.#missing(name, answer);
        if (missing !== undefined) return { missing };
        // An empty file has no first byte that could be given.
        if (answer.status === 416 && !/\/[1-9]/.test(answer.headers.get('content-range') ?? ''))
          return this.#file(name, { size: 0, tag: undefined, opening: new Uint8Array(0) });
        this.#expect(name, answer, [200, 206]);
        if (answer.status === 206 && rangeOf(answer)?.begin) throw new Passing('the server gave another part than it was asked for');
        const size = sizeOf(answer);
        const opening = await readOpening(bodyOf(streamOf(answer)), size, retries);
        return this.#file(name, { size, tag: tagOf(answer), opening });
      } catch (error) {
        await retries.failed(error, 0);
      } finally {
        exchange.end();
      }
    }
  }

  #file(name: string, known: Known): SourceFile {
    const under = new Set<Exchange>();
    const give = (exchange: Exchange): void => {
      under.delete(exchange);
      exchange.end();
    };
    const ask = async (begin: number, end: number): Promise<Body> => {
      const exchange = new Exchange(this.#loading);
      under.add(exchange);
      try {
        const body = await this.#part(name, known, exchange, begin, end);
        return { next: () => body.next(), cancel: () => give(exchange) };
      } catch (error) {
        give(exchange);
        throw error;
      }
    };
    return openedFile(this.#loading, name, known, ask, () => under.forEach(give));
  }

  /**
   * The body from `begin` on. The file must be the one that was opened: its tag and its size are compared, which works across origins too,
   * where the header `If-Range` would first need the server's leave.
   */
  async #part(name: string, known: Known, exchange: Exchange, begin: number, end: number): Promise<Body> {
    const answer = await exchange.ask(this.#address(name), { range: `bytes=${begin}-${end - 1}` });
    const changed = (what: string): Error => broken(this.#loading.where, name, `it was changed while it was read (${what}); load it again`);
    if (answer.status === 416) throw changed(`it has no byte ${begin} any more`);
    const missing = this.#missing(name, answer);
    if (missing !== undefined) throw changed(missing);
    this.#expect(name, answer, [200, 206]);
    const [tag, size] = [tagOf(answer), sizeOf(answer)];
    if (known.tag !== undefined && tag !== undefined && tag !== known.tag) throw changed(`${known.tag} became ${tag}`);
    if (known.size !== undefined && size !== undefined && size !== known.size) throw changed(`${known.size} bytes became ${size}`);
    const body = bodyOf(streamOf(answer));
    // Servers that know no ranges begin anew.
    if (answer.status === 200) return skipping(body, begin);
    const at = rangeOf(answer)?.begin ?? begin;
    if (at !== begin) throw new Passing(`the server gave byte ${at} for byte ${begin}`);
    return body;
  }

  #address(name: string): string {
    const url = new URL(this.#base);
    url.pathname += name.split('/').map(encodeURIComponent).join('/');
    return url.href;
  }

  /** Why the answer means that there is no such file. */
  #missing(name: string, { status, headers }: Answer): string | undefined {
    // Stores that let nobody list say 403 for what is not there.
    if (status === 404 || status === 410 || status === 403) return `HTTP ${status} from ${this.name}`;
    const isPage = /^text\/html\b/i.test(headers.get('content-type') ?? '') && !name.endsWith('.jinja');
    return status === 200 && isPage ? `${this.name} answers a page (text/html) in its place` : undefined;
  }

  /** @throws Passing for what another try may mend */
  #expect(name: string, { status, statusText, headers }: Answer, fine: readonly number[]): void {
    if (fine.includes(status)) return;
    const what = `HTTP ${status}${statusText ? ` ${statusText}` : ''}`;
    if (status < 500 && status !== 408 && status !== 425 && status !== 429) throw unreadable(this.#loading.where, name, what);
    const seconds = Number(headers.get('retry-after') ?? 0);
    throw new Passing(what, seconds > 0 ? seconds * 1000 : 0);
  }
}

/** One request, until it is given up: at an abort too, since whoever waits for it hears of that. */
class Exchange {
  readonly #loading: Loading;
  readonly #controller: AbortController = new AbortController();

  constructor(loading: Loading) {
    this.#loading = loading;
  }

  async ask(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const { signal, fetch: own } = this.#loading;
    if (signal?.aborted) throw signal.reason;
    const request = own ?? (globalThis.fetch as unknown as Fetch);
    return (await request(url, { headers, signal: this.#controller.signal as Signal })) as unknown as Answer;
  }

  end(): void {
    this.#controller.abort();
  }
}

function streamOf({ body }: Answer): ByteStream {
  if (!body) throw new Passing('the answer has no body');
  return body;
}

/** Content-Length, where it is that of what is read. */
function plainLength({ headers }: Answer): number | undefined {
  const encoding = headers.get('content-encoding');
  const length = headers.get('content-length');
  return length !== null && /^\d+$/.test(length) && (encoding === null || encoding === 'identity') ? Number(length) : undefined;
}

/** `Content-Range: bytes 0-99/1000`; other origins may hide it. */
function rangeOf({ headers }: Answer): { readonly begin: number; readonly size: number | undefined } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  return match === null ? undefined : { begin: Number(match[1]), size: match[2] === '*' ? undefined : Number(match[2]) };
}

/** Bytes of the whole file, if the answer says. */
const sizeOf = (answer: Answer): number | undefined => (answer.status === 206 ? rangeOf(answer)?.size : plainLength(answer));

/** What tells two versions of a file apart. A weak tag is as good: bytes that differ must not share one in practice. */
function tagOf({ headers }: Answer): string | undefined {
  const tag = headers.get('etag');
  if (tag !== null) return `ETag ${tag.replace(/^W\//, '')}`;
  const date = headers.get('last-modified');
  return date === null ? undefined : `Last-Modified ${date}`;
}
