// The links of the texts in the packed library: each that is no address must lead to a file or folder of the package, and to a heading there. Pictures
// of the page stay in the repository, where npm looks for what a README shows.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PICTURES = /^web\/pictures\//;

/** The anchor that GitHub, npm and JSR give a heading. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

/** Where a text links to: `[…](target)` and `src="target"`, code left out. */
function targetsOf(text) {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)|src="([^"]+)"/g)].map(([, link, source]) => link ?? source);
}

const anchorsOf = (text) => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading));

/** What is wrong with the links, a line each. */
export function brokenLinks(tarball) {
  const tar = (...words) => execFileSync('tar', words, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const files = tar('-tzf', tarball).trim().split('\n').map((path) => path.replace(/^package\//, ''));
  const texts = new Map(files.filter((path) => path.endsWith('.md')).map((path) => [path, tar('-xzOf', tarball, `package/${path}`)]));
  const wrong = (path, target) => {
    if (/^[a-z]+:/.test(target)) return undefined;
    const [to, anchor] = target.split('#');
    const file = to ? posix.join(posix.dirname(path), to) : path;
    if (PICTURES.test(file)) return existsSync(root + file) ? undefined : 'no such picture in the repository';
    if (!files.some((name) => name === file || name.startsWith(`${file}/`))) return 'no such file in the package';
    if (anchor && !anchorsOf(texts.get(file) ?? '').includes(anchor)) return 'no such heading';
    return undefined;
  };
  const links = [...texts].flatMap(([path, text]) => targetsOf(text).map((target) => ({ path, target, error: wrong(path, target) })));
  if (!links.some(({ path }) => path === 'README.md')) return ['README.md: no link was found at all'];
  return links.flatMap(({ path, target, error }) => (error ? [`${path}: ${target}: ${error}`] : []));
}
