// The tables of position schemes: numbers of the checkpoint, and rows that go through a norm and a linear layer once, when the model is loaded.

import { sinusoidRows } from '../encodings/sinusoid-rows.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Position, Sinusoids } from './blueprint.ts';
import type { PackedTable } from './packed-stack.ts';
import { makeLinear, makeNorm, normed, type Rows, through } from './rows.ts';

/** The tables of a scheme, as its constructor takes them. */
export type PositionTables = ReadonlyMap<Position, Readonly<Record<string, Float32Array>>>;

const countOf = ({ span }: Sinusoids, longest: number): number => (span === 'past' ? longest : 2 * longest - 1);

/** Rows of distances T − 1 … 0, or … 1 − T, of sines and cosines. */
function drawnRows({ math }: LayerContext['context'], sinusoids: Sinusoids, longest: number): Float32Array {
  const { width, base, clamp } = sinusoids;
  const count = countOf(sinusoids, longest);
  const least = longest - count;
  const limit = clamp ?? longest;
  // Rows come in ascending distance; the table wants them in descending order.
  const ascending = sinusoidRows(math, count, width, { base, halves: true, offset: least });
  const rows = new Float32Array(count * width);
  for (let r = 0; r < count; r++) {
    const distance = Math.max(-limit, Math.min(limit, longest - 1 - r));
    const from = (distance - least) * width;
    rows.set(ascending.subarray(from, from + width), r * width);
  }
  return rows;
}

async function numbersOf(layers: LayerContext, packed: PackedTable, longest: number): Promise<Float32Array> {
  const { context, pool } = layers;
  const read = (at: number, size: number): Float32Array => new Float32Array(context.arena.memory.buffer, at, size).slice();
  if (packed.kind === 'numbers') return read(packed.vector.pointer, packed.vector.size);
  const scope = new Scope(context.arena);
  try {
    const { by, norm, table } = packed;
    const { inputs, outputs } = by.panels;
    const count = packed.count ?? countOf(table.rows as Sinusoids, longest);
    // First: the engine's memory says what is too much.
    const out: Rows = { at: scope.allocate(4 * count * outputs), stride: 4 * outputs };
    const at = packed.rows?.pointer ?? scope.upload(drawnRows(context, table.rows as Sinusoids, longest));
    let from: Rows = { at, stride: 4 * inputs };
    const stages: Stage[] = [];
    if (norm) {
      const to = { at: scope.allocate(4 * count * inputs), stride: 4 * inputs };
      stages.push(normed(makeNorm(layers, scope, norm), count, from, to));
      from = to;
    }
    stages.push(through(makeLinear(layers, scope, by), count, from, out));
    await pool.run(jobOf(stages));
    return read(out.at, count * outputs);
  } finally {
    scope.release();
  }
}

/** The tables of all schemes of a stack. @param longest the most tokens of a text */
export async function positionTables(
  layers: LayerContext,
  packed: ReadonlyMap<Position, Readonly<Record<string, PackedTable>>>,
  longest: number,
): Promise<PositionTables> {
  const made = new Map<Position, Readonly<Record<string, Float32Array>>>();
  for (const [position, tables] of packed) {
    const numbers: Record<string, Float32Array> = {};
    for (const [name, table] of Object.entries(tables)) numbers[name] = await numbersOf(layers, table, longest);
    made.set(position, numbers);
  }
  return made;
}
