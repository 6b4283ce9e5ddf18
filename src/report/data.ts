/** What a report's page holds as data. */

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly case: string;
  readonly threads: number;
  readonly rate: number;
  /** The rest of what is known of it, for the tip. */
  readonly detail: string;
}

/** The bars of one unit. */
export interface Chart {
  readonly unit: string;
  readonly bars: readonly Bar[];
}

/** All of a page. */
export interface Charts {
  /** Runtimes and packages, in their order. */
  readonly names: string[];
  readonly charts: readonly Chart[];
}
