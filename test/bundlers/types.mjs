// A user's file against the packed declarations: versions of TypeScript, with and without the DOM's types, those of Node, each way of resolving
// modules, and every declaration checked (`skipLibCheck: false`).
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { root, run } from './program.mjs';

/** The oldest that is supported, the last of 5, and those after it; 7 is the one that the library itself is compiled with. */
const COMPILERS = {
  5.4: join(root, 'node_modules/typescript-5.4/bin/tsc'),
  5.9: join(root, 'node_modules/typescript-5.9/bin/tsc'),
  6: join(root, 'node_modules/typescript-6/bin/tsc'),
  7: fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url)),
};
const LIBS = { 'without dom': ['es2022'], 'with dom': ['es2022', 'dom', 'dom.iterable'] };
const TYPES = { 'without @types/node': [], 'with @types/node': ['node'] };
const MODULES = { nodenext: ['nodenext', 'nodenext'], bundler: ['preserve', 'bundler'] };

const STRICT = { noEmit: true, target: 'es2022', strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false };
const compilerOptions = (lib, types, [module, moduleResolution]) => ({ ...STRICT, lib, types, module, moduleResolution });

/** ES modules: every combination. */
const MATRIX = Object.entries(LIBS).flatMap(([libs, lib]) =>
  Object.entries(TYPES).flatMap(([nodes, types]) =>
    Object.entries(MODULES).map(([name, modules]) => ({
      name: `${name}, ${libs}, ${nodes}`,
      options: compilerOptions(lib, types, modules),
      files: ['use.ts'],
    })),
  ),
);

/** Those of the gate: a server's and an app's least, and the most. `npm run bundlers` has all. */
const GATE = [
  'nodenext, without dom, without @types/node',
  'bundler, with dom, without @types/node',
  'nodenext, with dom, with @types/node',
];

const plain = (modules) => compilerOptions(LIBS['without dom'], TYPES['without @types/node'], modules);
const NODE16 = plain(['node16', 'node16']);
const REQUIRE = "import { createEngine, type Engine } from 'relpos';\n\nexport const engine: Promise<Engine> = createEngine();\n";
const IMPORT = "export const engine = import('relpos').then(({ createEngine }) => createEngine({ threads: 1 }));\n";
/**
 * CommonJS, where an `import` becomes a `require`. `node16` stands for a Node that cannot `require` an ES module, and TypeScript says so
 * (TS1479); a dynamic `import` is right there.
 * `nodenext` knows from TypeScript 5.8 on that Node can.
 */
const COMMONJS = [
  { name: 'CommonJS under node16, dynamic import', options: NODE16, files: ['import.cts'] },
  { name: 'CommonJS under node16, import', options: NODE16, files: ['require.cts'], errors: ['TS1479'] },
  { name: 'CommonJS under nodenext, import', options: plain(MODULES.nodenext), files: ['require.cts'], since: 5.8 },
];

/** The errors' codes, one for each, and what the compiler says. */
async function compile(compiler, folder, { options, files }, n) {
  const config = join(folder, `tsconfig.${n}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files }));
  const printed = await run(process.execPath, [compiler, '-p', config, '--pretty', 'false'], folder).catch(({ message }) => message);
  return { codes: printed.match(/error TS\d+/g)?.map((code) => code.slice(6)) ?? [], printed };
}

/** The checks of one version. */
async function checksOf(version, folder, all) {
  const name = `TypeScript ${version}`;
  const compiler = COMPILERS[version];
  if (!existsSync(compiler)) return [{ name: `${name} is installed`, error: `there is no ${compiler}` }];
  const checks = [];
  const matrix = MATRIX.filter(({ name: cell }) => all || GATE.includes(cell));
  for (const cell of [...matrix, ...COMMONJS.filter(({ since = 0 }) => since <= Number(version))]) {
    const { codes, printed } = await compile(compiler, folder, cell, `${version}.${checks.length}`);
    checks.push({ name: `${name}: ${cell.name}`, ...(codes.join() !== (cell.errors ?? []).join() && { error: printed }) });
  }
  console.log(`bundlers: ${name}, ${checks.filter(({ error }) => !error).length} of ${checks.length} settings as they should be`);
  return checks;
}

/** The checks of all versions, in all settings or in those of the gate. */
export async function typeChecks({ make }, all) {
  const use = readFileSync(new URL('use.ts', import.meta.url), 'utf8');
  const folder = make('types', { 'use.ts': use, 'import.cts': IMPORT, 'require.cts': REQUIRE });
  return (await Promise.all(Object.keys(COMPILERS).map((version) => checksOf(version, folder, all)))).flat();
}
