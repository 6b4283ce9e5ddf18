// What families share: attention with its usual defaults, the layers of BERT and of LLaMA and their kin, heads.

import { describe, wrongValue } from '../../arguments/check.ts';
import { alibi, alibiSlopes } from '../../encodings/alibi.ts';
import type { Encoding } from '../../plan/plan.ts';
import type {
  Activation,
  Attention,
  Classifier,
  Dense,
  Embeddings,
  Layer,
  Linear,
  LogitsHead,
  Norm,
  Position,
  Stack,
  Tokens,
} from '../blueprint.ts';
import type { Config } from '../config.ts';
import { outputs, type TensorIndex, type Tensors } from '../tensors.ts';

/** What a family makes; the rest of the blueprint is its name. */
export interface Parts {
  readonly kind: 'encoder' | 'decoder' | 'seq2seq';
  readonly width: number;
  readonly vocabulary: number;
  readonly tokens: Tokens;
  readonly encoder?: Stack;
  readonly decoder?: Stack;
  readonly logits?: LogitsHead | undefined;
  readonly pooler?: Dense | undefined;
  readonly classifier?: Classifier | undefined;
  readonly longest?: number | undefined;
}

/** A family of models: a file that exports one of these. */
export interface Family {
  readonly name: string;
  /** `model_type` of its configs. */
  readonly types: readonly string[];
  /** For a type that several families have: whether the config is this one's. Default yes. */
  readonly fits?: (config: Config) => boolean;
  /** @throws TypeError, RangeError that names the key or the tensor that is missing, wrong or unknown */
  readonly read: (config: Config, index: TensorIndex) => Parts;
}

/** Attention with defaults: as many key heads as heads, values as wide as keys, 1/√D, everything visible, no positions. */
export function attention(
  given: Pick<Attention, 'heads' | 'headWidth' | 'query' | 'key' | 'value' | 'output'> & Partial<Attention>,
): Attention {
  return {
    keyHeads: given.heads,
    valueWidth: given.headWidth,
    scale: 1 / Math.sqrt(given.headWidth),
    positions: [],
    causal: false,
    ...given,
  };
}

/** A scheme that needs no table. */
export const fixed = (name: string, options: Readonly<Record<string, unknown>>, encoding: Encoding): Position => ({
  name,
  options,
  tables: {},
  make: () => encoding,
});

/** ALiBi's standard slopes, divided by a number. */
export function alibiPosition(heads: number, divisor = 1): Position {
  const slopes = alibiSlopes(heads).map((slope) => slope / divisor);
  return fixed('alibi', { heads, ...(divisor !== 1 && { divisor }) }, alibi({ heads, slopes }));
}

/** A fused projection that has q, k and v of one head after another: [heads, 3, D]. */
export function interleaved(
  weights: Tensors,
  name: string,
  { width, heads, headWidth }: { readonly width: number; readonly heads: number; readonly headWidth: number },
  bias: boolean,
): readonly [Linear, Linear, Linear] {
  const of = (part: number): Linear =>
    weights.linear(name, width, heads * headWidth, {
      bias,
      rows: { first: part * headWidth, count: headWidth, times: heads, step: 3 * headWidth },
      total: 3 * heads * headWidth,
    });
  return [of(0), of(1), of(2)];
}

/** A window of as many keys to the left, the query's own among them. */
export const backward = (keys: number): { readonly left: number } => ({ left: Math.min(keys - 1, FARTHEST) });

/** Keys on one side that attention's windows may have. */
const FARTHEST = 0x40000000;

/** The type of a layer where some have a window: as `layer_types` lists it, or by the model's rule. */
export function layerType(config: Config, layer: number, sliding: boolean): string {
  const types = ['full_attention', 'sliding_attention'];
  const said = config.list('layer_types')?.[layer] ?? types[Number(sliding)];
  if (!types.includes(said as string)) throw wrongValue('config.json', `layer_types[${layer}]`, types.join(' or '), describe(said));
  return said as string;
}

/** A post-norm layer: each sub-layer's sum is normed. */
export function postNormLayer(
  attended: Attention,
  norm: Norm,
  mlp: { readonly activation: Activation; readonly gate?: Linear; readonly up: Linear; readonly down: Linear },
  norm2: Norm,
): Layer {
  return { attention: { ...attended, post: norm }, mlp: { ...mlp, post: norm2 }, parallel: false };
}

/** The sizes that most encoders' configs have under the same keys. */
export interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly epsilon: number;
}

