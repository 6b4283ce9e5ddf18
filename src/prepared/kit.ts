// What prepared calls use of the code that every page has. It is handed to them: of what they imported themselves, a bundler would make a
// chunk that is shared, and a page that wants one encoding would load all of it.

import { checkSignal, wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { callback, readRecord } from '../arguments/record.ts';
import { prepareAttention } from '../attention/attention.ts';
import { checkCall, readOperands } from '../attention/check-call.ts';
import { UNBOUNDED } from '../attention/options.ts';
import { prepareChecked } from '../attention/prepare.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, Tensor } from '../memory/tensor.ts';

/** The code that is handed over. */
export interface Kit {
  readonly checkSignal: typeof checkSignal;
  readonly wrongType: typeof wrongType;
  readonly RelposError: typeof RelposError;
  readonly callback: typeof callback;
  readonly readRecord: typeof readRecord;
  readonly prepareAttention: typeof prepareAttention;
  readonly checkCall: typeof checkCall;
  readonly readOperands: typeof readOperands;
  readonly prepareChecked: typeof prepareChecked;
  readonly Scope: typeof Scope;
  readonly makeTensor: typeof makeTensor;
  readonly Tensor: typeof Tensor;
  readonly UNBOUNDED: number;
}

export const KIT: Kit = {
  checkSignal,
  wrongType,
  RelposError,
  callback,
  readRecord,
  prepareAttention,
  checkCall,
  readOperands,
  prepareChecked,
  Scope,
  makeTensor,
  Tensor,
  UNBOUNDED,
};
