import { three } from '../../../ui/numbers.ts';
import { sizesOf } from './graphs.ts';

/** Those of some cases that onnxruntime has operators for. */
export const comparable = (cases: readonly string[]): string[] => cases.filter((id) => sizesOf(id) !== undefined);

/** A ratio of times in words. */
export const inTimes = (ratio: number): string => `${three(ratio)}× as fast`;
