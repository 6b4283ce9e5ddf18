// The panel's own sources as one program that runs elsewhere.
import encodings from './encodings.ts?raw';
import losses from './losses.ts?raw';
import model from './model.ts?raw';
import schemes from './schemes.ts?raw';
import { MOST, PART, type Settings } from './texts.ts';

/** A source without its imports, its exports and what it says of itself: all stand in one file. */
const body = (source: string): string =>
  source
    .replace(/^import [^;]*;\n/gm, '')
    .replace(/^\/\/.*\n/, '')
    .replace(/^export /gm, '')
    .trim();

/**
 * The TypeScript that computes what is chosen: the files of this panel, one after another, and a few lines that use them.
 *
 * @param folder the address that the models are fetched from
 */
export function program({ schemes: names, windows, source }: Settings, folder: string): string {
  const text =
    source === 'own'
      ? `new TextEncoder().encode('your text').subarray(0, ${MOST})`
      : `(await bytesOf('text.txt'))${source === 'part' ? `.subarray(0, ${PART})` : ''}`;
  return `// npm install relpos; runs as it is in Node 24 and later, Deno and Bun.
import { alibi, createEngine, type Encoding, type Engine, rotary, shaw, sinusoids, t5, type Tensor } from 'relpos';
import { createLayers, type Layers } from 'relpos/nn';
import { readSafetensors, type SafeTensor } from 'relpos/safetensors';

${[schemes, encodings, model, losses].map(body).join('\n\n')}

const bytesOf = async (name: string): Promise<Uint8Array> => {
  const answer = await fetch(${JSON.stringify(folder)} + name);
  if (!answer.ok) throw new Error(\`\${answer.url}: \${answer.status}\`);
  return new Uint8Array(await answer.arrayBuffer());
};

const text = ${text};
const engine = await createEngine({ threads: 'auto' });
const nn = await createLayers(engine);
for (const scheme of ${JSON.stringify(names)} as SchemeName[]) {
  const file = await bytesOf(SCHEMES[scheme].file + '.safetensors');
  for (const window of ${JSON.stringify(windows)}) {
    const model = makeModel(engine, nn, scheme, file, window);
    const blocks = (await blockLosses(model, window, text)) as Float32Array;
    console.log(scheme, window, blocks.length ? (blocks.reduce((sum, x) => sum + x, 0) / blocks.length).toFixed(4) : 'the text is too short');
    model.dispose();
  }
}
engine.dispose();
`;
}
