// The lines of the families are those of the table, and no type of a family that reads them is without one.
import { expect, test } from 'vitest';
import { factsIn } from '../../src/huggingface/fact-lines.ts';
import { findFacts } from '../../src/huggingface/facts.ts';
import { LINES } from '../../src/models/families/facts.ts';
import { families as falcon } from '../../src/models/families/falcon.ts';
import { families as neox } from '../../src/models/families/gpt-neox.ts';
import { families as gpt2 } from '../../src/models/families/gpt2.ts';
import { families as llama } from '../../src/models/families/llama.ts';
import { families as modernbert } from '../../src/models/families/modernbert.ts';
import { families as mpt } from '../../src/models/families/mpt.ts';
import { families as nomic } from '../../src/models/families/nomic-bert.ts';
import { families as phi3 } from '../../src/models/families/phi3.ts';

const types = [falcon, neox, gpt2, llama, modernbert, mpt, nomic, phi3].flat().flatMap(({ types }) => types);

test('each type has the facts of the table, and nothing else is there', () => {
  for (const type of types) {
    expect(factsIn(LINES, type), type).toBeDefined();
    expect(factsIn(LINES, type), type).toEqual(findFacts(type));
  }
  const listed = LINES.split('\n').flatMap((line) => (line.split('|')[1] as string).split(' '));
  expect(listed.toSorted()).toEqual([...new Set(types)].toSorted());
});
