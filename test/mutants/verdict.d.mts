/** How a run of suites ended, and what vitest reports of it. */
export interface Run {
  readonly ok: boolean;
  /** It ran out of time. */
  readonly stopped: boolean;
  readonly output: string;
  readonly report?: {
    readonly numTotalTests: number;
    readonly testResults: readonly {
      readonly status: string;
      readonly message: string;
      readonly assertionResults: readonly { readonly status: string; readonly fullName: string; readonly failureMessages: readonly string[] }[];
    }[];
  };
}
export function verdict(run: Run): { readonly outcome: 'killed' | 'survived' | 'broken' | 'hung'; readonly why?: string };
