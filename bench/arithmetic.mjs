// What a scheme has to do beside plain attention, by its plan: the operations of its products, and how many numbers it looks up for each pair.

/** Distinct rows of a term's table that pairs of a square meet; those outside the table count as zero and are no work. */
function rowsMet({ table, heads, rows }, { L, S, width, causal }) {
  const count = table.length / heads / width;
  if (rows.kind === 'index') return count;
  const met = new Set();
  for (let offset = 1 - S; offset <= (causal ? 0 : L - 1); offset++) met.add(rows.row(offset));
  return [...met].filter((row) => row >= 0 && row < count).length;
}

/** A tenth more than a product with every pair costs 55 % of a call; a shorter one and a lookup, at 12 %, less below this part of it. */
const WORTH_READING = (55 - 12) / 55;

/**
 * Operations of a plan's products over those of plain attention, which takes 4·D for each visible pair, and its lookups. A table whose every pair
 * meets a row of its own is a product of the size of q·k, half of plain attention; a query meets a shorter one row by row and reads the pairs'
 * scores from there, one lookup each. A bias is a lookup too. Rotations and normalisations are of rows, not of pairs: they count as nothing.
 *
 * @param plan what the encoding's `lower` gave
 * @param sizes `{ L, S, D, causal }` of a call
 * @returns `{ share, lookups, gated? }`
 */
export function arithmeticOf(plan, { L, S, D, causal }) {
  const pairs = causal ? (L * (2 * S - L + 1)) / 2 : L * S;
  const tables = [...(plan.terms ?? []), ...(plan.valueTable ? [{ ...plan.valueTable, kind: 'query' }] : [])];
  let [operations, lookups] = [0, plan.biases?.length ?? 0];
  for (const table of tables) {
    const met = (table.kind === 'key' ? S : L) * rowsMet(table, { L, S, width: D, causal });
    const short = met < WORTH_READING * pairs;
    operations += 2 * D * (short ? met : pairs);
    if (short) lookups++;
  }
  // Every query meets every row of a table of contexts, and reads two of them for each pair, after a gate and a sum that nothing else has.
  const { contextTable } = plan;
  if (contextTable) {
    operations += (2 * L * contextTable.table.length) / contextTable.heads;
    lookups += 2;
  }
  return { share: operations / (4 * D * pairs), lookups, ...(contextTable && { gated: true }) };
}

/**
 * The most that a scheme may cost, in percent of the call: a tenth over its own arithmetic, and 12 % for each lookup; undefined if it has neither, or
 * a gate for each pair.
 */
export function boundOf({ share, lookups, gated }) {
  return gated || (share === 0 && lookups === 0) ? undefined : 110 * share + 12 * lookups;
}
