/** The cases miss nothing that the package has, and can tell one result from another. */
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import * as relpos from '../../src/index.ts';
import * as loaders from '../../src/models/index.ts';
import { createLayers } from '../../src/nn/index.ts';
import { goldens } from '../goldens.ts';
import { cases } from './cases.ts';
import { conform, INT16 } from './conform.ts';
import { encodingNames } from './golden.ts';
import { layerCases } from './layers.ts';
import { modelCases } from './models.ts';
import { MODELS } from './project.mjs';
import { schemes } from './schemes.ts';

test('every scheme of the registry has a case or a golden file, and every case is of a scheme', () => {
  const golden = goldens.flatMap(({ file }) => encodingNames(file));
  const names = registry.map(({ name }) => name);
  const covered = new Set([...golden, ...Object.keys(schemes)]);
  expect(names.filter((name) => !covered.has(name))).toEqual([]);
  expect(Object.keys(schemes).filter((name) => !names.includes(name))).toEqual([]);
});

const root = new URL('../../', import.meta.url);
const sourceOf = (name: string) => new URL(`${MODELS.find((path) => basename(path) === name)}/`, root);

test('no case fails, and no two give the same bits', async () => {
  const { capabilities, hashes, failures } = await conform({ relpos, createLayers, loaders, sourceOf, golden: new Map() }, 2);
  expect(failures).toEqual({});
  expect(capabilities.threads).toBe(2);
  expect(INT16.filter((name) => !(name in cases))).toEqual([]);
  const listed = [cases, schemes, layerCases, modelCases].reduce((sum, list) => sum + Object.keys(list).length, 0);
  // Beside them two self-tests, and that the layers and the integers ran.
  expect(Object.keys(hashes).length).toBe(listed + INT16.length + 4);
  // The checkpoint is stored in f16, whose numbers are those of f32.
  expect(hashes['model: bert of f16']).toBe(hashes['model: bert of f32']);
  delete hashes['model: bert of f16'];
  const twins = Object.entries(hashes).filter(
    ([name, hash]) => hash !== 'ran' && Object.entries(hashes).some(([other, same]) => other !== name && same === hash),
  );
  expect(twins.map(([name]) => name)).toEqual([]);
});
