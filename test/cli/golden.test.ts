import { describe, expect, it } from 'vitest';
import { encodingNames, isRotation } from '../conformance/golden.ts';
import { goldenPath, goldens, goldenTolerance, make } from '../goldens.ts';
import { relpos } from './process.ts';

/** Those of attention, whose encodings all have an entry in the registry. */
const files = goldens.filter(({ file }) => !isRotation(file) && encodingNames(file).every(make));

describe('the golden files', () => {
  it('are there', () => {
    expect(files.length).toBeGreaterThan(10);
  });

  it.each(files)('$name', async ({ name }) => {
    const ran = await relpos(['attend', goldenPath(name), '--from-metadata', '--json', '--threads', '1', '--repeat', '1']);
    const { difference } = JSON.parse(ran.stdout);
    expect(difference.largest).toBeLessThanOrEqual(goldenTolerance(name));
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });
});
