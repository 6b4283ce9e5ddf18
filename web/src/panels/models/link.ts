import { hashOf } from '../../address.ts';
import { choose, descriptionOf, type Param, writeScheme } from '../../schemes/describe.ts';
import type { Link } from './config-words.ts';

/** The value that a control can have which is nearest to this one; undefined if it has none like it. */
function nearest(param: Param, value: number | string | undefined): number | string | undefined {
  if ('words' in param) return param.words.some(([word]) => word === value) ? value : undefined;
  return typeof value === 'number' ? Math.min(param.most, Math.max(param.least, value)) : undefined;
}

/** The address of a scheme in the panel Schemes, and whether its controls can have just these values. */
export function schemeAddress({ scheme, values }: Link): { readonly hash: string; readonly exact: boolean } {
  const usual = choose(scheme);
  const chosen: Record<string, number | string> = { ...usual.values };
  let exact = true;
  for (const param of descriptionOf(usual).params) {
    const value = nearest(param, values[param.key]);
    if (value !== undefined) chosen[param.key] = value;
    if (values[param.key] !== undefined && value !== values[param.key]) exact = false;
  }
  return { hash: hashOf('schemes', writeScheme({ name: usual.name, values: chosen }, 'a', '')), exact };
}
