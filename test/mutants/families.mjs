// Mutations of what maps a checkpoint to a blueprint: which rows a fused matrix has for what, who sees a window, what is scaled. The tiny
// checkpoints must notice.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src/models');
const goldens = ['models/families'];

export const families = [
  source(
    'Falcon takes the key for the value',
    'families/falcon.ts',
    'of((share + 1) * headWidth, headWidth)',
    'of(share * headWidth, headWidth)',
    goldens,
  ),
  source('Falcon has one norm where it has two', 'families/falcon.ts', 'newer ? 2 : 1', '1', goldens),
  source(
    'ModernBERT sees its window twice as wide',
    'families/modernbert.ts',
    "config.count('local_attention', 128) / 2",
    "config.count('local_attention', 128)",
    goldens,
  ),
  source('ModernBERT norms the input of its first layer', 'families/modernbert.ts', 'n > 0 &&', 'n >= 0 &&', goldens),
  source('Phi-3 takes up for gate', 'families/phi3.ts', 'const [gate, up]', 'const [up, gate]', goldens),
  source(
    'Gemma 2 begins with a layer that sees everything',
    'families/llama.ts',
    '(layer + 1) % period !== 0',
    'layer % period !== 0',
    goldens,
  ),
  source(
    'Qwen has its window from a layer too late',
    'families/llama.ts',
    "layer >= config.count('max_window_layers', 28, 0)",
    "layer > config.count('max_window_layers', 28, 0)",
    goldens,
  ),
  source(
    'Granite multiplies logits by what divides them',
    'families/llama.ts',
    "1 / config.factor('logits_scaling', 1)",
    "config.factor('logits_scaling', 1)",
    goldens,
  ),
  source('T5 gates with the exact GELU', 'families/t5.ts', "gated && name === 'gelu'", 'false', goldens),
  source('T5 scales the logits of an output of its own', 'families/t5.ts', "config.flag('tie_word_embeddings', true)", 'true', goldens),
  source(
    'DeBERTa takes its own keys of positions where they are shared',
    'families/deberta.ts',
    'shareKeys ? shared : own',
    'shareKeys ? own : shared',
    goldens,
  ),
  source('U+FEFF among bytes is taken for a mark', 'tokenizer.ts', '{ ignoreBOM: true }', '{}', ['models/tokens']),
];
