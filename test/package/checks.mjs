// The packed library as others see it: publint and "are the types wrong".
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const TOOLS = [
  ['publint', ['publint', 'run', '--strict']],
  ['attw', ['attw', '--profile', 'esm-only', '--no-emoji', '--no-color']],
];

/** Runs each tool on the tarball. */
export function packageChecks(tarball) {
  return TOOLS.map(([name, [program, ...words]]) => {
    try {
      execFileSync(`node_modules/.bin/${program}`, [...words, tarball], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
      return { name };
    } catch (error) {
      return { name, error: `${error.stdout ?? ''}${error.stderr ?? error}` };
    }
  });
}
