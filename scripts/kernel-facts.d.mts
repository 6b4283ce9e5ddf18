/** Offset of the limits flag of the one memory import. */
export function sharedFlagOffset(bytes: Uint8Array): number;
/** Throws unless the compiled kernels are as they must be; says what they are. */
export function checkKernels(target: string, bytes: Uint8Array, registrySource: string): { summary: string };
