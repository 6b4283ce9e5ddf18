import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { goldenTolerance } from '../reference/golden-tolerance.ts';
import { relpos } from './process.ts';

/** The golden files: outputs of the original models, with the case that gives them in their metadata. */
const folder = new URL('../golden/', import.meta.url).pathname;
const known = new Set(registry.map(({ name }) => name));

/** Golden files whose encodings all have an entry in the registry. */
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .map((name) => ({ name, ...readSafetensors(readFileSync(folder + name)) }))
  .filter(({ metadata, tensors }) => {
    const { encoding } = JSON.parse(metadata.case ?? '{}');
    return tensors.has('q') && [encoding ?? []].flat().every(({ name }: { name: string }) => known.has(name));
  });

describe('the golden files', () => {
  it('are there', () => {
    expect(files.length).toBeGreaterThan(10);
  });

  it.each(files)('$name', async ({ name }) => {
    const ran = await relpos(['attend', folder + name, '--from-metadata', '--json', '--threads', '1', '--repeat', '1']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const { difference } = JSON.parse(ran.stdout);
    expect(difference.largest).toBeLessThanOrEqual(goldenTolerance(name));
  });
});
