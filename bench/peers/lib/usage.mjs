/** Wrong words of a command: what is said of it needs no stack. */
export class UsageError extends Error {}
