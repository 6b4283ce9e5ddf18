/** The least multiple of `multiple` that is n or more. */
export const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;
