/** The cases miss nothing that the package has, and can tell one result from another. */
import { expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import * as relpos from '../../src/index.ts';
import { createLayers } from '../../src/nn/index.ts';
import { goldens } from '../goldens.ts';
import { cases } from './cases.ts';
import { conform, INT16 } from './conform.ts';
import { encodingNames } from './golden.ts';
import { layerCases } from './layers.ts';
import { schemes } from './schemes.ts';

test('every scheme of the registry has a case or a golden file, and every case is of a scheme', () => {
  const golden = goldens.flatMap(({ file }) => encodingNames(file));
  const names = registry.map(({ name }) => name);
  const covered = new Set([...golden, ...Object.keys(schemes)]);
  expect(names.filter((name) => !covered.has(name))).toEqual([]);
  expect(Object.keys(schemes).filter((name) => !names.includes(name))).toEqual([]);
});

test('no case fails, and no two give the same bits', async () => {
  const { capabilities, hashes, failures } = await conform({ relpos, createLayers, golden: new Map() }, 2);
  expect(failures).toEqual({});
  expect(capabilities.threads).toBe(2);
  expect(INT16.filter((name) => !(name in cases))).toEqual([]);
  const listed = [cases, schemes, layerCases].reduce((sum, list) => sum + Object.keys(list).length, 0);
  // Beside them two self-tests, and that the layers and the integers ran.
  expect(Object.keys(hashes).length).toBe(listed + INT16.length + 4);
  const twins = Object.entries(hashes).filter(
    ([name, hash]) => hash !== 'ran' && Object.entries(hashes).some(([other, same]) => other !== name && same === hash),
  );
  expect(twins.map(([name]) => name)).toEqual([]);
});
