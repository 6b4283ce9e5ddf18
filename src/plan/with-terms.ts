// Terms, value tables and tables of contextual positions of a plan.

import { checkContextTable, prepareContextTable } from './context-table.ts';
import { type Handlers, type PlanCheck, withHandlers } from './handlers.ts';
import type { Encoding, Plan } from './plan.ts';
import {
  checkTerm,
  checkValueTable,
  type Key,
  keyOf,
  type PreparedTerms,
  prepareTerms,
  type TermContext,
  tileRows,
} from './relative-terms.ts';

function check(plan: Plan, { where, name, encoding, shape, place, keys }: PlanCheck): Plan {
  const { terms = [], valueTable, contextTable } = plan;
  for (const term of terms) checkTerm(where, name, term, shape);
  if (contextTable) checkContextTable(where, name, contextTable, shape, place);
  if (valueTable) checkValueTable(where, name, valueTable, shape);
  // Biases have the places from 0 on.
  [valueTable, contextTable, ...terms].forEach((part, n) => {
    if (part) keys.set(part, keyOf(encoding, -1 - n, part));
  });
  return plan;
}

function prepare({ terms = [], valueTable, contextTable }: Plan, keys: Map<unknown, Key>, context: TermContext): PreparedTerms {
  const parts = prepareTerms(terms, valueTable, (part) => keys.get(part), context);
  if (!contextTable) return parts;
  const counted = prepareContextTable(contextTable, keys.get(contextTable), context);
  return {
    rows: tileRows(context),
    fields: () => [...parts.fields(), ...counted.fields()],
    early: parts.early,
    needs: [...parts.needs, ...counted.needs],
  };
}

/** The code for terms and tables. */
export const TERMS: Handlers = { terms: { check, prepare } };

/** An encoding of the package's own making that lowers to terms or tables. */
export const withTerms = (encoding: Encoding): Encoding => withHandlers(encoding, TERMS);
