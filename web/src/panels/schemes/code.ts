// The program that computes what the panel shows.

import { writtenKeys, writtenQueries } from '../../schemes/inputs.ts';
import { makersFor } from '../../schemes/makers.ts';
import { made, makersOf, textOf, type Written } from '../../schemes/written.ts';
import type { Request } from './request.ts';

/** A key of an object: in quotes where it is no plain word. */
const keyOf = (title: string): string => (/^[a-z]\w*$/i.test(title) ? title : `'${title.replaceAll("'", "\\'")}'`);

/** A complete program in TypeScript. `query` is the query whose row it prints; `address` is where it came from. */
export function programOf({ sizes, inputs, head, sides }: Request, query: number, address: string): string {
  const { H, D, L, S } = sizes;
  const written: Written[] = [
    writtenQueries(sizes, inputs),
    writtenKeys(sizes, inputs),
    made('identity', S),
    ...sides.map(({ options }) => options),
  ];
  const constructors = sides.flatMap(({ options: { encoding } }) => (encoding ? [encoding.call] : []));
  const imports = [...new Set(['createEngine', ...constructors])].sort().join(', ');
  const cases = sides.map(({ title, options }) => `  ${keyOf(title)}: ${textOf(options, 1)},`);
  return `// From Position Lab: ${address}
import { type AttentionOptions, ${imports} } from 'relpos';

${makersFor(written.flatMap(makersOf)).join('\n\n')}

const engine = await createEngine();
const q = engine.tensor([1, ${H}, ${L}, ${D}], ${textOf(written[0])});
const k = engine.tensor([1, 1, ${S}, ${D}], ${textOf(written[1])}); // all heads share keys and values
const v = engine.tensor([1, 1, ${S}, ${S}], identity(${S})); // the output is then the matrix of probabilities

const cases: Record<string, AttentionOptions> = {
${cases.join('\n')}
};
const [head, query] = [${head}, ${Math.min(query, L - 1)}];
for (const [name, options] of Object.entries(cases)) {
  const { out, lse } = await engine.attentionPartial(q, k, v, options);
  const probabilities = [...out.slice(0, head, query).toArray()]; // of keys 0 … ${S - 1}
  const sum = Number(lse.slice(0, head, query).toArray()[0]);
  const scores = probabilities.map((p) => Math.log(p) + sum); // before the softmax; −Infinity is hidden, or too far below the others
  console.log(JSON.stringify({ name, head, query, probabilities, scores: scores.map((score) => (score === -Infinity ? null : score)) }));
}
engine.dispose();
`;
}
