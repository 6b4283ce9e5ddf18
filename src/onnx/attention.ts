// Attention of ONNX, opsets 23, 24 and 25.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { AttentionOptions } from '../attention/options.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { byHeads, concatenated, resultByHeads } from './heads.ts';
import { type Bounds, boundsMask, fullMask } from './masks.ts';
import { biasScores, rawScores } from './scores.ts';
import { checkAttributes, checkInputs, describeInput, FLOATS, isGiven, type OnnxInput, type OnnxOutput, Workspace } from './values.ts';

/** Inputs of `Attention`, by their names. */
export interface OnnxAttentionInputs<T extends OnnxInput = OnnxInput> {
  /** [B, H, L, D], or [B, L, H·D]. */
  readonly Q: T;
  /** [B, G, S, D], or [B, S, G·D]. */
  readonly K: OnnxInput;
  /** [B, G, S, E], or [B, S, G·E]. */
  readonly V: OnnxInput;
  /** bool (true is visible) or float (added): [S], [L, S], [H, L, S] or [B, H, L, S], any dimension but the last may be 1. */
  readonly attn_mask?: OnnxInput;
  /** [B, G, P, D]. */
  readonly past_key?: OnnxInput;
  /** [B, G, P, E]. */
  readonly past_value?: OnnxInput;
  /** int64 [B]: keys that count in each batch row. From opset 24 on; not with past_key. */
  readonly nonpad_kv_seqlen?: OnnxInput;
}

/** Attributes of `Attention`, by their names. */
export interface OnnxAttentionAttributes {
  readonly is_causal?: number;
  readonly scale?: number;
  readonly softcap?: number;
  /** Accepted and without effect: the softmax is f32 whatever it says. */
  readonly softmax_precision?: number;
  readonly qk_matmul_output_mode?: number;
  readonly q_num_heads?: number;
  readonly kv_num_heads?: number;
  /** From opset 25 on. */
  readonly left_window_size?: number;
  readonly right_window_size?: number;
}

/** Outputs of `Attention`, by their names. */
export interface OnnxAttentionOutputs<T> {
  readonly Y: OnnxOutput<T>;
  readonly present_key?: OnnxOutput<T>;
  readonly present_value?: OnnxOutput<T>;
  readonly qk_matmul_output?: OnnxOutput<T>;
}

type OutputName = keyof OnnxAttentionOutputs<never>;

const INPUTS = ['Q', 'K', 'V', 'attn_mask', 'past_key', 'past_value', 'nonpad_kv_seqlen'];
const ATTRIBUTES = ['is_causal', 'scale', 'softcap', 'softmax_precision', 'qk_matmul_output_mode', 'q_num_heads', 'kv_num_heads'];
const WINDOWS = ['left_window_size', 'right_window_size'];
const OUTPUTS: readonly OutputName[] = ['Y', 'present_key', 'present_value', 'qk_matmul_output'];

/**
 * ONNX `Attention`. Inputs, attributes and outputs have the operator's names; Y has Q's type and rank, present_key and present_value are
 * [B, G, P + S, …]. Its rules: causal without a cache is aligned at the top left, with past_key at the past's length, with nonpad_kv_seqlen
 * at nonpad[b] − L; a mask shorter than S hides the keys beyond; rows that see nothing are 0.
 *
 * `outputs` names what is wanted: by default Y, and the present with a past. `qk_matmul_output` takes L × S memory and is limited to 2^24
 * numbers. In mode 0 it is the raw score even with a softcap, as the operator's text and function body have it.
 *
 * @throws TypeError, RangeError naming an input or attribute that is wrong or not supported (float64 is not)
 * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
 * @example
 * ```ts
 * import { onnxAttention } from 'relpos/onnx';
 *
 * const engine = await createEngine({ threads: 1 });
 * const x = { data: new Float32Array(2 * 3 * 4 * 8), dims: [2, 3, 4, 8] };
 * const { Y } = await onnxAttention(engine, { Q: x, K: x, V: x }, { is_causal: 1 }, 23);
 * Y.dims; // [2, 3, 4, 8]
 * engine.dispose();
 * ```
 */
export async function onnxAttention<T extends OnnxInput>(
  engine: Engine,
  inputs: OnnxAttentionInputs<T>,
  attributes: OnnxAttentionAttributes = {},
  opset: 23 | 24 | 25 = 25,
  outputs?: readonly OutputName[],
): Promise<OnnxAttentionOutputs<T>> {
  const where = 'onnxAttention';
  integer(where, 'opset', opset, 23, 25);
  checkInputs(where, inputs, INPUTS);
  checkAttributes(where, attributes, opset < 25 ? ATTRIBUTES : [...ATTRIBUTES, ...WINDOWS]);
  const wanted = outputs ?? (isGiven(inputs.past_key) ? OUTPUTS.slice(0, 3) : OUTPUTS.slice(0, 1));
  for (const name of wanted) if (!OUTPUTS.includes(name)) throw wrongValue(where, 'outputs', OUTPUTS.join(', '), name);
  const work = new Workspace(engine, where);
  try {
    return await run(work, inputs, attributes, opset, wanted);
  } finally {
    work.release();
  }
}

