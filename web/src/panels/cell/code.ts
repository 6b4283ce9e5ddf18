// The program that computes what is shown of a cell: its score part by part, its probability, and the two halves.
import { descriptionOf } from '../../schemes/describe.ts';
import { writtenKeys, writtenQueries } from '../../schemes/inputs.ts';
import { makersFor } from '../../schemes/makers.ts';
import { made, makersOf, textOf, type Written } from '../../schemes/written.ts';
import { type Asked, callOptions, sizesOf } from './asked.ts';
import type { Explanation } from './types.ts';

/** What the program needs to know. */
export interface Shown {
  readonly asked: Asked;
  readonly cell: Explanation;
  readonly halves: boolean;
  readonly address: string;
}

/** Parts of a plan, and which of q and k meet them; a line of the program each. */
function partLines({ parts, changes }: Explanation): string[] {
  const vectors = [
    ...(changes.includes('normalised') ? ['normalization'] : []),
    ...(changes.includes('turned') ? ['rotation'] : []),
    ...(changes.includes('multiplied') ? ['rowScale'] : []),
  ];
  const line = (name: string, fields: readonly string[], more: string, q = 'q', k = 'k'): string => {
    const plan = [...fields, ...(more ? [more] : [])].join(', ');
    const from = [...fields, ...(more ? [/^\w+/.exec(more)?.[0] ?? ''] : [])].join(', ');
    return `  ${name}: await scoreOf((${from ? `{ ${from} }` : ''}) => (${plan ? `{ ${plan} }` : '{}'}), ${q}, ${k}),`;
  };
  const terms = (kind: 'query' | 'key'): string => `terms: terms?.filter(({ kind }) => kind === '${kind}')`;
  const has = (kind: 'query' | 'key'): boolean => parts.terms.some((term) => term.kind === kind);
  return [
    line('content', vectors, ''),
    ...(parts.contentBias === undefined ? [] : [line('contentBias', [...vectors, 'queryBias'], '', 'noQ')]),
    ...(has('query') ? [line('queryTerms', vectors, terms('query'), 'q', 'noK')] : []),
    ...(has('key') ? [line('keyTerms', vectors, terms('key'), 'noQ')] : []),
    ...(parts.biases.length ? [line('bias', ['biases'], '', 'noQ', 'noK')] : []),
    ...(parts.capped === undefined ? [] : [cappedLine(parts.contentBias !== undefined, parts.terms.length > 0, vectors)]),
  ];
}

function cappedLine(bias: boolean, terms: boolean, vectors: readonly string[]): string {
  const fields = [...vectors, ...(bias ? ['queryBias'] : []), ...(terms ? ['terms'] : [])].join(', ');
  return `  softcap: await scoreOf((${fields ? `{ ${fields} }` : ''}) => (${fields ? `{ ${fields} }` : '{}'}), q, k, { softcap: options.softcap }),`;
}

/** The two halves, each with its own keys or, where places are looked up in lists, with the others hidden. */
function halvesText(apart: boolean, S: number, sinks: boolean): string {
  const middle = Math.ceil(S / 2);
  const call = apart
    ? `engine.attentionPartial(q, k.slice(null, null, [first, end]), v.slice(null, null, [first, end]), { ...limits, keyOffset: first, totalKeys: ${S} })`
    : `engine.attentionPartial(q, k, v, { ...limits, mask: defineMask({ name: 'half', intervals: () => [[first, end]] }) })`;
  return `
// The keys in two halves, merged by their log-sum-exp.
const half = (first: number, end: number) =>
  ${call};
const merged = await engine.mergeStates([await half(0, ${middle}), await half(${middle}, ${S})]${sinks ? ', { sinks }' : ''});
console.log(JSON.stringify({ merged: Number(merged.out.slice(0, head, i).toArray()[0]), lse: Number(merged.lse.slice(0, head, i).toArray()[0]) }));
`;
}

/** A complete program in TypeScript. */
export function programOf({ asked, cell, halves, address }: Shown): string {
  const sizes = sizesOf(asked);
  const { H, L, S, D } = sizes;
  const { name, values } = asked.scheme;
  const description = descriptionOf(asked.scheme);
  const encoding = name === 'none' ? undefined : made(name, ...description.make(values, sizes));
  const { sinks, ...options } = callOptions(asked, description.scale?.(values, sizes));
  const limits = { ...(encoding && { encoding }), ...options } as Written;
  const written: Written[] = [writtenQueries(sizes, asked.inputs), writtenKeys(sizes, asked.inputs), limits];
  const split = halves && cell.halves !== undefined;
  const context = cell.parts.context !== undefined || Number.isNaN(cell.parts.score);
  const imports = ['createEngine', 'defineEncoding', 'defineMask', ...(encoding ? [encoding.call] : [])].sort();
  const lower = encoding ? '(context) => part(limits.encoding.lower(context))' : '() => part({})';
  return `// From Position Lab: ${address}
import { type AttentionOptions, ${imports.join(', ')}, type Plan, type Tensor } from 'relpos';

${makersFor(written.flatMap(makersOf)).join('\n\n')}

const engine = await createEngine({ threads: 1 });
const q = engine.tensor([1, ${H}, ${L}, ${D}], ${textOf(written[0])});
const k = engine.tensor([1, 1, ${S}, ${D}], ${textOf(written[1])}); // all heads share keys
const noQ = engine.tensor([1, ${H}, ${L}, ${D}]);
const noK = engine.tensor([1, 1, ${S}, ${D}]);
const limits = ${textOf(limits)};
${sinks ? `const sinks = ${textOf(sinks)};\n` : ''}const options: AttentionOptions = ${sinks ? '{ ...limits, sinks }' : 'limits'};
const [head, i, j] = [${asked.head}, ${cell.i}, ${cell.j}];

/** What a part of the scheme’s plan alone gives, before any mask: the log-sum-exp over one key is its score. */
async function scoreOf(part: (plan: Plan) => Plan, q: Tensor, k: Tensor, more: AttentionOptions = {}): Promise<number> {
  const encoding = defineEncoding({ name: 'part', lower: ${lower} });
  const mask = defineMask({ name: 'key j', intervals: () => [[j, j + 1]] });
  const scale = options.scale === undefined ? {} : { scale: options.scale };
  const { lse } = await engine.attentionPartial(q, k, k, { encoding, mask, ...scale, ...more });
  return Number(lse.slice(0, head, i).toArray()[0]);
}

const parts = {
${partLines(cell).join('\n')}
};
const v = engine.tensor([1, 1, ${S}, 1], Float32Array.from({ length: ${S} }, (_, t) => Number(t === j))); // picks key j
const { out, lse } = await engine.attentionPartial(q, k, v, options);
const probability = Number(out.slice(0, head, i).toArray()[0]);
const sum = Number(lse.slice(0, head, i).toArray()[0]);
const score = Math.log(probability) + sum; // −Infinity is hidden${context ? '; less what stands before it, it is the contextual position' : ''}
console.log(JSON.stringify({ head, i, j, parts, score: score === -Infinity ? null : score, lse: sum, probability }));
${split ? halvesText(cell.halves.apart, S, sinks !== undefined) : ''}engine.dispose();
`;
}
