// Arrays of a plan that are views of the engine's memory: the call that the plan is for may make that grow, which detaches them.

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** The same plan, with copies in place of the arrays that are views of the memory. What has none is returned itself. */
export function withOwnArrays<T>(plan: T, memory: WebAssembly.Memory): T {
  const own = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (ArrayBuffer.isView(value)) return value.buffer === memory.buffer ? (value as Float32Array).slice() : value;
    if (Array.isArray(value)) {
      const list = value.map(own);
      return list.some((each, n) => each !== value[n]) ? list : value;
    }
    if (!isPlain(value)) return value;
    const changed = Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      const copy = own(each);
      return copy === each ? [] : [[key, copy]];
    });
    return changed.length ? { ...value, ...Object.fromEntries(changed) } : value;
  };
  return own(plan) as T;
}
