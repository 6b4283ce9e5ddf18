// What an encoding prepares from its parameters: computed when first needed, then kept for all calls.

/**
 * `make`, its last result kept as long as `key` gives the same; by default for ever. The arithmetic of every engine gives the same bits, so
 * it needs no key.
 */
export function once<A, T>(make: (argument: A) => T, key: (argument: A) => number = () => 0): (argument: A) => T {
  let kept: { readonly key: number; readonly value: T } | undefined;
  return (argument) => {
    const asked = key(argument);
    if (kept?.key !== asked) kept = { key: asked, value: make(argument) };
    return kept.value;
  };
}
