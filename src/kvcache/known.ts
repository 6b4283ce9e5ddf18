// Which objects are caches, for who is given one: asking loads no cache.

const CACHES: WeakSet<object> = /* @__PURE__ */ new WeakSet();

/** Says that an object is a cache; its constructor does. */
export function keepCache(cache: object): void {
  CACHES.add(cache);
}

/** True for a cache that this copy of the package made. */
export const isCache = (value: unknown): boolean => CACHES.has(value as object);
