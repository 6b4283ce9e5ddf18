// The address holds the state: `#/schemes?encoding=t5&heads=8`. A panel reads and writes its own part, as words.
import { useCallback, useEffect, useState } from 'preact/hooks';

/** What the address says: a panel, and its settings as words. */
export interface Address {
  readonly panel: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Reads an address's hash. */
export function parseHash(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  let panel = path;
  try {
    panel = decodeURIComponent(path);
  } catch {} // A lone percent sign: a name that no panel has.
  return { panel, settings: Object.fromEntries(new URLSearchParams(query)) };
}

/** Writes one: settings in their order, without those that are undefined. */
export function hashOf(panel: string, settings: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, word] of Object.entries(settings)) if (word !== undefined) query.set(name, word);
  const words = query.toString();
  return `#/${encodeURIComponent(panel)}${words ? `?${words}` : ''}`;
}

const CHANGED = 'address changed';

/** The address as it is; the component renders anew when it changes, by a link, the browser's arrows or `writeAddress`. */
export function useAddress(): Address {
  const [address, setAddress] = useState(() => parseHash(location.hash));
  useEffect(() => {
    const read = (): void => setAddress(parseHash(location.hash));
    addEventListener('hashchange', read);
    addEventListener(CHANGED, read);
    return () => {
      removeEventListener('hashchange', read);
      removeEventListener(CHANGED, read);
    };
  }, []);
  return address;
}

let waiting: ReturnType<typeof setTimeout> | undefined;

/** Writes the state into the address, without a step for the browser's arrow back. Browsers refuse hundreds of changes in a row: the last of a drag is written. */
export function writeAddress(panel: string, settings: Readonly<Record<string, string | undefined>>): void {
  clearTimeout(waiting);
  const from = location.hash;
  if (parseHash(from).panel !== panel && from !== '') return;
  waiting = setTimeout(() => {
    // Somebody who has gone elsewhere in the meantime, to other settings of the panel too, stays there.
    if (location.hash !== from) return;
    history.replaceState(history.state, '', hashOf(panel, settings));
    dispatchEvent(new Event(CHANGED));
  }, 200);
}

/**
 * The settings of a panel, which the address holds: `read` makes them from words (what is missing or wrong becomes a default), `write` makes words,
 * undefined for what is a default. Set, they are used at once and written soon; where the address changes by itself they follow.
 */
export function useSettings<T>(
  panel: string,
  read: (words: Readonly<Record<string, string>>) => T,
  write: (settings: T) => Readonly<Record<string, string | undefined>>,
): [T, (settings: T) => void] {
  const [settings, setSettings] = useState(() => read(parseHash(location.hash).settings));
  useEffect(() => {
    const follow = (): void => {
      const address = parseHash(location.hash);
      if (address.panel === panel) setSettings(read(address.settings));
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [panel, read]);
  const set = useCallback(
    (next: T): void => {
      setSettings(next);
      writeAddress(panel, write(next));
    },
    [panel, write],
  );
  return [settings, set];
}
