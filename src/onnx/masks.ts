// The masks of ONNX Attention as masks of a call: attn_mask with its padding, causal, windows and key lengths per batch row.

import { wrongValue } from '../arguments/check.ts';
import type { Mask } from '../masks/mask.ts';
import { DTYPES } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { shown, type Workspace } from './values.ts';

/** Where queries stand and what bounds them; sides of the window −1 are open. */
export interface Bounds {
  readonly causal: boolean;
  readonly left: number;
  readonly right: number;
  /** Position of query 0: one number, or one for each batch row. May be negative. */
  readonly offset: number | readonly number[];
  /** Keys of each batch row that count. */
  readonly lengths?: readonly number[];
  /** Queries of each batch row that count; the others see nothing. Default all. */
  readonly queries?: readonly number[];
}

/** First and one past the last key that query i of batch row b sees. */
export function rangeOf({ causal, left, right, offset, lengths, queries }: Bounds, b: number, i: number): [number, number] {
  if (queries && i >= (queries[b] as number)) return [0, 0];
  const position = (typeof offset === 'number' ? offset : (offset[b] as number)) + i;
  const from = left < 0 ? 0 : Math.max(0, position - left);
  let to = lengths ? (lengths[b] as number) : Infinity;
  if (causal) to = Math.min(to, position + 1);
  if (right >= 0) to = Math.min(to, position + right + 1);
  return [from, to];
}

/** The bounds as a mask; undefined if there are none. */
export function boundsMask(bounds: Bounds): Mask | undefined {
  const { causal, left, right, offset, lengths } = bounds;
  if (!causal && left < 0 && right < 0 && !lengths) return undefined;
  return {
    name: 'bounds',
    rows: ({ keys }) => ({
      batched: lengths !== undefined || typeof offset !== 'number',
      runs({ batch, index }) {
        const [from, to] = rangeOf(bounds, batch, index);
        return from < Math.min(to, keys) ? [from, Math.min(to, keys)] : [];
      },
    }),
  };
}

/**
 * attn_mask, its last dimension S: one that is shorter hides the keys beyond (`false`, −Infinity); of length 1 it counts for all keys if
 * `spreads`. Ranks 1 to 4 are [S], [L, S], [H, L, S] and [B, H, L, S].
 */
export function fullMask(work: Workspace, mask: Tensor, S: number, spreads: boolean): Tensor {
  const { shape } = mask;
  const width = shape.at(-1) as number | undefined;
  if (width === undefined || width > S) throw wrongValue(work.where, 'attn_mask', `a last dimension of at most S=${S}`, shown(shape));
  if (width === S || (width === 1 && spreads)) return mask;
  const dims = [...shape.slice(0, -1), S];
  const values = mask.toArray();
  const rows = values.length / Math.max(1, width);
  const pick = (n: number): number | undefined => (n % S < width ? values[Math.floor(n / S) * width + (n % S)] : undefined);
  if (DTYPES[mask.dtype].mask === 'hides')
    return work.make(
      dims,
      Int8Array.from({ length: rows * S }, (_, n) => pick(n) ?? 0),
      'bool',
    );
  return work.make(
    dims,
    Float32Array.from({ length: rows * S }, (_, n) => pick(n) ?? -Infinity),
    'float32',
  );
}
