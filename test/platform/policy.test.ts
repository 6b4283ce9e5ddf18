/** Hosts that forbid WebAssembly: the error says who does, and what would help there. The texts are those of the hosts. */
import { afterEach, expect, test, vi } from 'vitest';
import { createEngine, createEngineSync } from '../../src/index.ts';

const DIRECTIVE = `an allowed source of script in the following Content Security Policy directive: "script-src 'self'".`;
const POLICIES = {
  chromium: `WebAssembly.compile(): Compiling or instantiating WebAssembly module violates the following Content Security policy directive because 'unsafe-eval' is not ${DIRECTIVE}`,
  firefox: 'call to WebAssembly.compile() blocked by CSP',
  webkit: `Refused to create a WebAssembly object because 'unsafe-eval' or 'wasm-unsafe-eval' is not ${DIRECTIVE}\n`,
};
const EMBEDDER = 'WebAssembly.compile(): Wasm code generation disallowed by embedder';

afterEach(() => vi.unstubAllGlobals());

/** A host that refuses with this text: to compile, or to instantiate what it has compiled. */
function refuse(text: string, what: 'compile' | 'instantiate'): void {
  const no = vi.fn(function no() {
    throw new WebAssembly.CompileError(text);
  });
  const compiling = { compile: no, Module: Object.assign(no, { customSections: WebAssembly.Module.customSections }) };
  vi.stubGlobal('WebAssembly', { ...own(WebAssembly), ...(what === 'compile' ? compiling : { Instance: no }) });
}

/** The properties of a namespace, which are not enumerable. */
const own = (object: object): object =>
  Object.fromEntries(Object.entries(Object.getOwnPropertyDescriptors(object)).map(([k, d]) => [k, d.value]));

const ways = [
  ['createEngine', async () => createEngine({ threads: 1 })],
  ['createEngine, 2 threads', async () => createEngine({ threads: 2, logger: { warn() {} } })],
  ['createEngineSync', async () => createEngineSync()],
] as const;

for (const [name, make] of ways) {
  test.each([
    ['chromium', 'compile'],
    ['firefox', 'compile'],
    ['webkit', 'instantiate'],
  ] as const)(`${name}: a page of %s without 'wasm-unsafe-eval'`, async (browser, what) => {
    refuse(POLICIES[browser], what);
    const error = await make().catch((error) => error);
    expect(error).toMatchObject({ name: 'RelposError', code: 'unsupported-runtime' });
    expect(error.message).toContain(`the Content-Security-Policy forbids WebAssembly (CompileError: ${POLICIES[browser].trim()})`);
    expect(error.message).toContain("'wasm-unsafe-eval'\"");
    expect(error.message).not.toContain('Module as');
  });

  test(`${name}: a host that compiles nothing`, async () => {
    refuse(EMBEDDER, 'compile');
    const error = await make().catch((error) => error);
    expect(error).toMatchObject({ code: 'unsupported-runtime' });
    expect(error.message).toBe(`this host forbids WebAssembly (CompileError: ${EMBEDDER}); pass a compiled Module as "wasm"`);
  });

  test(`${name}: kernels that do not compile for another reason`, async () => {
    refuse('unknown opcode', 'compile');
    const error = await make().catch((error) => error);
    expect(error).toMatchObject({ code: 'bad-wasm' });
    expect(error.message).toContain('the kernels do not compile: CompileError: unknown opcode');
  });
}
