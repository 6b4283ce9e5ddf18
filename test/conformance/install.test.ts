/** Installing into a folder whose node_modules is a link would empty what the link leads to: it is refused. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { installFolder, linked } from './install.mjs';

const work = mkdtempSync(join(tmpdir(), 'relpos-install-'));
afterAll(() => rmSync(work, { recursive: true }));

/** A folder with a lockfile of nothing. */
function project(name: string): string {
  const folder = join(work, name);
  mkdirSync(folder);
  const about = { name, version: '1.0.0', private: true };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(about));
  const lock = { ...about, lockfileVersion: 3, requires: true, packages: { '': { name, version: '1.0.0' } } };
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
  return folder;
}

test.each(['there', 'gone'])('a link to a folder that is %s is refused', (state) => {
  const [folder, other] = [project(`linked-${state}`), join(work, `other-${state}`)];
  if (state === 'there') {
    mkdirSync(join(other, 'package'), { recursive: true });
    writeFileSync(join(other, 'package/index.js'), '');
  }
  symlinkSync(other, join(folder, 'node_modules'));
  const modules = join(folder, 'node_modules');
  const error = `${modules} is a link, and an install would empty what it leads to: remove the link`;
  expect(installFolder('what', folder)).toEqual([{ name: 'install what', error }]);
  if (state === 'there') expect(readdirSync(join(other, 'package'))).toEqual(['index.js']);
});

test('a folder of its own, or none, is no link', () => {
  const folder = project('plain');
  expect(linked(folder)).toBeUndefined();
  mkdirSync(join(folder, 'node_modules'));
  expect(linked(folder)).toBeUndefined();
});
