export function unroll(source: string): string;
