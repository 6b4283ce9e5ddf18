// What must be true of every compiled kernel module; the build fails when it is not.

/** Largest size of a compiled module, in bytes. */
const SIZE_LIMIT = 64 * 1024;

/** Reads an unsigned LEB128 number: [value, next offset]. */
function leb(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

/** The sections of a wasm module: id -> [start, end] of its payload (custom sections left out). */
function sections(bytes) {
  const found = new Map();
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at];
    const [size, start] = leb(bytes, at + 1);
    if (id !== 0) found.set(id, [start, start + size]);
    at = start + size;
  }
  return found;
}

/** Offset of the limits flag of the one memory import, after checking that it is the module's only import. */
export function sharedFlagOffset(bytes) {
  let [at] = sections(bytes).get(2) ?? [];
  if (at === undefined) throw new Error('kernels import nothing; expected env.memory');
  let count, length;
  [count, at] = leb(bytes, at);
  if (count !== 1) throw new Error(`kernels have ${count} imports; expected env.memory alone`);
  for (const expected of ['env', 'memory']) {
    [length, at] = leb(bytes, at);
    const name = Buffer.from(bytes.subarray(at, at + length)).toString();
    if (name !== expected) throw new Error(`kernels import "${name}" where "${expected}" is expected`);
    at += length;
  }
  if (bytes[at] !== 2) throw new Error('the import env.memory is not a memory');
  if (bytes[at + 1] !== 1) throw new Error(`memory limits flag is ${bytes[at + 1]}; expected 1 (unshared, with a maximum)`);
  // A host that checks every load asks of each offset whether it is within the smallest memory: 12 % of a call in Deno.
  if (bytes[at + 2] === 0) throw new Error('the memory may have no page; expected one at least');
  return at + 1;
}

/**
 * Asserts the facts: validates, imports env.memory only, exports exactly the functions that the module's index.ts lists, has no data
 * segment (each instantiation would write it again under running threads), no start function, no mutable global, and fits the limit;
 * one flipped byte makes the shared-memory twin.
 */
export function checkKernels(target, bytes, registrySource) {
  const fail = (message) => {
    throw new Error(`${target} kernels: ${message}`);
  };
  if (bytes.length >= SIZE_LIMIT) fail(`${bytes.length} bytes; the limit is ${SIZE_LIMIT}`);
  const flag = sharedFlagOffset(bytes);
  const found = sections(bytes);
  if (found.has(11)) fail('a data section; constants must be inline and tables come from the caller');
  if (found.has(8)) fail('a start function');
  if (found.has(6)) fail('globals; kernels hold no state');
  const registry = [...registrySource.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names]) =>
    names
      .split(',')
      .map((name) => name.trim().split(' as ').at(-1))
      .filter(Boolean),
  );
  // The host may not know relaxed SIMD (Node 20): its facts are then read where it can be compiled; all others always.
  if (WebAssembly.validate(bytes)) {
    const exports = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name);
    const wrong = [...exports.filter((n) => !registry.includes(n)), ...registry.filter((n) => !exports.includes(n))];
    if (wrong.length) fail(`exports and registry differ in: ${wrong.join(', ')}`);
    const shared = Uint8Array.from(bytes);
    shared[flag] = 3;
    if (!WebAssembly.validate(shared)) fail('the shared-memory twin does not validate');
  } else if (!target.includes('relaxed')) fail('do not validate');
  return { summary: `${bytes.length} bytes, ${registry.length} kernels` };
}
