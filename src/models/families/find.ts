// The family of a config, and it alone: a page that runs one model fetches the file of that one.

import type { TensorIndex } from '../tensors.ts';
import type { AnyBlueprint } from '../vision.ts';
import { blueprintBy } from './make.ts';
import type { Family } from './parts.ts';

type File = () => Promise<{ readonly families: readonly Family[] }>;

const bert: File = () => import('./bert.ts');
const llama: File = () => import('./llama.ts');
const neox: File = () => import('./gpt-neox.ts');
const t5: File = () => import('./t5.ts');

/** By `model_type`, the file with its family. What is not here is looked for in all of them. */
const FILES: Readonly<Record<string, File>> = {
  bert,
  bloom: () => import('./bloom.ts'),
  camembert: bert,
  cohere: llama,
  'deberta-v2': () => import('./deberta.ts'),
  distilbert: () => import('./distilbert.ts'),
  falcon: () => import('./falcon.ts'),
  gemma: llama,
  gemma2: llama,
  gemma3_text: llama,
  gpt2: () => import('./gpt2.ts'),
  gpt_neox: neox,
  gptj: neox,
  granite: llama,
  jina_bert: () => import('./jina-bert.ts'),
  llama,
  longt5: t5,
  mistral: llama,
  modernbert: () => import('./modernbert.ts'),
  mpnet: () => import('./mpnet.ts'),
  mpt: () => import('./mpt.ts'),
  mt5: t5,
  nomic_bert: () => import('./nomic-bert.ts'),
  olmo2: llama,
  phi3: () => import('./phi3.ts'),
  qwen2: llama,
  qwen3: llama,
  roberta: bert,
  smollm3: llama,
  t5,
  'transfo-xl': () => import('./transformer-xl.ts'),
  'universal-sentence-encoder': () => import('./universal-sentence.ts'),
  'xlm-roberta': bert,
  xlnet: () => import('./xlnet.ts'),
};

/** The types whose families are found without loading all. */
export const FOUND: readonly string[] = Object.keys(FILES);

/**
 * The blueprint of a checkpoint: what `anyBlueprintOf` of index.ts makes.
 *
 * @throws as that does
 */
export async function findBlueprint(config: unknown, index: TensorIndex): Promise<AnyBlueprint> {
  const given = (config ?? {}) as Readonly<Record<string, unknown>>;
  const { model_type: said, position_embedding_type: positions } = given;
  // Jina's models say that they are BERT's, and have other positions.
  const type = said === 'bert' && positions === 'alibi' ? 'jina_bert' : said;
  const load = typeof type === 'string' && Object.hasOwn(FILES, type) && given.text_config === undefined ? FILES[type] : undefined;
  const made = load && blueprintBy((await load()).families, given, index);
  // Models within models, those of images, and what is refused with the names of all that there are.
  return made ?? (await import('./index.ts')).anyBlueprintOf(config, index);
}
