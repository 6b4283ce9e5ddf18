// The text that is read, and the panel's settings as words of the address.
import { windowsOf } from './losses.ts';
import { SCHEME_NAMES, type SchemeName, WINDOWS, type WindowLength } from './schemes.ts';

/** Which text is read: the beginning of the held-out one, all of it, or the visitor's. */
export type Source = 'part' | 'all' | 'own';

/** Bytes of the part: five windows of 1,024, and the byte after them. */
export const PART = 5 * 1024 + 1;
/** Bytes of a text of one's own at most; what is beyond is not read. */
export const MOST = 20_000;

export interface Settings {
  readonly schemes: readonly SchemeName[];
  readonly windows: readonly WindowLength[];
  readonly source: Source;
  /** The window whose losses are shown by position; undefined: the longest that is computed. */
  readonly at?: WindowLength | undefined;
}

type Words = Readonly<Record<string, string>>;

/** Those of a list that the words name; all where the address does not say, or says nothing that is known. */
function chosen<T extends string | number>(all: readonly T[], words: string | undefined): readonly T[] {
  const named = words?.split(',') ?? [];
  const found = all.filter((one) => named.includes(String(one)));
  return found.length || words === '' ? found : all;
}

export function readSettings({ schemes, windows, text, at }: Words): Settings {
  return {
    schemes: chosen(SCHEME_NAMES, schemes),
    windows: chosen(WINDOWS, windows),
    source: text === 'all' || text === 'own' ? text : 'part',
    at: WINDOWS.find((window) => String(window) === at),
  };
}

export function writeSettings({ schemes, windows, source, at }: Settings): Readonly<Record<string, string | undefined>> {
  const some = (chosen: readonly unknown[], all: readonly unknown[]) => (chosen.length === all.length ? undefined : chosen.join(','));
  return {
    schemes: some(schemes, SCHEME_NAMES),
    windows: some(windows, WINDOWS),
    text: source === 'part' ? undefined : source,
    at: at === undefined ? undefined : String(at),
  };
}

/** The bytes that are read. */
export function bytesOf(source: Source, heldOut: Uint8Array, own: string): Uint8Array {
  if (source === 'own') return new TextEncoder().encode(own).subarray(0, MOST);
  return source === 'all' ? heldOut : heldOut.subarray(0, PART);
}

/** The windows that a text fills at least once. */
export const fitting = (windows: readonly WindowLength[], text: Uint8Array): WindowLength[] =>
  windows.filter((window) => windowsOf(text.length, window) > 0);
