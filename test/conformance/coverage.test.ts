/** The cases miss nothing that the package has, and can tell one result from another. */
import { expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import * as relpos from '../../src/index.ts';
import { cases } from './cases.ts';
import { conform } from './conform.ts';
import { schemes } from './schemes.ts';

test('every scheme of the registry has a case', () => {
  expect(Object.keys(schemes).sort()).toEqual(registry.map(({ name }) => name).sort());
});

test('no case fails, and no two give the same bits', async () => {
  const { capabilities, hashes, failures } = await conform({ relpos, golden: new Map() }, 2);
  expect(failures).toEqual({});
  expect(capabilities.threads).toBe(2);
  expect(Object.keys(hashes).length).toBe(1 + Object.keys(cases).length + Object.keys(schemes).length);
  const twins = Object.entries(hashes).filter(([name, hash]) =>
    Object.entries(hashes).some(([other, same]) => other !== name && same === hash),
  );
  expect(twins.map(([name]) => name)).toEqual([]);
});
