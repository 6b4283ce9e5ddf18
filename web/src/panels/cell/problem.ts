// From the panel's settings to a call of attention.
import { alibi, type Engine } from 'relpos';
import type { Problem } from './types.ts';

/** What the panel's settings say of the call. */
export interface Asked {
  readonly L: number;
  readonly head: number;
  readonly causal: boolean;
  readonly window: number;
  readonly softcap: number;
  readonly sink: number | undefined;
}

export function problemOf(_: Engine, { L, head, causal, window, softcap, sink }: Asked): Problem {
  const [H, D] = [4, 16];
  const noise = (seed: number) => Float32Array.from({ length: H * L * D }, (_, n) => Math.sin(n * 12.9898 + seed) * 1.5);
  return {
    encodings: [alibi({ heads: H })],
    H,
    G: H,
    L,
    S: L,
    D,
    q: noise(1),
    k: noise(2),
    head,
    options: {
      ...(causal && { causal }),
      ...(window && { window: { left: window } }),
      ...(softcap && { softcap }),
      ...(sink !== undefined && { sinks: Array.from({ length: H }, () => sink) }),
    },
  };
}
