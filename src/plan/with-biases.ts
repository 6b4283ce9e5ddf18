import { writeBiases } from './biases.ts';
import { checkBiases } from './check-biases.ts';
import { type Handlers, withHandlers } from './handlers.ts';
import type { Encoding } from './plan.ts';

/** The code for biases and factors. */
export const BIASES: Handlers = { biases: { check: checkBiases, write: writeBiases } };

/** An encoding of the package's own making that lowers to biases or factors. */
export const withBiases = (encoding: Encoding): Encoding => withHandlers(encoding, BIASES);
