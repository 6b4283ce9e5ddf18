// What prepared calls use of the code that every page has. It is handed to them: of what they imported themselves, a bundler would make a
// chunk that is shared, and a page that wants one encoding would load all of it.

import { wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { readRecord } from '../arguments/record.ts';
import { prepareAttention } from '../attention/attention.ts';
import { checkCall, readOperands } from '../attention/check-call.ts';
import { OPTIONS, UNBOUNDED } from '../attention/options.ts';
import { prepareChecked } from '../attention/prepare.ts';
import { readsOf } from '../attention/reads.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor } from '../memory/tensor.ts';
import { jobOf, memoryOf } from '../threads/job.ts';

/** The code that is handed over. */
export interface Kit {
  readonly wrongType: typeof wrongType;
  readonly RelposError: typeof RelposError;
  readonly readRecord: typeof readRecord;
  readonly prepareAttention: typeof prepareAttention;
  readonly checkCall: typeof checkCall;
  readonly readOperands: typeof readOperands;
  readonly prepareChecked: typeof prepareChecked;
  readonly readsOf: typeof readsOf;
  readonly Scope: typeof Scope;
  readonly jobOf: typeof jobOf;
  readonly memoryOf: typeof memoryOf;
  readonly makeTensor: typeof makeTensor;
  readonly UNBOUNDED: number;
  readonly OPTIONS: typeof OPTIONS;
}

/** What a call with a cache uses of it. */
export type StepKit = Pick<Kit, 'Scope' | 'jobOf' | 'memoryOf' | 'checkCall' | 'readsOf' | 'prepareChecked' | 'makeTensor' | 'UNBOUNDED'>;

export const KIT: Kit = {
  Scope,
  jobOf,
  memoryOf,
  OPTIONS,
  checkCall,
  RelposError,
  readRecord,
  prepareAttention,
  readOperands,
  UNBOUNDED,
  makeTensor,
  prepareChecked,
  wrongType,
  readsOf,
};