/** A layer with BERT's names: attention.self, attention.output, intermediate, output. */
export function bertLayer(
  weights: Tensors,
  { width, heads, headWidth, inner, epsilon }: Sizes,
  activation: Activation,
  more: Partial<Attention> = {},
  names: readonly [string, string, string] = ['query', 'key', 'value'],
): Layer {
  const all = heads * headWidth;
  const of = (name: string, output: number, input = width): Linear => weights.linear(name, input, output, { bias: true });
  const [query, key, value] = names.map((name) => of(`attention.self.${name}`, all)) as [Linear, Linear, Linear];
  return postNormLayer(
    attention({ heads, headWidth, query, key, value, output: of('attention.output.dense', width, all), ...more }),
    weights.layerNorm('attention.output.LayerNorm', width, epsilon),
    { activation, up: of('intermediate.dense', inner), down: of('output.dense', width, inner) },
    weights.layerNorm('output.LayerNorm', width, epsilon),
  );
}

/** Embeddings with BERT's names. */
export function bertEmbeddings(
  weights: Tensors,
  width: number,
  epsilon: number,
  { vocabulary, types, positions }: { vocabulary: number; types: number; positions?: { readonly rows: number; readonly offset: number } },
  normed: number = width,
): Embeddings {
  const table = (name: string, rows: number) => weights.tensor(`${name}.weight`, [rows, width]);
  return {
    token: table('word_embeddings', vocabulary),
    ...(positions && { position: { table: table('position_embeddings', positions.rows), offset: positions.offset } }),
    ...(types > 0 && { type: table('token_type_embeddings', types) }),
    norm: weights.layerNorm('LayerNorm', normed, epsilon),
  };
}

/** The head of a masked language model: dense, activation, norm, then the vocabulary; the output is tied unless it has a tensor of its own. */
export function maskedHead(
  weights: Tensors,
  names: { readonly dense: string; readonly norm: string; readonly decoder: string; readonly bias: readonly string[] },
  { token }: Embeddings,
  activation: Activation,
  epsilon: number,
  denseBias: boolean | 'found' = true,
  normBias: boolean | 'found' = true,
): LogitsHead | undefined {
  const dense = `${names.dense}.weight`;
  if (!weights.has(dense)) return undefined;
  const [vocabulary, columns] = token.shape as [number, number];
  const width = weights.index.get(weights.prefix + dense)?.shape[1] ?? columns;
  const bias = names.bias.find((name) => weights.has(name));
  const own = names.decoder !== '' && weights.has(`${names.decoder}.weight`);
  return {
    dense: {
      linear: weights.linear(names.dense, width, columns, { bias: denseBias }),
      activation,
      norm: weights.layerNorm(names.norm, columns, epsilon, normBias),
    },
    output: {
      weight: own ? weights.tensor(`${names.decoder}.weight`, [vocabulary, columns]) : token,
      ...(bias !== undefined && { bias: weights.tensor(bias, [vocabulary]) }),
    },
  };
}

/** The head of a causal language model: tied to the embeddings if the config says so and there is no tensor of its own. */
export function causalHead(
  weights: Tensors,
  name: string,
  { token }: Embeddings,
  tied: boolean,
  more: { readonly scale?: number; readonly softcap?: number; readonly bias?: boolean | 'found' } = {},
): LogitsHead | undefined {
  const { bias = false, ...rest } = more;
  const [vocabulary, width] = token.shape as [number, number];
  if (weights.has(`${name}.weight`) && !tied) return { output: weights.linear(name, width, vocabulary, { bias }), ...rest };
  return tied ? { output: { weight: token }, ...rest } : undefined;
}

/** A classification head from its steps; the last gives the labels. */
export function classifierOf(config: Config, pooling: Classifier['pooling'], steps: readonly Dense[]): Classifier {
  const last = steps[steps.length - 1] as Dense;
  const count = outputs(last.linear);
  const labels = config.labels(count);
  const standard = count === 1 ? 'regression' : 'single_label_classification';
  const problem = config.text('problem_type', standard);
  const problems: Record<string, Classifier['problem']> = {
    regression: 'regression',
    single_label_classification: 'one',
    multi_label_classification: 'many',
  };
  config.only('problem_type', ...Object.keys(problems));
  return { pooling, steps, labels, problem: problems[problem] as Classifier['problem'] };
}

/** Rows that a tensor has, for heads whose number of labels the config does not say. */
export const rowsOf = (weights: Tensors, name: string): number => weights.index.get(weights.prefix + name)?.shape[0] ?? 0;
