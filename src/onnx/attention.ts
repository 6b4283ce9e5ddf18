// Attention of ONNX, opsets 23, 24 and 25.

import { finite, integer, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import type { AttentionOptions } from '../attention/options.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { checkEngine, flag, inNamesOf, named, softcapOf } from './attributes.ts';
import { byHeads, concatenated, PAST, pastOf, resultByHeads } from './heads.ts';
import { type Bounds, boundsMask, fullMask } from './masks.ts';
import { biasScores, rawScores } from './scores.ts';
import { checkOperands, checkPair, checkShape } from './shapes.ts';
import { describeInput, FLOATS, isGiven, type OnnxInput, type OnnxOutput, Workspace } from './values.ts';

/** Inputs of `Attention`, by their names. */
export interface OnnxAttentionInputs<T extends OnnxInput = OnnxInput> {
  /** [B, H, L, D], or [B, L, H·D]. */
  readonly Q: T;
  /** [B, G, S, D], or [B, S, G·D]. */
  readonly K: OnnxInput;
  /** [B, G, S, E], or [B, S, G·E]. */
  readonly V: OnnxInput;
  /**
   * bool (true is visible) or float (added): [S], [L, S], [H, L, S] or [B, H, L, S], any dimension but the last may be 1. The last may be
   * shorter from opset 24 on, which hides the keys beyond; in opset 23 it may be 1.
   */
  readonly attn_mask?: OnnxInput;
  /** [B, G, P, D]. */
  readonly past_key?: OnnxInput;
  /** [B, G, P, E]. */
  readonly past_value?: OnnxInput;
  /** int64 [B], 0 to S: keys that count in each batch row. From opset 24 on; not with past_key. */
  readonly nonpad_kv_seqlen?: OnnxInput;
}

/** Attributes of `Attention`, by their names. */
export interface OnnxAttentionAttributes {
  /** 0 (default) or 1. */
  readonly is_causal?: number;
  /** At least 0: the operator takes its root. Default 1/√D. */
  readonly scale?: number;
  /** At least 0; 0 (default) for none. */
  readonly softcap?: number;
  /** 1, 10, 11 or 16. Without effect: the softmax is f32 whatever it says. */
  readonly softmax_precision?: number;
  /** 0 (default) to 3. */
  readonly qk_matmul_output_mode?: number;
  /** Both are needed for Q, K and V of 3 dimensions. */
  readonly q_num_heads?: number;
  readonly kv_num_heads?: number;
  /** From opset 25 on. −1 (default): not bounded. */
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
/** FLOAT, FLOAT16, DOUBLE and BFLOAT16 of ONNX's element types. */
const PRECISIONS = [1, 10, 11, 16];
/** What the engine calls Attention's inputs. */
const NAMES = { q: 'Q', k: 'K', v: 'V', mask: 'attn_mask' };
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
  checkEngine(where, engine);
  integer(where, 'opset', opset, 23, 25);
  const given = named<OnnxAttentionInputs<T>>(where, 'inputs', inputs, INPUTS);
  const how = named<OnnxAttentionAttributes>(where, 'attributes', attributes, opset < 25 ? ATTRIBUTES : [...ATTRIBUTES, ...WINDOWS]);
  const wanted = outputs ?? (isGiven(given.past_key) ? OUTPUTS.slice(0, 3) : OUTPUTS.slice(0, 1));
  if (!Array.isArray(wanted)) throw wrongType(where, 'outputs', 'an array of names', wanted);
  for (const name of wanted) if (!OUTPUTS.includes(name)) throw wrongValue(where, 'outputs', OUTPUTS.join(', '), name);
  const work = new Workspace(engine, where);
  try {
    return await inNamesOf(where, NAMES, () => run(work, given, how, opset, wanted));
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
  const { attn_mask } = inputs;
  const mode = integer(where, 'qk_matmul_output_mode', attributes.qk_matmul_output_mode ?? 0, 0, 3);
  const scoring = scoringOf(where, attributes);
  checkCaches(where, inputs, opset);
  const [q, freshK, freshV] = operands(work, inputs, attributes);
  const past = pastOf(work, inputs, [freshK, freshV]);
  const [k, v] = past ? [concatenated(work, past[0], freshK), concatenated(work, past[1], freshV)] : [freshK, freshV];
  const [B, H, L] = q.shape as [number, number, number, number];
  const S = k.shape[2] as number;
  const lengths = lengthsOf(work, inputs.nonpad_kv_seqlen, B, S);
  const side = (name: 'left_window_size' | 'right_window_size'): number => integer(where, name, attributes[name] ?? -1, -1);
  const bounds: Bounds = {
    causal: flag(where, 'is_causal', attributes.is_causal),
    left: side('left_window_size'),
    right: side('right_window_size'),
    offset: lengths ? lengths.map((n) => n - L) : past ? (past[0].shape[2] as number) : 0,
    ...(lengths && { lengths }),
  };
  const least = Math.max(0, ...(lengths ?? []));
  const mask = isGiven(attn_mask)
    ? fullMask(work, work.tensor('attn_mask', attn_mask, ['bool', ...FLOATS]), [B, H, L, S], { opset, least })
    : undefined;
  const bound = boundsMask(bounds);
  const options: AttentionOptions = { ...scoring, mask: [...(mask ? [mask] : []), ...(bound ? [bound] : [])] };
  const flat = describeInput(where, 'Q', inputs.Q, FLOATS).dims.length === 3;
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

/** scale and softcap as options of a call. */
function scoringOf(where: string, attributes: OnnxAttentionAttributes): Pick<AttentionOptions, 'scale' | 'softcap'> {
  const { scale, softmax_precision } = attributes;
  if (isGiven(softmax_precision) && !PRECISIONS.includes(softmax_precision))
    throw wrongValue(where, 'softmax_precision', PRECISIONS.join(', '), softmax_precision);
  if (isGiven(scale) && finite(where, 'scale', scale) < 0) throw wrongValue(where, 'scale', 'a finite number ≥ 0', scale);
  const softcap = softcapOf(where, attributes.softcap);
  return { ...(isGiven(scale) && { scale }), ...(softcap && { softcap }) };
}

/** Q, K and V by heads. */
function operands(work: Workspace, inputs: OnnxAttentionInputs, attributes: OnnxAttentionAttributes): [Tensor, Tensor, Tensor] {
  const { where } = work;
  const rank = describeInput(where, 'Q', inputs.Q, FLOATS).dims.length;
  const tensor = (name: 'Q' | 'K' | 'V'): Tensor => {
    const { dims } = describeInput(where, name, inputs[name], FLOATS);
    if (name !== 'Q' && dims.length !== rank) throw wrongValue(where, name, `${rank} dimensions, as Q has`, shapeText(dims));
    const attribute = name === 'Q' ? 'q_num_heads' : 'kv_num_heads';
    return byHeads(work, name, work.tensor(name, inputs[name]), attribute, attributes[attribute]);
  };
  const [q, k, v] = [tensor('Q'), tensor('K'), tensor('V')];
  checkOperands(where, { q: 'Q', k: 'K', v: 'V' }, q.shape, k.shape, v.shape);
  return [q, k, v];
}

/** Keys that count in each batch row; undefined without nonpad_kv_seqlen. */
function lengthsOf(work: Workspace, given: OnnxInput, B: number, S: number): number[] | undefined {
  if (!isGiven(given)) return undefined;
  const { where } = work;
  checkShape(where, 'nonpad_kv_seqlen', describeInput(where, 'nonpad_kv_seqlen', given, ['int64', 'int32']).dims, [B], `[B=${B}]`);
  const lengths = work.integers('nonpad_kv_seqlen', given);
  lengths.forEach((n, b) => {
    integer(where, `nonpad_kv_seqlen[${b}]`, n, 0, S);
  });
  return lengths;
}

function checkCaches(where: string, inputs: OnnxAttentionInputs, opset: number): void {
  checkPair(where, inputs, PAST);
  if (!isGiven(inputs.nonpad_kv_seqlen)) return;
  if (opset < 24) throw wrongValue(where, 'nonpad_kv_seqlen', 'nothing before opset 24', 'a tensor');
  if (isGiven(inputs.past_key)) throw wrongValue(where, 'nonpad_kv_seqlen', 'nothing beside past_key', 'a tensor');
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
