/** An encoder of MiniLM's shape with seeded weights and the vocabulary of a tiny one: as much work as a real one, and nothing known. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type SafeTensor, writeSafetensors } from '../../src/safetensors/index.ts';

const [LAYERS, WIDTH, INNER, HEADS, POSITIONS, WORDS] = [6, 384, 1536, 12, 512, 220] as const;

const tiny = fileURLToPath(new URL('../models/checkpoints/bert/tokenizer.json', import.meta.url));

/** A bf16 tensor of numbers of either sign from 2^-5 to 2^-4, or of ones. */
function tensor(shape: readonly number[], seed: number, one = false): SafeTensor {
  const bits = new Uint16Array(shape.reduce((product, n) => product * n, 1)).fill(0x3f80);
  for (let n = 0, state = seed; n < bits.length && !one; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bits[n] = ((state >>> 16) & 0x8000) | 0x3d00 | ((state >>> 20) & 0x7f);
  }
  return { dtype: 'BF16', shape, data: new Uint8Array(bits.buffer) };
}

/** Writes the files that a folder of sentence-transformers has. */
export function writeSeededEncoder(folder: string): void {
  const tensors: Record<string, SafeTensor> = {};
  let seed = 1;
  const add = (name: string, shape: readonly number[], one = false): void => {
    tensors[name] = tensor(shape, seed++, one);
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [WIDTH], true);
    add(`${name}.bias`, [WIDTH]);
  };
  const linear = (name: string, outputs: number, inputs: number): void => {
    add(`${name}.weight`, [outputs, inputs]);
    add(`${name}.bias`, [outputs]);
  };
  for (const [name, rows] of [
    ['word', WORDS],
    ['position', POSITIONS],
    ['token_type', 2],
  ] as const) {
    add(`embeddings.${name}_embeddings.weight`, [rows, WIDTH]);
  }
  norm('embeddings.LayerNorm');
  for (let n = 0; n < LAYERS; n++) {
    const layer = `encoder.layer.${n}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, WIDTH, WIDTH);
    linear(`${layer}.attention.output.dense`, WIDTH, WIDTH);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, INNER, WIDTH);
    linear(`${layer}.output.dense`, WIDTH, INNER);
    norm(`${layer}.output.LayerNorm`);
  }
  mkdirSync(join(folder, '1_Pooling'), { recursive: true });
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tensors));
  copyFileSync(tiny, join(folder, 'tokenizer.json'));
  const json = (name: string, value: unknown): void => writeFileSync(join(folder, name), JSON.stringify(value));
  json('config.json', {
    model_type: 'bert',
    architectures: ['BertModel'],
    vocab_size: WORDS,
    hidden_size: WIDTH,
    num_hidden_layers: LAYERS,
    num_attention_heads: HEADS,
    intermediate_size: INNER,
    hidden_act: 'gelu',
    max_position_embeddings: POSITIONS,
    type_vocab_size: 2,
    layer_norm_eps: 1e-12,
    position_embedding_type: 'absolute',
  });
  json('tokenizer_config.json', { model_max_length: POSITIONS });
  json('special_tokens_map.json', {});
  json('modules.json', [
    { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
    { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
    { idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
  ]);
  json('sentence_bert_config.json', { max_seq_length: 256, do_lower_case: false });
  json('config_sentence_transformers.json', { prompts: {}, default_prompt_name: null });
  json('1_Pooling/config.json', { word_embedding_dimension: WIDTH, pooling_mode_mean_tokens: true });
}
