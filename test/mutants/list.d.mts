/** One wrong line. */
export interface Mutation {
  /** What is wrong then. */
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The tests that must notice. */
  readonly suites: readonly string[];
}
export const mutants: readonly Mutation[];
