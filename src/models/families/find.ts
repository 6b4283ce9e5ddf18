// The family of a config, and it alone: a page that runs one model fetches the file of that one.

import type { TensorIndex } from '../tensors.ts';
import type { AnyBlueprint } from '../vision.ts';
import { blueprintBy } from './make.ts';
import type { Family } from './parts.ts';

type File = () => Promise<{ readonly families: readonly Family[] }>;

const bert: File = () => import('./bert.ts');
const jina: File = () => import('./jina-bert.ts');
const llama: File = () => import('./llama.ts');
const neox: File = () => import('./gpt-neox.ts');
const t5: File = () => import('./t5.ts');

/** By `model_type`, the files with its families, in the order in which they are tried. What is not here is looked for in all of them. */
const FILES: Readonly<Record<string, readonly File[]>> = {
  bert: [jina, bert],
  bloom: [() => import('./bloom.ts')],
  camembert: [bert],
  cohere: [llama],
  'deberta-v2': [() => import('./deberta.ts')],
  distilbert: [() => import('./distilbert.ts')],
  falcon: [() => import('./falcon.ts')],
  gemma: [llama],
  gemma2: [llama],
  gemma3_text: [llama],
  gpt2: [() => import('./gpt2.ts')],
  gpt_neox: [neox],
  gptj: [neox],
  granite: [llama],
  jina_bert: [jina],
  llama: [llama],
  longt5: [t5],
  mistral: [llama],
  modernbert: [() => import('./modernbert.ts')],
  mpnet: [() => import('./mpnet.ts')],
  mpt: [() => import('./mpt.ts')],
  mt5: [t5],
  nomic_bert: [() => import('./nomic-bert.ts')],
  olmo2: [llama],
  phi3: [() => import('./phi3.ts')],
  qwen2: [llama],
  qwen3: [llama],
  roberta: [bert],
  smollm3: [llama],
  t5: [t5],
  'transfo-xl': [() => import('./transformer-xl.ts')],
  'universal-sentence-encoder': [() => import('./universal-sentence.ts')],
  'xlm-roberta': [bert],
  xlnet: [() => import('./xlnet.ts')],
};

/** The types whose families are found without loading all. */
export const FOUND: readonly string[] = Object.keys(FILES);

/**
 * The blueprint of a checkpoint: what `anyBlueprintOf` of index.ts makes.
 *
 * @throws as that does
 */
export async function findBlueprint(config: unknown, index: TensorIndex): Promise<AnyBlueprint> {
  const { model_type: type, text_config: inner } = (config ?? {}) as { readonly model_type?: unknown; readonly text_config?: unknown };
  const files = typeof type === 'string' && Object.hasOwn(FILES, type) && inner === undefined ? (FILES[type] as readonly File[]) : [];
  const families = (await Promise.all(files.map((load) => load()))).flatMap((file) => file.families);
  const made = families.length > 0 ? blueprintBy(families, config as Record<string, unknown>, index) : undefined;
  // Models within models, those of images, and what is refused with the names of all that there are.
  return made ?? (await import('./index.ts')).anyBlueprintOf(config, index);
}
