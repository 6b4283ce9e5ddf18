export function packagesOf(files: readonly string[]): string[];
export function noticeOf(folder: string, given?: string): string;
