// From the panel's settings to a call of attention. For the worker: the page's own thread has no engine.
import type { Engine } from 'relpos';
import { encodingOf, scaleOf } from '../../schemes/engine.ts';
import { keys, queries } from '../../schemes/inputs.ts';
import { type Asked, callOptions, sizesOf } from './asked.ts';
import type { Problem } from './types.ts';

/** The call. Tensors that its encoding holds are put into `owned`. */
export function problemOf(engine: Engine, asked: Asked, owned: { dispose(): void }[]): Problem {
  const { scheme, inputs, head } = asked;
  const sizes = sizesOf(asked);
  const { H, L, S, D } = sizes;
  const encoding = encodingOf(engine, scheme, sizes, owned);
  return {
    encodings: encoding ? [encoding] : [],
    H,
    G: 1,
    L,
    S,
    D,
    q: queries(sizes, inputs),
    k: keys(sizes, inputs),
    head: Math.min(head, H - 1),
    options: callOptions(asked, scaleOf(scheme, sizes)),
  };
}
