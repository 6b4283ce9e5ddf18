// Models that turn something else than q and k: what they turn, and how to do that beside attention.

import { describe, wrongValue } from '../arguments/check.ts';
import { type HfConfig, headDim, named, number } from './config.ts';
import type { Facts } from './fact-lines.ts';

/** @throws RangeError that says what else turns, and by which rotation, if the config asks for that; or that frequencies are learned */
export function expectInAttention(where: string, config: HfConfig, model: string, facts: Facts): void {
  const [what, key = '', value, standard, width] = facts.elsewhere?.split(',') ?? [];
  if (what === 'weights') {
    throw wrongValue(
      where,
      'model_type',
      'a model whose frequencies follow from its config',
      describe(model),
      'they are weights: axialRotary({ frequencies })',
    );
  }
  const said = config[key] === undefined ? standard : config[key];
  if (what === undefined || String(said) !== value) return;
  if (what === 'hidden') {
    const theta = number(where, config, 'rotary_embedding_base') ?? 10000;
    throw refusal(where, key, said, `${model} turns the hidden states before they are projected to q and k`, {
      dim: widthOf(where, config, facts, width),
      theta,
      how: "turn them, as [B, L, heads, D], by engine.rotate with layout: 'blhd'",
    });
  }
  // CLVP: the width is that of another quotient, and the values turn too.
  const [whole = 0, heads = 1] = [named(where, config, width), named(where, config, facts.heads)];
  const dim = Math.max(Math.floor(whole / (2 * heads)), 32);
  throw refusal(where, key, said, `${model} turns v as it turns k`, { dim, theta: 10000, how: 'turn v by engine.rotate before attention' });
}

/** Width of a head; of the attention whose heads have a count of their own, if there are several. */
const widthOf = (where: string, config: HfConfig, { heads, ...facts }: Facts, own: string | undefined): number =>
  headDim(where, config, { ...facts, heads: own ?? heads });

function refusal(where: string, key: string, said: unknown, why: string, { dim, theta, how }: { dim: number; theta: number; how: string }) {
  return wrongValue(
    where,
    key,
    'a rotation of q and k alone',
    `${describe(said)}.\n${why}. With rotary({ dim: ${dim}, theta: ${theta}, layout: 'halves' }): ${how}.`,
  );
}
