// What the panel's settings say of a call of attention.
import { type SchemeChoice, type Sizes, sizesFor } from '../../schemes/describe.ts';
import type { InputSettings } from '../../schemes/inputs.ts';
import { defined } from './defined.ts';
import type { CallOptions } from './types.ts';

/** What the panel's settings say of the call. */
export interface Asked {
  readonly scheme: SchemeChoice;
  readonly inputs: InputSettings;
  readonly H: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly head: number;
  readonly causal: boolean;
  /** Keys to the left that are seen; as many as there are or more: all. */
  readonly window: number;
  /** 0: none. */
  readonly softcap: number;
  /** The logit of the sink, where there is one. */
  readonly sink: number | undefined;
}

/** The sizes of the call: windows take the greatest square. */
export const sizesOf = ({ scheme, H, L, S, D }: Pick<Asked, 'scheme' | 'H' | 'L' | 'S' | 'D'>): Sizes => sizesFor({ H, L, S, D }, [scheme]);

/** Options of the call beside its encoding. */
export function callOptions(asked: Asked, scale: number | undefined): CallOptions {
  const { causal, window, softcap, sink } = asked;
  const { H, S } = sizesOf(asked);
  return {
    ...defined({ scale }),
    ...(causal && { causal }),
    ...(window < S && { window: { left: window } }),
    ...(softcap > 0 && { softcap }),
    ...(sink !== undefined && { sinks: Array.from({ length: H }, () => sink) }),
  };
}
