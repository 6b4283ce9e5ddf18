// The packed library as others see it: publint and "are the types wrong", the links of its texts, JSR, what a release writes, and what an import
// weighs.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { jsrChecks } from './jsr.mjs';
import { brokenLinks } from './links.mjs';
import { releaseCheck } from './release.mjs';
import { sizeChecks } from './sizes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const TOOLS = [
  ['publint', ['publint', 'run', '--strict']],
  ['attw', ['attw', '--profile', 'esm-only', '--no-emoji', '--no-color']],
];

/** A tool on the tarball. */
function toolCheck(tarball, [name, [program, ...words]]) {
  try {
    execFileSync(`node_modules/.bin/${program}`, [...words, tarball], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    return { name };
  } catch (error) {
    return { name, error: `${error.stdout ?? ''}${error.stderr ?? error}` };
  }
}

function linkCheck(tarball) {
  const broken = brokenLinks(tarball);
  return { name: 'links lead somewhere', ...(broken.length && { error: broken.join('\n') }) };
}

/** All checks. */
export async function packageChecks(tarball) {
  const sizes = await sizeChecks(tarball);
  return [...TOOLS.map((tool) => toolCheck(tarball, tool)), linkCheck(tarball), releaseCheck(), ...jsrChecks(), ...sizes];
}
