// What panels have found, as long as the page is open.
import { useCallback, useState } from 'preact/hooks';

const kept = new Map<string, unknown>();

/** A state that outlives its panel: whoever comes back to it finds what was there. Each has a name of its own. */
export function useKept<T>(name: string): readonly [T | undefined, (next: (last: T | undefined) => T) => void] {
  const [value, setValue] = useState(kept.get(name) as T | undefined);
  const set = useCallback(
    (next: (last: T | undefined) => T): void => {
      const found = next(kept.get(name) as T | undefined);
      kept.set(name, found);
      setValue(() => found);
    },
    [name],
  );
  return [value, set];
}
