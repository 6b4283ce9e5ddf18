// The masks of ONNX Attention as masks of a call: attn_mask with its padding, causal, windows and key lengths per batch row.

import { shapeText, wrongValue } from '../arguments/check.ts';
import type { Mask } from '../masks/mask.ts';
import { DTYPES } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { checkShape, fits } from './shapes.ts';
import { describeInput, FLOATS, isGiven, type OnnxInput, type Workspace } from './values.ts';

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
 * attn_mask of Attention, its last dimension S: one that is shorter hides the keys beyond (`false`, −Infinity), from opset 24 on; in opset
 * 23 a length of 1 counts for all keys. Ranks 1 to 4 are [S], [L, S], [H, L, S] and [B, H, L, S].
 *
 * @param least keys that it has to cover: as many as nonpad_kv_seqlen lets count
 */
export function fullMask(
  work: Workspace,
  mask: Tensor,
  [B, H, L, S]: readonly [number, number, number, number],
  { opset, least }: { readonly opset: number; readonly least: number },
): Tensor {
  const { shape } = mask;
  const width = shape.at(-1) as number | undefined;
  const leading = [
    [1, B],
    [1, H],
    [1, L],
  ].slice(4 - Math.max(1, shape.length));
  const wide = width !== undefined && (opset < 24 ? width === 1 || width === S : width <= S && width >= Math.max(least, Math.min(1, S)));
  if (shape.length > 4 || !wide || !fits(shape.slice(0, -1), leading)) {
    const last = opset < 24 ? `1|S=${S}` : `${Math.max(1, least)} … S=${S}`;
    const all = [`1|B=${B}`, `1|H=${H}`, `1|L=${L}`, last].slice(4 - Math.min(4, Math.max(1, shape.length)));
    throw wrongValue(work.where, 'attn_mask', `shape ${shapeText(all)}`, shapeText(shape));
  }
  if (width === S || opset < 24) return ofRankFour(work, mask);
  const dims = [...shape.slice(0, -1), S];
  const values = mask.toArray();
  const size = dims.reduce((product, n) => product * n, 1);
  const pick = (n: number): number | undefined => (n % S < width ? values[Math.floor(n / S) * width + (n % S)] : undefined);
  const padded =
    DTYPES[mask.dtype].mask === 'hides'
      ? work.make(
          dims,
          Int8Array.from({ length: size }, (_, n) => pick(n) ?? 0),
          'bool',
        )
      : work.make(
          dims,
          Float32Array.from({ length: size }, (_, n) => pick(n) ?? -Infinity),
          'float32',
        );
  return ofRankFour(work, padded);
}

/** The mask with dimensions of 1 before its own, so that nobody has to guess what two or three dimensions mean. */
function ofRankFour(work: Workspace, mask: Tensor): Tensor {
  const more = 4 - mask.shape.length;
  if (!more) return mask;
  const before = (n: number): number[] => Array.from({ length: more }, () => n);
  return work.own(mask.restride([...before(1), ...mask.shape], [...before(0), ...mask.strides]));
}

/** attention_bias of com.microsoft, [1|B, 1|H, L, T]; undefined if there is none. */
export function attentionBias(
  work: Workspace,
  bias: OnnxInput,
  [B, H, L, T]: readonly [number, number, number, number],
): Tensor | undefined {
  if (!isGiven(bias)) return undefined;
  const { dims } = describeInput(work.where, 'attention_bias', bias, FLOATS);
  checkShape(work.where, 'attention_bias', dims, [[1, B], [1, H], L, T], `[1|B=${B}, 1|H=${H}, L=${L}, T=${T}]`);
  return work.tensor('attention_bias', bias);
}
