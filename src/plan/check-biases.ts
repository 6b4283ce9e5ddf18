// Checks of a plan's biases and factors against the call.

import { shapeText, wrongValue } from '../arguments/check.ts';
import { readFloatFile, readOperand } from '../memory/operands.ts';
import { type MemoryContext, Tensor } from '../memory/tensor.ts';
import type { PlanCheck } from './handlers.ts';
import { checkLookup } from './pair-index.ts';
import type { Bias, CurveBias, OffsetFactor, Place, Plan, Shape, SumBias } from './plan.ts';
import { checkHeads, keyOf } from './relative-terms.ts';

/** Checks the biases and factors of a plan, and names them; tensors of files become records of their own. */
export function checkBiases(given: Plan, { where, name, encoding, shape, place, context, keys }: PlanCheck): Plan {
  const plan = withOwnFiles(where, name, given, context);
  const { biases = [], factors = [] } = plan;
  for (const bias of biases) checkBias(where, name, bias, shape, place, context);
  for (const factor of factors) checkFactor(where, name, factor, shape);
  [...biases, ...factors].forEach((part, n) => {
    keys.set(part, keyOf(encoding, n, part));
  });
  return plan;
}

/**
 * The plan, with tensors of files as records of their own: what is checked here is what is read later. Bytes in the engine's memory become a
 * copy: the call that the plan is for may make that grow, which detaches views.
 */
function withOwnFiles(where: string, name: string, plan: Plan, { arena: { memory } }: MemoryContext): Plan {
  if (!plan.biases?.some((bias) => bias.kind === 'dense' && !(bias.tensor instanceof Tensor))) return plan;
  const own = (bias: Bias): Bias => {
    const file = bias.kind === 'dense' && !(bias.tensor instanceof Tensor) && readFloatFile(where, name, bias.tensor)?.file;
    if (!file) return bias;
    return { kind: 'dense', tensor: file.data.buffer === memory.buffer ? { ...file, data: file.data.slice() } : file };
  };
  return { ...plan, biases: plan.biases.map(own) };
}

/** @throws TypeError, RangeError if a bias does not fit the call */
function checkBias(where: string, name: string, bias: Bias, shape: Shape, { totalKeys }: Place, context: MemoryContext): void {
  const { B, H, L, S } = shape;
  if (bias.kind === 'dense') {
    const tensor = readOperand(where, name, bias.tensor, context);
    const allowed = [
      [1, B],
      [1, H],
      [1, L],
      [S, totalKeys],
    ];
    if (tensor.shape.length !== 4 || tensor.shape.some((n, axis) => !allowed[axis]?.includes(n))) {
      const width = totalKeys === S ? `S=${S}` : `S=${S}|${totalKeys}`;
      throw wrongValue(where, name, `shape [1|B=${B}, 1|H=${H}, 1|L=${L}, ${width}]`, shapeText(tensor.shape));
    }
    return;
  }
  checkHeads(where, name, bias.heads, H);
  if (bias.gate && bias.gate.length !== B * H * L) throw wrongValue(where, name, `a gate of [B=${B}, H=${H}, L=${L}]`, bias.gate);
  if (bias.kind === 'index') {
    const P = bias.table.length / bias.heads;
    if (!Number.isInteger(P)) throw wrongValue(where, name, `a table of [${bias.heads}, P]`, bias.table);
    checkLookup(where, name, bias.index, 0, P, shape);
  }
  if (bias.kind === 'curve') checkCurve(where, name, bias, L);
  if (bias.kind === 'sum') checkSum(where, name, bias, shape);
}

function checkCurve(where: string, name: string, { heads, factors, units, weights }: CurveBias, L: number): void {
  if (factors.length !== L) throw wrongValue(where, name, `factors of [L=${L}]`, factors);
  if (!units.length || units.length % 2) throw wrongValue(where, name, 'units of [U ≥ 1, 2]', units);
  const U = units.length / 2;
  if (weights.length !== heads * U) throw wrongValue(where, name, `weights of [heads=${heads}, U=${U}]`, weights);
}

function checkSum(where: string, name: string, { batch, heads, rows, columns }: SumBias, { B, L, S }: Shape): void {
  if (batch !== 1 && batch !== B) throw wrongValue(where, name, `batch 1 or B=${B}`, batch);
  if (rows.length !== batch * heads * L) throw wrongValue(where, name, `rows of [${batch}, ${heads}, L=${L}]`, rows);
  if (columns.length !== batch * heads * S) throw wrongValue(where, name, `columns of [${batch}, ${heads}, S=${S}]`, columns);
  for (const list of [rows, columns]) {
    const bad = list.find((x) => !Number.isFinite(x));
    if (bad !== undefined) throw wrongValue(where, name, 'finite rows and columns', bad);
  }
}

/** @throws RangeError if a factor does not fit the call */
function checkFactor(where: string, name: string, { heads }: OffsetFactor, { H }: Shape): void {
  checkHeads(where, name, heads, H);
}
