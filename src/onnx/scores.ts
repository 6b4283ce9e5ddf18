// The output `qk_matmul_output`: scores or probabilities of every pair, by the kernels that compute the attention.

import { shapeText, wrongValue } from '../arguments/check.ts';
import type { AttentionOptions } from '../attention/options.ts';
import { DTYPES } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { type Bounds, rangeOf } from './masks.ts';
import type { Workspace } from './values.ts';

/** Most of them: the output is L × S. */
const MOST = 0x1000000;

/**
 * scale · q·k of every pair, capped if there is a softcap: [B, H, L, S]. The log-sum-exp over one key is its score; so each key is given
 * as a batch row of its own, by strides alone.
 */
export async function rawScores(
  work: Workspace,
  q: Tensor,
  k: Tensor,
  options: Pick<AttentionOptions, 'scale' | 'softcap'>,
): Promise<Float32Array> {
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, S] = k.shape as [number, number, number];
  if (B * H * L * S > MOST) throw wrongValue(work.where, 'qk_matmul_output', `at most 2^24 = ${MOST} numbers`, shapeText([B, H, L, S]));
  const out = new Float32Array(B * H * L * S);
  if (!out.length) return out;
  const [, headQ, rowQ, channelQ] = q.strides as [number, number, number, number];
  const [, headK, rowK, channelK] = k.strides as [number, number, number, number];
  for (let b = 0; b < B; b++) {
    const queries = work.own(q.restride([S, H, L, D], [0, headQ, rowQ, channelQ], b * (q.strides[0] as number)));
    const keys = work.own(k.restride([S, G, 1, D], [rowK, headK, 0, channelK], b * (k.strides[0] as number)));
    const any = work.own(work.engine.tensor([1]));
    const values = work.own(any.restride([S, G, 1, 1], [0, 0, 0, 1]));
    const { out: none, lse } = await work.engine.attentionPartial(queries, keys, values, options);
    const scores = lse.toArray();
    for (const tensor of [none, lse]) tensor.dispose();
    for (let n = 0; n < scores.length; n++) {
      const [j, row] = [Math.floor(n / (H * L)), n % (H * L)];
      out[(b * H * L + row) * S + j] = scores[n] as number;
    }
  }
  return out;
}

/** Adds the mask's numbers to scores [B, H, L, S], and writes −Infinity where a key is hidden. */
export function biasScores(
  scores: Float32Array,
  dims: readonly [number, number, number, number],
  mask: Tensor | undefined,
  bounds: Bounds,
): void {
  const [, H, L, S] = dims;
  const values = mask?.toArray();
  const shape = mask ? [...Array(4 - mask.shape.length).fill(1), ...mask.shape] : [1, 1, 1, 1];
  const boolean = mask !== undefined && DTYPES[mask.dtype].mask === 'hides';
  for (let row = 0; row * S < scores.length; row++) {
    const [b, h, i] = [Math.floor(row / L / H), Math.floor(row / L) % H, row % L];
    const [from, to] = rangeOf(bounds, b, i);
    const at = [b, h, i].reduce((sum, x, axis) => sum * shape[axis] + (shape[axis] === 1 ? 0 : x), 0) * shape[3];
    for (let j = 0; j < S; j++) {
      const added = values ? (values[at + (shape[3] === 1 ? 0 : j)] as number) : 0;
      const hidden = j < from || j >= to || (boolean && values && !added) || added === -Infinity;
      const score = scores[row * S + j] as number;
      scores[row * S + j] = hidden ? -Infinity : boolean ? score : score + added;
    }
  }
}
