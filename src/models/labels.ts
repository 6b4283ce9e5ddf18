// Labels from the logits of a classifier.

import type { Arithmetic } from '../plan/plan.ts';
import type { Classifier } from './blueprint.ts';

/** A label and how sure the model is. */
export interface Label {
  readonly label: string;
  /** A probability; for regression the number itself. */
  readonly score: number;
}

/** All labels, the surest first. */
export function labelsOf({ labels, problem }: Classifier, logits: Float32Array, math: Pick<Arithmetic, 'exp'>): Label[] {
  const scores = probabilities(logits, problem, math);
  return [...scores].map((score, n) => ({ label: labels[n] ?? `LABEL_${n}`, score })).sort((a, b) => b.score - a.score);
}

function probabilities(logits: Float32Array, problem: Classifier['problem'], math: Pick<Arithmetic, 'exp'>): Float64Array {
  if (problem === 'regression') return Float64Array.from(logits);
  if (problem === 'many') return Float64Array.from(logits, (x) => sigmoid(x, math));
  return softmax(logits, math);
}

export function softmax(logits: Float32Array, { exp }: Pick<Arithmetic, 'exp'>): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Float64Array.from(logits, (x) => exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

export function sigmoid(x: number, { exp }: Pick<Arithmetic, 'exp'>): number {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
