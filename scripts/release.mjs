// Readies a checkout for publishing: checks that tag, manifests and changelog speak of one version, and writes into package.json where the
// project is, which only who publishes knows. npm takes a package's statement of origin, and makes its README's links, by that address.
//   node scripts/release.mjs v1.2.3 https://github.com/owner/name
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const [tag, address] = process.argv.slice(2);
if (!tag || !/^https:\/\/[^/]+\/[^/]+\/[^/]+$/.test(address ?? '')) throw new Error('expected a tag and the address of the repository');

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const versions = {
  tag: tag.replace(/^v/, ''),
  'package.json': manifest.version,
  'jsr.json': JSON.parse(readFileSync('jsr.json', 'utf8')).version,
};
if (new Set(Object.values(versions)).size > 1) throw new Error(`these are to be one version: ${JSON.stringify(versions)}`);
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${manifest.version}`))
  throw new Error(`CHANGELOG.md has no "## ${manifest.version}"`);

const located = { ...manifest, repository: { type: 'git', url: `git+${address}.git` }, bugs: { url: `${address}/issues` } };
writeFileSync('package.json', `${JSON.stringify(located, undefined, 2)}\n`);
