// Topic `encodings`: each scheme against no encoding at the same sizes and options, by turns, beside its own arithmetic.
import { numbers } from '../build/bench-kit.mjs';
import { arithmeticOf, boundOf } from './arithmetic.mjs';
import { compare } from './measure.mjs';
import { lengthOf, RECIPES } from './schemes.mjs';
import { line, show } from './show.mjs';

/** Makers of numbers for a recipe: random, small, the same every time. */
function makers(engine) {
  let seed = 100;
  const make = (shape) =>
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed++,
    ).map((x) => 0.3 * x);
  return { engine, table: make, weights: make };
}

/** The same encoding, and the plan that its last call came to. */
function watched({ defineEncoding }, encoding) {
  const seen = {};
  const lower = (context) => {
    seen.plan = encoding.lower(context);
    return seen.plan;
  };
  return { seen, encoding: defineEncoding({ name: encoding.name, lower }) };
}

const signed = (x) => `${x >= 0 ? '+' : ''}${x.toFixed(1)} %`;

async function one(relpos, { name, make }, recipe, length, { budget, precision }) {
  // An engine for each, so that its memory is this scheme's alone.
  const engine = await relpos.createEngine({ threads: 1, precision });
  const [H, L, D] = [12, lengthOf(recipe, length), 64];
  const inputs = [1, 2, 3].map((n) => engine.tensor([1, H, L, D], numbers(H * L * D, n)));
  const out = engine.tensor([1, H, L, D]);
  const before = engine.memoryUsage().reserved;
  const run = (options) => () => engine.attention(...inputs, { ...recipe.attention, ...options, out });
  await run({})();
  const plain = engine.memoryUsage().reserved;
  const encoding = make(recipe.options({ H, L, D }, makers(engine)), ...(recipe.arguments ?? []));
  const spied = watched(relpos, encoding);
  await run({ encoding: spied.encoding })();
  const [base, own] = await compare([run({}), run({ encoding })], budget);
  const { reserved } = engine.memoryUsage();
  const { ratio, ...times } = own;
  const arithmetic = arithmeticOf(spied.seen.plan, { L, S: L, D, causal: recipe.attention?.causal ?? false });
  engine.dispose();
  const cost = 100 * (ratio - 1);
  const memory = { reserved, plain, inputs: before };
  const bound = boundOf(arithmetic);
  return { name, kind: recipe.kind, L, H, D, base: base.median, ...times, cost, arithmetic, bound, ...memory };
}

function print({ name, kind, L, H, D, cost, arithmetic, bound, reserved, ...times }) {
  const own = `${`+${(100 * arithmetic.share).toFixed(1)} %`.padStart(9)} of products, ${arithmetic.lookups} lookup${arithmetic.lookups === 1 ? ' ' : 's'}`;
  const verdict = bound === undefined ? '' : cost <= bound ? ` (at most ${bound.toFixed(0)} %)` : ` OVER ${bound.toFixed(0)} %`;
  line(`${name} ${L}×${H}×${D}, ${kind}`, times, `${own}; costs ${signed(cost)}${verdict}, ${show(reserved / 2 ** 20)} MiB`);
}

export async function encodings(relpos, registry, { only, ...options }) {
  const results = [];
  for (const length of [512, 2048]) {
    for (const scheme of registry.filter(({ name }) => only.test(name))) {
      const recipe = RECIPES[scheme.name];
      const result = recipe ? await one(relpos, scheme, recipe, length, options) : { name: scheme.name, missing: true };
      results.push(result);
      if (recipe) print(result);
      else console.log(`  ${scheme.name}: no recipe`);
    }
  }
  return results;
}
