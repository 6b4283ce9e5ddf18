// Numbers for the contents of lists: a short name for many numbers, found by comparing them.

/** Contents that are remembered: more than the rotations of several models. */
const MOST = 256;

/** Lists by their contents. A list may change between calls, as a plan's may: it is compared every time, which takes less than to print it. */
export class Contents {
  /** The last ones asked for come first. */
  readonly #known: { readonly values: Float64Array; readonly number: number }[] = [];
  #count = 0;

  /** The number of these contents; one that was given out is not given to others. */
  numberOf(list: Float64Array): number {
    const at = this.#known.findIndex(({ values }) => same(values, list));
    const found = this.#known[at] ?? { values: list.slice(), number: ++this.#count };
    if (at === 0) return found.number;
    if (at > 0) this.#known.splice(at, 1);
    this.#known.unshift(found);
    if (this.#known.length > MOST) this.#known.pop();
    return found.number;
  }
}

function same(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  // The last ones first: many rotations begin with the same frequencies.
  for (let n = a.length - 1; n >= 0; n--) if (!Object.is(a[n], b[n])) return false;
  return true;
}
