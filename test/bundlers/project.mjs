// Fresh projects that have the packed library installed, one for each tool. They lie below this folder so that they find the tools, which are
// installed once, where a project of its own would have them: in a `node_modules` further up.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
export const tools = here('.');
const projects = here('projects');
const RELPOS = 'node_modules/relpos';

/** Installs the tarball once; `make` gives a copy of that installation to each project. */
export function makeProjects(tarball) {
  rmSync(projects, { recursive: true, force: true });
  const first = join(projects, 'first');
  mkdirSync(first, { recursive: true });
  writeFileSync(join(first, 'package.json'), JSON.stringify({ name: 'first', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], { cwd: first });
  return { first, make: (name, files) => make(first, name, files), remove: () => rmSync(projects, { recursive: true, force: true }) };
}

/** A project of the app's files and those given, by path; `type` says which modules its `.js` files are. */
function make(first, name, { type = 'module', ...files }) {
  const folder = join(projects, name);
  for (const path of [RELPOS, 'package-lock.json']) cpSync(join(first, path), join(folder, path), { recursive: true });
  cpSync(here('app'), folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, type, dependencies: { relpos: '*' } }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}
