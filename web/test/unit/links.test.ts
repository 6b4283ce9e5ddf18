import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { registry } from '../../../src/encodings/registry.ts';
import { parseHash } from '../../src/address.ts';
import { panels } from '../../src/panels/index.ts';
import { readSettings } from '../../src/panels/schemes/settings.ts';

const page = readFileSync(new URL('../../../docs/encodings.md', import.meta.url), 'utf8');

test('every name in docs/encodings.md leads to the panel that shows it', () => {
  const links = [...page.matchAll(/^\| \[`(\w+)`\]\(http:\/\/127\.0\.0\.1:4173\/(#[^)]+)\)/gm)];
  expect(links.map(([, name]) => name)).toEqual(registry.map(({ name }) => name));
  for (const [, name, hash = ''] of links) {
    const { panel, settings } = parseHash(hash);
    expect(panel).toBe('schemes');
    expect(panels.some((one) => one.name === panel)).toBe(true);
    expect(readSettings(settings).first.name).toBe(name);
  }
});
