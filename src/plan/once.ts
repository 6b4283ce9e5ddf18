// What an encoding prepares from its parameters: computed when first needed, then kept for all calls.

/**
 * `make`, its last result kept as long as `sizes` gives the same numbers; by default for ever. They must be all of the argument that `make`
 * depends on but for the arithmetic: that of every engine gives the same bits.
 */
export function once<A, T>(make: (argument: A) => T, sizes: (argument: A) => readonly number[] = () => []): (argument: A) => T {
  let kept: { readonly sizes: readonly number[]; readonly value: T } | undefined;
  return (argument) => {
    const asked = sizes(argument);
    if (!kept || asked.length !== kept.sizes.length || asked.some((size, n) => size !== kept?.sizes[n])) {
      kept = { sizes: asked, value: make(argument) };
    }
    return kept.value;
  };
}
