import type { PackedKernels } from '../src/wasm/unpack.ts';

export function packKernels(bytes: Uint8Array): PackedKernels;
