// What the gate asks of the built page: what it weighs, the package that it becomes, and that it works in browsers.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { driven } from './driven.mjs';
import { packageChecks } from './package.mjs';
import { site } from './server.mjs';
import { filesOfSite, sizeOf } from './sizes.mjs';

/** The library has nothing of the page in its tarball, nor of the adapters. */
function libraryCheck(tarball) {
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const wrong = files.filter((path) => /^package\/(web|adapters)\/|(^|[/-])lab([./-]|$)/i.test(path));
  const error = files.length < 100 ? `${tarball} has only ${files.length} files` : wrong.join('\n');
  return { name: "the library's tarball has nothing of the page", ...(error && { error }) };
}

/**
 * One file is the worker of every panel, so that the library is loaded once; and nothing imports from it: WebKit would run it a second time, beside
 * itself.
 */
function workerCheck() {
  const scripts = filesOfSite().filter((path) => /^assets\/.*\.js$/.test(path));
  const texts = scripts.map((path) => [path, readFileSync(`${site}/${path}`, 'utf8')]);
  const workers = new Set(
    texts.flatMap(([, text]) => [...text.matchAll(/new Worker\(new URL\([^`"']*[`"']([^`"']+)/g)].map(([, file]) => file)),
  );
  const [worker] = workers;
  const wrong = texts.filter(([, text]) => new RegExp(`(from|import)\\s*\\(?\\s*[\`"']\\./${worker}`).test(text)).map(([path]) => path);
  const error = workers.size === 1 ? wrong.join('\n') : `the page starts ${[...workers].join(', ') || 'none'}`;
  return { name: 'one worker file, from which nothing imports', ...(error && { error }) };
}

/** All checks of the page as it was built, `{ name, error? }`; `tarball` is the library's. */
export async function pageChecks(tarball) {
  console.log(`lab: all that is no model and not onnxruntime: ${sizeOf(filesOfSite())} bytes with brotli`);
  return [libraryCheck(tarball), workerCheck(), ...(await packageChecks()), ...(await driven())];
}
