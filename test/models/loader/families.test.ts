/** A family that is loaded by itself makes the blueprint that all of them together make. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FOUND, findBlueprint } from '../../../src/models/families/find.ts';
import { blueprintOf } from '../../../src/models/families/index.ts';
import { visionOf } from '../../../src/models/families/swin.ts';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { checkpoint, checkpointNames } from '../checkpoints.ts';

const opened = checkpointNames.map((name) => {
  const { config, folder } = checkpoint(name);
  return { name, config, tensors: readSafetensors(readFileSync(`${folder}model.safetensors`)).tensors };
});

/** A blueprint without its functions, which are made anew each time. */
const plain = (blueprint: unknown): unknown => JSON.parse(JSON.stringify(blueprint));

async function outcome(make: () => unknown): Promise<unknown> {
  try {
    return plain(await make());
  } catch (error) {
    return (error as Error).message;
  }
}

test.each(opened)('$name', async ({ name, config, tensors }) => {
  const all = name.startsWith('swin') ? visionOf : blueprintOf;
  expect(await outcome(() => findBlueprint(config, tensors))).toEqual(await outcome(() => all(config, tensors)));
});

describe('what is refused', () => {
  test.each([
    undefined,
    3,
    {},
    { model_type: 3 },
    { model_type: '' },
    { model_type: 'mamba' },
    { model_type: 'bert' },
    { model_type: 'constructor' },
  ])('%j in the same words', async (config) => {
    const expected = await outcome(() => blueprintOf(config, new Map()));
    expect(typeof expected).toBe('string');
    expect(await outcome(() => findBlueprint(config, new Map()))).toBe(expected);
  });

  test('docs/models.md lists all types', () => {
    const text = readFileSync(new URL('../../../docs/models.md', import.meta.url), 'utf8');
    const rows =
      /## Models that run\n([\s\S]*?)\n## /
        .exec(text)?.[1]
        ?.split('\n')
        .filter((row) => row.startsWith('| `')) ?? [];
    const types = rows.slice(1).flatMap((row) => [...(row.split('|')[1] as string).matchAll(/`([^`]+)`/g)].map(([, type]) => type));
    expect(types.sort()).toEqual([...FOUND, 'swin', 'swinv2'].sort());
  });

  test('types whose family is found alone are those that there are', async () => {
    const message = (await outcome(() => blueprintOf({ model_type: 'mamba' }, new Map()))) as string;
    expect(/one of (.*), got/.exec(message)?.[1]?.split(', ')).toEqual([...FOUND, 'swin', 'swinv2'].sort());
  });
});
