/** Paths of the checkpoints of models.ts. */
export const MODELS: readonly string[];
