// A call of attention: one of equal lengths, or one on packed sequences.

import type { Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import type { CheckedOptions } from './options.ts';
import { preparePacked } from './packed.ts';
import { prepareOne } from './prepare.ts';

/** Checks a call and gets everything ready for it. @throws before anything is changed */
export function prepareAttention(
  context: Context,
  where: string,
  q: unknown,
  k: unknown,
  v: unknown,
  given: CheckedOptions,
  withLse: boolean | Tensor,
): Call {
  if (given.queryOffsets !== undefined || given.keyOffsets !== undefined) return preparePacked(context, where, q, k, v, given, withLse);
  return prepareOne(context, where, q, k, v, given, withLse);
}
