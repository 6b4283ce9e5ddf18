export interface Row {
  readonly host: string;
  readonly version: string;
  readonly context: string;
  readonly asked: number;
  readonly expected: { readonly threads: number; readonly reason?: RegExp };
  readonly capabilities: { readonly runtime: string; readonly version: string; readonly threads: number; readonly reason?: string };
  readonly hashes: Readonly<Record<string, string>>;
  readonly failures: Readonly<Record<string, string>>;
  readonly ms: number;
  readonly frames?: { readonly perSecond: number; readonly longestGapMs: number };
}
export interface Check {
  readonly name: string;
  readonly error?: string;
}
export interface Host {
  readonly name: string;
  readonly runtime: string;
  missing(): string | undefined;
  run(project: unknown): Promise<{ rows: Row[]; checks?: Check[]; notes?: string[] }>;
}
export interface Found {
  readonly checks: Check[];
  readonly rows: Row[];
  readonly notes: string[];
  readonly absent: { name: string; missing: string }[];
}
export function judge(hosts: readonly Host[], project: unknown): Promise<Found>;
