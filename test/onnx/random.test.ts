/** Hundreds of random nodes: valid ones against the operators in f64, wrong ones refused by the name of what is wrong. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import type { OnnxValue } from '../../src/onnx/index.ts';
import { relativeError } from './compare.ts';
import { expectedOf, type Node } from './operators.ts';
import { Choices, GENERATORS, spoilt } from './random-nodes.ts';
import { runNode } from './run-node.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const COUNT = 120;
const OPERATORS = Object.keys(GENERATORS) as Node['operator'][];

/** What a node is, for the message of a failure. */
function told({ operator, opset, inputs, attributes }: Node): string {
  const shapes = Object.entries(inputs).map(([name, value]) => `${name} [${value?.dims}]`);
  return `${operator} ${opset}: ${shapes.join(', ')}; ${JSON.stringify(attributes)}`;
}

const worstOf = (got: Record<string, { data: ArrayLike<number> }>, expected: ReturnType<typeof expectedOf>): number =>
  Math.max(...Object.keys(expected).map((name) => relativeError(got[name]?.data ?? [], expected[name]?.data as Float64Array)));

describe.each(OPERATORS)('%s', (operator) => {
  const nodes = Array.from({ length: COUNT }, (_, n) => GENERATORS[operator](new Choices(1000 * OPERATORS.indexOf(operator) + n)));
  // At most twice what the naive evaluation in f32 is off, the worst of all nodes.
  const tolerance = 2 * Math.max(...nodes.map((node) => worstOf(expectedOf(node, Math.fround), expectedOf(node))));

  test(`${COUNT} valid nodes`, async () => {
    expect(tolerance).toBeLessThan(4e-6);
    for (const node of nodes) {
      const expected = expectedOf(node);
      const got = (await runNode(engine, node)) as Record<string, OnnxValue & { data: Float32Array }>;
      for (const name of Object.keys(expected)) expect(got[name]?.dims, `${told(node)} ${name}`).toEqual(expected[name]?.dims);
      expect(worstOf(got, expected), told(node)).toBeLessThanOrEqual(tolerance);
    }
  });

  test(`${COUNT} wrong nodes`, async () => {
    const { used } = engine.memoryUsage();
    for (const [n, node] of nodes.entries()) {
      const { node: wrong, names } = spoilt(new Choices(50_000 + n), node);
      const error = await runNode(engine, wrong).then(
        () => new Error('accepted'),
        (reason: unknown) => reason as Error,
      );
      expect(error.message, told(wrong)).toMatch(names);
      expect(error instanceof TypeError || error instanceof RangeError, `${error}`).toBe(true);
    }
    expect(engine.memoryUsage().used).toBe(used);
  });
});
