// workerd, the runtime of Cloudflare Workers, at several compatibility dates, with and without `nodejs_compat`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, unusable } from '../install.mjs';
import { bundleFor } from './bundle.mjs';
import { ONE_THREAD, tryServer, withServer } from './serving.mjs';

const program = installed('.bin/workerd');

/** The conditions that Cloudflare's tools resolve packages with. */
export const CONDITIONS = ['workerd', 'worker', 'browser'];

/** The newest date that the program knows: `workerd 2026-11-17`. */
export const newest = () => execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().split(' ')[1];

/** The bundle as a folder of modules; their names. */
export async function writeModules(project) {
  const folder = join(project.folder, 'workerd');
  mkdirSync(folder, { recursive: true });
  const { text, wasm } = await bundleFor(project, 'worker.mjs', { conditions: CONDITIONS, format: 'esm' });
  writeFileSync(join(folder, 'worker.mjs'), text);
  for (const [name, bytes] of wasm) writeFileSync(join(folder, name), bytes);
  return { folder, names: [...wasm.keys()] };
}

const config = (names, date, flags) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "${date}",
  compatibilityFlags = [${flags.map((flag) => `"${flag}"`).join(', ')}],
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    ${names.map((name) => `(name = "${name}", wasm = embed "${name}"),`).join('\n    ')}
  ],
);
`;

/** Serves the modules at one date with these flags. */
function serve({ folder, names }, date, flags, use) {
  const file = join(folder, `${[date, ...flags].join('-')}.capnp`);
  writeFileSync(file, config(names, date, flags));
  const listening = (printed) => {
    const port = /"socket":"http","port":(\d+)/.exec(printed)?.[1];
    return port && `http://127.0.0.1:${port}`;
  };
  const args = ['serve', '--control-fd=1', file];
  return withServer({ program, args, listening }, use);
}

/** Serves the project's worker.mjs at the newest date; `use` gets the address and the version. */
export async function serveNewest(project, use) {
  const version = newest();
  return serve(await writeModules(project), version, [], (address) => use(address, version));
}

/** Tries one date with these flags. */
function tryDate(project, modules, date, flags) {
  const context = [date, ...flags].join(' ');
  const row = { host: 'workerd', version: newest(), context, asked: 2, expected: { threads: 1, reason: ONE_THREAD } };
  return serve(modules, date, flags, (address) => tryServer(address, project, row));
}

async function run(project) {
  const modules = await writeModules(project);
  const found = { rows: [], checks: [], notes: [] };
  for (const date of ['2025-05-01', '2025-09-01', newest()]) {
    for (const flags of [[], ['nodejs_compat']]) {
      const { rows, checks, notes } = await tryDate(project, modules, date, flags);
      found.rows.push(...rows);
      found.checks.push(...checks);
      found.notes.push(...notes);
    }
  }
  return found;
}

export const workerd = { name: 'workerd', runtime: 'workerd', missing: () => unusable(program), run };
