// scripts/release.mjs on copies of the manifests: what it writes, and what it refuses.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ADDRESS = 'https://host.example/owner/name';

/** As a check of test/run.mjs. */
export function releaseCheck() {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-release-'));
  try {
    mkdirSync(join(folder, 'web'));
    for (const name of ['package.json', 'jsr.json', 'web/package.json']) copyFileSync(join(root, name), join(folder, name));
    const manifests = () => ['package.json', 'web/package.json'].map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
    const [before, page] = manifests();
    const release = (version, changelog, address = ADDRESS) => {
      writeFileSync(join(folder, 'CHANGELOG.md'), changelog);
      return spawnSync(process.execPath, [join(root, 'scripts/release.mjs'), version, address], { cwd: folder, encoding: 'utf8' });
    };
    const log = `# Changelog\n\n## ${before.version}\n`;
    const refused = [
      ['v9.9.9', log, 'one version'],
      [`v${before.version}`, '# Changelog\n\n## Unreleased\n', `no "## ${before.version}"`],
      [`v${before.version}`, log, 'the address of the repository', 'nowhere'],
    ];
    for (const [version, changelog, says, address] of refused) {
      const { status, stderr } = release(version, changelog, address);
      if (status === 0 || !stderr.includes(says)) throw new Error(`${version} expected to be refused with "${says}", got ${status} ${stderr}`);
    }
    const { status, stderr } = release(`v${before.version}`, log);
    if (status !== 0) throw new Error(stderr);
    const bugs = { url: `${ADDRESS}/issues` };
    const repository = { type: 'git', url: `git+${ADDRESS}.git` };
    const expected = [
      { ...before, repository, bugs },
      { ...page, repository: { ...repository, directory: 'web' }, bugs },
    ];
    if (JSON.stringify(manifests()) !== JSON.stringify(expected)) throw new Error(`it wrote ${JSON.stringify(manifests())}`);
    writeFileSync(join(folder, 'web/package.json'), JSON.stringify({ ...page, version: '0.0.9' }));
    if (release(`v${before.version}`, log).status === 0) throw new Error('a page of another version expected to be refused');
    return { name: 'a release says where it comes from' };
  } catch (error) {
    return { name: 'a release says where it comes from', error: error.message };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
