import type { Encoding } from '../plan/plan.ts';

/** What there is to say of a position scheme: one entry of the `schemes` that its file exports. */
export interface Scheme {
  readonly name: string;
  readonly formula: string;
  /** Names of the options. */
  readonly options: string;
  /** Models or papers that use it. */
  readonly models: string;
  // biome-ignore lint/suspicious/noExplicitAny: options come from files and flags here; each constructor checks its own.
  readonly make: (options: any, ...rest: any[]) => Encoding;
}