async function run<T extends OnnxInput>(
  work: Workspace,
  inputs: OnnxAttentionInputs<T>,
  attributes: OnnxAttentionAttributes,
  opset: number,
  wanted: readonly OutputName[],
): Promise<OnnxAttentionOutputs<T>> {
  const { engine, where } = work;
  const { past_key, past_value, nonpad_kv_seqlen, attn_mask } = inputs;
  const mode = integer(where, 'qk_matmul_output_mode', attributes.qk_matmul_output_mode ?? 0, 0, 3);
  integer(where, 'softmax_precision', attributes.softmax_precision ?? 1, 0, 32);
  checkCaches(where, inputs, opset);
  for (const name of ['Q', 'K', 'V'] as const) describeInput(where, name, inputs[name], FLOATS);
  const flat = describeInput(where, 'Q', inputs.Q, FLOATS).dims.length === 3;
  const q = byHeads(work, 'Q', work.tensor('Q', inputs.Q), attributes.q_num_heads);
  let k = byHeads(work, 'K', work.tensor('K', inputs.K), attributes.kv_num_heads);
  let v = byHeads(work, 'V', work.tensor('V', inputs.V), attributes.kv_num_heads);
  const past = isGiven(past_key) ? work.tensor('past_key', past_key) : undefined;
  if (past) {
    k = concatenated(work, 'past_key', past, k);
    v = concatenated(work, 'past_value', work.tensor('past_value', past_value), v);
  }
  const [B, H, L] = q.shape as [number, number, number];
  const S = k.shape[2] as number;
  const lengths = isGiven(nonpad_kv_seqlen) ? work.integers('nonpad_kv_seqlen', nonpad_kv_seqlen) : undefined;
  if (lengths && lengths.length !== B) throw wrongValue(where, 'nonpad_kv_seqlen', `B=${B} lengths`, `${lengths.length}`);
  const bounds: Bounds = {
    causal: Boolean(attributes.is_causal),
    left: integer(where, 'left_window_size', attributes.left_window_size ?? -1, -1),
    right: integer(where, 'right_window_size', attributes.right_window_size ?? -1, -1),
    offset: lengths ? lengths.map((n) => n - L) : past ? (past.shape[2] as number) : 0,
    ...(lengths && { lengths }),
  };
  const mask = isGiven(attn_mask) ? fullMask(work, work.tensor('attn_mask', attn_mask, ['bool', ...FLOATS]), S, opset === 23) : undefined;
  const bound = boundsMask(bounds);
  const scoring = {
    ...(attributes.scale !== undefined && { scale: attributes.scale }),
    ...(attributes.softcap && { softcap: attributes.softcap }),
  };
  const options: AttentionOptions = { ...scoring, mask: [...(mask ? [mask] : []), ...(bound ? [bound] : [])] };
  const { whole, view } = resultByHeads(work, [B, H, L, v.shape[3] as number], flat, q.dtype);
  await engine.attention(q, k, v, { ...options, out: view });
  const result: { -readonly [name in OutputName]?: OnnxOutput<T> } = { Y: work.output(whole, inputs.Q) };
  // Exact copies, and never views of an input.
  const present = (tensor: Tensor): OnnxOutput<T> => {
    const copy = past ? tensor : work.own(engine.tensor(tensor.shape, tensor.toArray(), tensor.dtype));
    return work.output(copy, inputs.Q);
  };
  if (wanted.includes('present_key')) result.present_key = present(k);
  if (wanted.includes('present_value')) result.present_value = present(v);
  if (wanted.includes('qk_matmul_output')) {
    result.qk_matmul_output = work.output(await scoresOf(work, mode, q, k, { options, scoring, mask, bounds }), inputs.Q);
  }
  return result as OnnxAttentionOutputs<T>;
}

function checkCaches(where: string, { past_key, past_value, nonpad_kv_seqlen }: OnnxAttentionInputs, opset: number): void {
  if (isGiven(past_key) !== isGiven(past_value)) {
    throw wrongType(where, isGiven(past_key) ? 'past_value' : 'past_key', 'a tensor beside the other of the past', undefined);
  }
  if (!isGiven(nonpad_kv_seqlen)) return;
  if (opset < 24) throw wrongValue(where, 'nonpad_kv_seqlen', 'nothing before opset 24', 'a tensor');
  if (isGiven(past_key)) throw wrongValue(where, 'nonpad_kv_seqlen', 'nothing beside past_key', 'a tensor');
}

/** What the scores are made of. */
interface Scoring {
  readonly options: AttentionOptions;
  readonly scoring: Pick<AttentionOptions, 'scale' | 'softcap'>;
  readonly mask: Tensor | undefined;
  readonly bounds: Bounds;
}

/** The scores (0 raw, 1 after the softcap, 2 after the bias) or probabilities (3), in q's type. */
async function scoresOf(work: Workspace, mode: number, q: Tensor, k: Tensor, { options, scoring, mask, bounds }: Scoring): Promise<Tensor> {
  const dims = [...q.shape.slice(0, 3), k.shape[2]] as [number, number, number, number];
  if (mode === 3) {
    const weights = work.own(await work.engine.attentionWeights(q, k, options));
    return q.dtype === 'f32' ? weights : work.own(work.engine.tensor(dims, weights.toArray(), q.dtype));
  }
  const { softcap, ...plain } = scoring;
  const scores = await rawScores(work, q, k, mode && softcap ? scoring : plain);
  if (mode === 2) biasScores(scores, dims, mask, bounds);
  return work.own(work.engine.tensor(dims, scores, q.dtype));
}
