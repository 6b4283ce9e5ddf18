// Readies a checkout for publishing: checks that tag, manifests and changelog speak of one version, and writes into package.json, and that of web/,
// where the project is, which only who publishes knows. npm takes a package's statement of origin, and makes its README's links, by that address.
//   node scripts/release.mjs v1.2.3 https://github.com/owner/name
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const [tag, address] = process.argv.slice(2);
if (!tag || !/^https:\/\/[^/]+\/[^/]+\/[^/]+$/.test(address ?? '')) throw new Error('expected a tag and the address of the repository');

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const manifest = read('package.json');
const page = read('web/package.json');
const versions = {
  tag: tag.replace(/^v/, ''),
  'package.json': manifest.version,
  'jsr.json': read('jsr.json').version,
  'web/package.json': page.version,
};
if (new Set(Object.values(versions)).size > 1) throw new Error(`these are to be one version: ${JSON.stringify(versions)}`);
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${manifest.version}`))
  throw new Error(`CHANGELOG.md has no "## ${manifest.version}"`);

const located = (directory) => ({
  repository: { type: 'git', url: `git+${address}.git`, ...directory },
  bugs: { url: `${address}/issues` },
});
const write = (path, value) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
write('package.json', { ...manifest, ...located() });
write('web/package.json', { ...page, ...located({ directory: 'web' }) });
