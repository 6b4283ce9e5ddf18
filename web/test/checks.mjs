// What the gate asks of the built page: what it weighs, the package that it becomes, and that it works in browsers.
import { execFileSync } from 'node:child_process';
import { driven } from './driven.mjs';
import { packageChecks } from './package.mjs';
import { filesOfSite, sizeOf } from './sizes.mjs';

/** The library has nothing of the page in its tarball. */
function libraryCheck(tarball) {
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const wrong = files.filter((path) => /^package\/web\/|lab/i.test(path));
  const error = files.length < 100 ? `${tarball} has only ${files.length} files` : wrong.join('\n');
  return { name: "the library's tarball has nothing of the page", ...(error && { error }) };
}

/** All checks of the page as it was built, `{ name, error? }`; `tarball` is the library's. */
export async function pageChecks(tarball) {
  console.log(`lab: all that is no model and not onnxruntime: ${sizeOf(filesOfSite())} bytes with brotli`);
  return [libraryCheck(tarball), ...(await packageChecks()), ...(await driven())];
}
