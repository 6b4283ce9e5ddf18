// Mutations of what maps a checkpoint to a blueprint: which rows a fused matrix has for what, who sees a window, what is scaled. The tiny
// checkpoints must notice.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src/models');
const goldens = ['models/families'];
const running = ['models/runner'];
const images = ['models/images'];

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
  source(
    'tokens that fill no block begin one of their own',
    'families/block-bias.ts',
    'Math.min(Math.floor(n / block), count - 1)',
    'Math.floor(n / block)',
    running,
  ),
  source('a distance of blocks is that of tokens', 'families/block-bias.ts', 'last - at(i)', 'last - i', goldens),
  source('tokens that fill no block are in none', 'beside.ts', 'n * this.#size : tokens', 'n * this.#size : n * this.#size', running),
  source(
    'blocks are seen within the window',
    'beside.ts',
    'tokens, end] : [from, to]',
    'tokens, Math.min(end, tokens + left)] : [from, to]',
    running,
  ),
  source('a convolution reads the text that follows', 'beside.ts', 'end - start - Math.abs(away)', 'end - start', running),
  source('a convolution is turned round', 'beside.ts', 'const away = tap - middle;', 'const away = middle - tap;', running),
  source('every tap has the bias', 'packed-stack.ts', 'bias && 2 * n + 1 === taps.length', 'bias', running),
  source(
    'queries are clipped, keys and values are not',
    'layer-program.ts',
    'makeMap(layers, scope, input.panels.outputs, { limit })',
    'makeMap(layers, scope, input.panels.outputs / 3, { limit })',
    running,
  ),
  source('a filter begins half a cell late', 'resample.ts', 'Math.trunc(centre - reach + 0.5)', 'Math.trunc(centre - reach + 1)', images),
  source('weights of a filter are cut off, not rounded', 'resample.ts', 'w < 0 ? -0.5 : 0.5', '0', images),
  source(
    'columns are sampled before rows',
    'resample.ts',
    'if (newColumns !== columns) {',
    'if (newColumns !== columns && newRows === rows) {',
    images,
  ),
  source(
    'a deviation is not rounded to f32',
    'image-settings.ts',
    '/ fround(deviation[c] as number)',
    '/ (deviation[c] as number)',
    images,
  ),
  source('a picture of a disposed classifier is computed', 'lifetime.ts', 'if (this.#over) throw', 'if (false) throw', images),
  source('memory goes while an image is under way', 'lifetime.ts', 'if (this.#running === 0) this.#release();', 'this.#release();', images),
  source('U+FEFF among bytes is taken for a mark', 'tokenizer.ts', '{ ignoreBOM: true }', '{}', ['models/tokens']),
];
