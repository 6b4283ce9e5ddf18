import type { Found, Row } from './judge.mjs';

export function digest(hashes: Readonly<Record<string, string>>): string;
export function table(rows: readonly Row[], absent: Found['absent']): string;
