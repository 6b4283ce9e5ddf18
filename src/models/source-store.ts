// Object stores: anything with `get(name, { offset, length }?)`.

import { describe } from '../arguments/check.ts';
import { bytesOf } from '../arguments/numbers.ts';
import { broken, reasonOf, unreadable } from './fault.ts';
import type { Loading, Missing, Source, SourceFile } from './source.ts';
import { type Ask, OPENING, openedFile, readOpening } from './source-parts.ts';
import { type Body, type ByteStream, bodyOf, ResumingReader, Retries } from './source-resume.ts';

/** Bytes [offset, offset + length) of an object. */
export interface StoreRange {
  readonly offset: number;
  readonly length: number;
}

/** An object, or a part of one. */
export interface StoredObject {
  /** Bytes of the whole object, of whatever part of it the body is. */
  readonly size: number;
  readonly body: ByteStream | ArrayBuffer | ArrayBufferView;
  /** What tells two versions of it apart. */
  readonly etag?: string | undefined;
}

/**
 * An object store. `get` resolves to the object, or the part of it that is asked for; to null or undefined if there is none of that name.
 *
 * @example A bucket of Cloudflare R2
 * const store = { get: (name, range) => env.MODELS.get(`minilm/${name}`, range && { range }) };
 *
 * @example S3
 * const store = {
 *   async get(name, range) {
 *     const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
 *     try {
 *       const { Body, ContentLength, ContentRange, ETag } = await s3.send(new GetObjectCommand({ Bucket, Key: `minilm/${name}`, Range }));
 *       const size = Number(ContentRange?.split('/')[1] ?? ContentLength);
 *       return { size, body: Body.transformToWebStream(), etag: ETag };
 *     } catch (error) {
 *       if (error.name === 'NoSuchKey') return undefined;
 *       throw error;
 *     }
 *   },
 * };
 */
export interface ObjectStore {
  get(name: string, range?: StoreRange): Promise<StoredObject | null | undefined> | StoredObject | null | undefined;
}

/** The objects of a store. */
export function storeSource(loading: Loading, store: ObjectStore): Source {
  return new Store(loading, store);
}

class Store implements Source {
  readonly name: string = 'the store given';
  readonly #loading: Loading;
  readonly #store: ObjectStore;

  constructor(loading: Loading, store: ObjectStore) {
    this.#loading = loading;
    this.#store = store;
  }

  async whole(name: string, most: number): Promise<Uint8Array | Missing> {
    const object = await this.#get(name);
    if (object === undefined) return { missing: `not in ${this.name}` };
    const { size, body } = object;
    const retries = new Retries(this.#loading, name);
    // What breaks is asked for again by parts.
    let first: Body | undefined = body;
    const ask: Ask = async (begin, end) => {
      const whole = first;
      first = undefined;
      return whole ?? this.#part(name, object, begin, end);
    };
    const reader = new ResumingReader(retries, ask, 0, size);
    try {
      if (size > most) throw broken(this.#loading.where, name, `expected at most ${most} bytes, got ${size}`);
      const bytes = new Uint8Array(size);
      await reader.fill(bytes);
      return bytes;
    } finally {
      reader.close();
      body.cancel();
    }
  }

  async open(name: string): Promise<SourceFile | Missing> {
    const retries = new Retries(this.#loading, name);
    for (;;) {
      const object = await this.#get(name, { offset: 0, length: OPENING });
      if (object === undefined) return { missing: `not in ${this.name}` };
      const { size, tag, body } = object;
      try {
        const opening = await readOpening(body, size, retries);
        return openedFile(this.#loading, name, { size, tag, opening }, (begin, end) => this.#part(name, object, begin, end));
      } catch (error) {
        await retries.failed(error, 0);
      } finally {
        body.cancel();
      }
    }
  }

  /** The bytes [begin, end) of the object that was opened. */
  async #part(name: string, known: Found, begin: number, end: number): Promise<Body> {
    const part = await this.#get(name, { offset: begin, length: end - begin });
    const changed = (what: string): Error => broken(this.#loading.where, name, `it was changed while it was read (${what}); load it again`);
    if (part === undefined) throw changed('it is gone');
    if (part.size !== known.size) throw changed(`${known.size} bytes became ${part.size}`);
    if (part.tag !== known.tag) throw changed(`etag ${known.tag} became ${part.tag}`);
    return part.body;
  }

  async #get(name: string, range?: StoreRange): Promise<Found | undefined> {
    const { where, signal } = this.#loading;
    if (signal?.aborted) throw signal.reason;
    let object: StoredObject | null | undefined;
    try {
      object = await this.#store.get(name, range);
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw unreadable(where, name, `get of the store given failed: ${reasonOf(cause)}`, cause);
    }
    return object === undefined || object === null ? undefined : found(where, name, object);
  }
}

/** An object as it was got. */
interface Found {
  readonly size: number;
  readonly tag: string | undefined;
  readonly body: Body;
}

/** @throws RelposError if the store gave something else */
function found(where: string, name: string, object: StoredObject): Found {
  const { size, body, etag } = object;
  const refuse = (key: string, expected: string, got: unknown): Error =>
    unreadable(where, name, `"${key}" of what the store gave expected ${expected}, got ${describe(got)}`);
  if (!Number.isSafeInteger(size) || size < 0) throw refuse('size', 'the bytes of the whole object', size);
  const bytes = bytesOf(body);
  if (bytes === undefined && typeof (body as Partial<ByteStream> | null)?.getReader !== 'function') {
    throw refuse('body', 'a ReadableStream or bytes', body);
  }
  return { size, tag: typeof etag === 'string' ? etag : undefined, body: bytes ? bodyOfBytes(bytes) : bodyOf(body as ByteStream) };
}

function bodyOfBytes(bytes: Uint8Array): Body {
  let left: Uint8Array | undefined = bytes;
  return {
    async next() {
      const all = left;
      left = undefined;
      return all;
    },
    cancel() {},
  };
}
