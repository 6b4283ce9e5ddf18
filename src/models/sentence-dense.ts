// Linear layers behind the pooling, as sentence-transformers' Dense modules have them: each in a folder of its own beside the model.

import type { Activation, Blueprint, Dense } from './blueprint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { Config } from './config.ts';
import { broken, reasonOf } from './fault.ts';
import { outputs as outputsOf, type TensorIndex, Tensors } from './tensors.ts';
import type { Weights } from './weights.ts';

/** By the name of torch's class. */
const ACTIVATIONS: Readonly<Record<string, Activation | undefined>> = {
  Tanh: 'tanh',
  ReLU: 'relu',
  GELU: 'gelu',
  SiLU: 'silu',
  Sigmoid: 'sigmoid',
};

/**
 * The blueprint with the layers of these folders behind its pooling, and their tensors with the others.
 *
 * @param packed what a packed checkpoint was made of: it has these tensors already
 * @throws RelposError `bad-checkpoint` that names the file
 */
export async function withDense(
  checkpoint: Checkpoint,
  blueprint: Blueprint,
  folders: readonly string[],
  weights: Weights,
  packed: TensorIndex | undefined,
): Promise<Blueprint> {
  const steps: Dense[] = [];
  for (const folder of folders) {
    if (!packed) await checkpoint.addModule(weights, folder);
    const index = packed ?? new Map(weights.names.map((name) => [name, weights.info(name)]));
    const last = steps.at(-1);
    steps.push(await denseOf(checkpoint, index, folder, last ? outputsOf(last.linear) : blueprint.width));
  }
  return Object.freeze({ ...blueprint, afterPooling: Object.freeze(steps) });
}

async function denseOf(checkpoint: Checkpoint, index: TensorIndex, folder: string, width: number): Promise<Dense> {
  const name = `${folder}/config.json`;
  const { where } = checkpoint;
  const given = await checkpoint.object(name);
  if (given === undefined) throw broken(where, name, 'there is none, and modules.json names it');
  try {
    const config = new Config(given);
    const [inputs, outputs] = [config.count('in_features'), config.count('out_features')];
    if (inputs !== width) throw new RangeError(`"in_features" expected ${width}, the width of what comes in, got ${inputs}`);
    config.only('use_residual', false);
    for (const key of ['module_input_name', 'module_output_name']) config.only(key, 'sentence_embedding');
    const tensors = new Tensors(index, `${folder}/`);
    const linear = tensors.linear('linear', inputs, outputs, { bias: config.flag('bias', true) });
    const activation = activationOf(config.text('activation_function', 'torch.nn.modules.activation.Tanh'));
    return Object.freeze({ linear, ...(activation && { activation }) });
  } catch (cause) {
    throw broken(where, name, reasonOf(cause).replace(/^config\.json: /, ''), cause);
  }
}

/** @throws RangeError if there is none of this class */
function activationOf(path: string): Activation | undefined {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (name === 'Identity') return undefined;
  const known = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (known) return known;
  throw new RangeError(`"activation_function" expected one of Identity, ${Object.keys(ACTIVATIONS).join(', ')}, got "${path}"`);
}
