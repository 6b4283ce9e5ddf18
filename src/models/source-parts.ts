// A file that is read in parts, of which the first bytes came with the answer that told its size.

import type { Loading, RangeReader, SourceFile } from './source.ts';
import { type Body, Passing, ResumingReader, Retries } from './source-resume.ts';

/** Bytes that are asked for at first: most headers fit in, and small models as a whole. */
export const OPENING: number = 65536;

/** What the first answer said of a file. */
export interface Known {
  readonly size: number | undefined;
  /** What tells two versions of it apart, if the source says. */
  readonly tag: string | undefined;
  /** Its first bytes. */
  readonly opening: Uint8Array;
}

/** Gives the body of [begin, end), from its first byte on. */
export type Ask = (begin: number, end: number) => Promise<Body>;

/** The file, whose parts beyond the opening are asked for. `release` gives up what is still being asked. */
export function openedFile(loading: Loading, name: string, { size, opening }: Known, ask: Ask, release?: () => void): SourceFile {
  const open = new Set<RangeReader>();
  return {
    size,
    reader(begin, end) {
      const reader = new ResumingReader(new Retries(loading, name), fromOpening(opening, ask), begin, end);
      open.add(reader);
      return reader;
    },
    async close() {
      for (const reader of open) reader.close();
      release?.();
    },
  };
}

/** The first bytes of a file: as many as were asked for, or all that there are. */
export async function readOpening(body: Body, size: number | undefined, retries: Retries): Promise<Uint8Array> {
  const opening = new Uint8Array(Math.min(OPENING, size ?? OPENING));
  let at = 0;
  while (at < opening.length) {
    const bytes = await retries.moving(body.next());
    if (bytes === undefined) break;
    const wanted = bytes.subarray(0, opening.length - at);
    opening.set(wanted, at);
    at += wanted.length;
  }
  if (size !== undefined && at < opening.length) throw new Passing(`it ended before byte ${opening.length}`);
  return opening.subarray(0, at);
}

/** Gives from the opening what lies in it. */
function fromOpening(opening: Uint8Array, ask: Ask): Ask {
  return async (begin, end) => {
    if (begin >= opening.length) return ask(begin, end);
    let first: Uint8Array | undefined = opening.subarray(begin, end);
    let rest: Body | undefined;
    return {
      async next() {
        const bytes = first;
        first = undefined;
        if (bytes !== undefined) return bytes;
        if (end <= opening.length) return undefined;
        rest ??= await ask(opening.length, end);
        return rest.next();
      },
      cancel: () => rest?.cancel(),
    };
  };
}

/** The body without its first bytes. */
export function skipping(body: Body, skipped: number): Body {
  let left = skipped;
  return {
    async next() {
      for (;;) {
        const bytes = await body.next();
        if (bytes === undefined || left === 0) return bytes;
        const taken = Math.min(left, bytes.length);
        left -= taken;
        if (taken < bytes.length) return bytes.subarray(taken);
      }
    },
    cancel: () => body.cancel(),
  };
}
