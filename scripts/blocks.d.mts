export interface Line {
  readonly name?: string;
  readonly value?: number;
  readonly comment: string;
}
export function layOut(text: string, file?: string): Line[];
export function blockSource(lines: readonly Line[], integer: string): string;
