// The programs that do what the parts show.
import type { Settings } from './settings.ts';
import { sentencesOf } from './similarity.ts';

const literal = (value: unknown): string => JSON.stringify(value);

/** How `generate` is told what the settings say. */
export const generationOf = ({ temperature, topK, topP, seed, end, tokens }: Settings) => ({
  maxTokens: tokens,
  temperature,
  topK,
  topP,
  seed,
  ...(end !== '' && { stop: end }),
});

/** Compares sentences. @param model a folder or an address */
export function similarityProgram({ texts }: Settings, model: string): string {
  const list = sentencesOf(texts).texts.map((text) => `  ${literal(text)},\n`);
  return `import { loadEncoder } from 'relpos/models';

const encoder = await loadEncoder(${literal(model)});
const cosines = await encoder.similarity([
${list.join('')}]);
for (const row of cosines) console.log(JSON.stringify(row));
encoder.dispose();
`;
}

/** Says where the chosen word of a sentence looks. */
export function attentionProgram({ text, layer, head, token }: Settings, model: string): string {
  const row =
    head < 0
      ? `const row = new Float32Array(length);
for (let h = 0; h < heads; h++) for (let j = 0; j < length; j++) row[j] += probabilities[(h * length + token) * length + j] / heads;`
      : `const row = probabilities.subarray((${head} * length + token) * length, (${head} * length + token + 1) * length);`;
  return `import { loadEncoder } from 'relpos/models';

const encoder = await loadEncoder(${literal(model)});
const { tokens, ${head < 0 ? 'heads, ' : ''}length, probabilities } = await encoder.attention(${literal(text)}, { layer: ${layer} });
const token = Math.min(${token}, length - 1);
${row}
for (const [j, word] of tokens.entries()) console.log(JSON.stringify([word, row[j]]));
encoder.dispose();
`;
}

/** Goes on with a text. */
export function storyProgram(settings: Settings, model: string): string {
  const options = Object.entries(generationOf(settings)).map(([name, value]) => `${name}: ${literal(value)}`);
  return `import { loadDecoder } from 'relpos/models';

const decoder = await loadDecoder(${literal(model)});
let text = ${literal(settings.prompt)};
for await (const piece of decoder.generate(text, { ${options.join(', ')} })) text += piece;
console.log(JSON.stringify(text));
decoder.dispose();
`;
}
