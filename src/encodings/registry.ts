// One line per scheme, for `relpos encodings`, the documentation and data-driven tests.

import { rotaryFromConfig } from '../hf/rotary-from-config.ts';
import type { Encoding } from '../plan.ts';
import { alibi } from './alibi.ts';
import { axialRotary } from './axial-rotary.ts';
import { beit } from './beit.ts';
import { bias } from './bias.ts';
import { cpmAnt } from './cpmant.ts';
import { deberta } from './deberta.ts';
import { decomposed } from './decomposed.ts';
import { fire } from './fire.ts';
import { kerple } from './kerple.ts';
import { layoutLMv3 } from './layoutlmv3.ts';
import { levit } from './levit.ts';
import { maxvit } from './maxvit.ts';
import { mpnet } from './mpnet.ts';
import { mrope } from './mrope.ts';
import { relPosMlp } from './relposmlp.ts';
import { rotary } from './rotary.ts';
import { sandwich } from './sandwich.ts';
import { musicTransformer, shaw } from './shaw.ts';
import { swin } from './swin.ts';
import { swinV2 } from './swinv2.ts';
import { direction, distance } from './distance.ts';
import { sinusoidal } from './sinusoidal.ts';
import { t5 } from './t5.ts';
import { conformer, transformerXL, xlnet } from './transformer-xl.ts';
import { wavlm } from './wavlm.ts';
import { xpos } from './xpos.ts';

/** What there is to say of a scheme. */
export interface EncodingEntry {
  readonly name: string;
  readonly formula: string;
  readonly options: string;
  readonly models: string;
  // biome-ignore lint/suspicious/noExplicitAny: options come from files and flags here; each constructor checks its own.
  readonly make: (options: any, ...rest: any[]) => Encoding;
}

export const registry: readonly EncodingEntry[] = [
  {
    name: 'rotary',
    formula: 'q, k turned by position · theta^(−2i/dim) in pair i',
    options: 'dim, theta, layout, layoutOut, start, scaling, offset, positions, queryPositions',
    models: 'LLaMA, Mistral, Qwen, Gemma, Phi, GPT-NeoX (halves); GPT-J, CodeGen, Cohere (pairs)',
    make: rotary,
  },
  {
    name: 'rotaryFromConfig',
    formula: 'q, k turned as the model of a config.json does',
    options: 'keys of the config; arguments: layerType, layer, layout, offset, positions, queryPositions, grid, exclude',
    models: 'some 200 model types of transformers, default to LongRoPE, M-RoPE and vision towers',
    make: rotaryFromConfig,
  },
  {
    name: 'mrope',
    formula: 'q, k turned by position(axis of i) · theta^(−2i/dim) in pair i',
    options: 'dim, theta, layout, sections, arrangement, axisOrder, positions, queryPositions, scaling, start, layoutOut, offset',
    models: 'Qwen2-VL, PaddleOCR-VL, GLM-4V (chunked); Qwen3-VL (interleaved); ERNIE 4.5-VL (alternating)',
    make: mrope,
  },
  {
    name: 'axialRotary',
    formula: 'q, k turned by the sum over axes of coordinate · frequency',
    options:
      'dim, layout, theta, frequencies, scale, arrangement, axisOrder, grid, coordinates, referenceGrid, gridOffset, prefix, exclude, repeatKeys, positions, queryPositions, start, layoutOut',
    models: 'Qwen2-VL vision, Pixtral, DINOv3, SAM 2, EVA',
    make: axialRotary,
  },
  {
    name: 'xpos',
    formula: 'rotary, q times and k over ((2i + 0.4·dim)/(1.4·dim))^((position − center)/scaleBase)',
    options: 'dim, theta, layout, scaleBase, center, start, offset, positions, queryPositions',
    models: 'LeX, RetNet',
    make: xpos,
  },
  {
    name: 'alibi',
    formula: 'b = −m_h · |i − j|',
    options: 'heads, maxBias, slopes',
    models: 'BLOOM, MPT, Falcon',
    make: alibi,
  },
  {
    name: 't5',
    formula: 'b = table[bucket(j − i), h]',
    options: 'heads, buckets, maxDistance, bidirectional, table, positions, scalingFactor',
    models: 'T5, mT5, Switch, Pop2Piano, Pix2Struct, LongT5, UDOP',
    make: t5,
  },
  {
    name: 'bias',
    formula: 'b = tensor[b, h, i, j]',
    options: 'tensor [B|1, H|1, L|1, S]',
    models: 'anything that comes as a matrix',
    make: bias,
  },
  {
    name: 'shaw',
    formula: 's = scale · q·(k + aK[clip(j − i)]), o = Σ p·(v + aV[clip(j − i)])',
    options: 'left, right, keys, queries, values',
    models: 'Shaw et al. 2018, Wav2Vec2-BERT, SeamlessM4T v2, BERT relative_key and relative_key_query',
    make: shaw,
  },
  {
    name: 'musicTransformer',
    formula: 's = scale · (q·k + q·Er[rows − 1 + j − i])',
    options: 'table, heads',
    models: 'Music Transformer',
    make: musicTransformer,
  },
  {
    name: 'transformerXL',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'u, v, r',
    models: 'Transformer-XL',
    make: transformerXL,
  },
  {
    name: 'xlnet',
    formula: 's = scale · ((q + r_w)·k + (q + r_r)·r(i − j) + (q + r_s)·seg)',
    options: 'rWBias, rRBias, r, attnType, rSBias, segEmbed, segments',
    models: 'XLNet',
    make: xlnet,
  },
  {
    name: 'conformer',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'posBiasU, posBiasV, r',
    models: 'Wav2Vec2-Conformer, Parakeet, FastSpeech2-Conformer',
    make: conformer,
  },
  {
    name: 'deberta',
    formula: 's = scale · (q·k + q·Kr[δ(i − j)] + k·Qr[δ(i − j)])',
    options: 'maxRelativePositions, positionBuckets, posAttType, posKey, posQuery',
    models: 'DeBERTa v1, v2, v3',
    make: deberta,
  },
  {
    name: 'decomposed',
    formula: 's = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k]',
    options: 'querySize, keySize, relPosH, relPosW',
    models: 'SAM, ViTDet, MViTv2',
    make: decomposed,
  },
  {
    name: 'mpnet',
    formula: 'b = table[bucket(j − i), h], 32 buckets up to 128',
    options: 'heads, table',
    models: 'MPNet',
    make: mpnet,
  },
  {
    name: 'wavlm',
    formula: "b = g(i) · table[bucket(j − i), h], g = a·(r·c_h − 1) + 2 from the layer's input",
    options: 'heads, numBuckets, maxDistance, table, input, gateWeight, gateBias, gateConst',
    models: 'WavLM',
    make: wavlm,
  },
  {
    name: 'layoutLMv3',
    formula: 'b = (table[bucket(p_j − p_i)] + tableX[bucket(x_j − x_i)] + tableY[bucket(y_j − y_i)]) / √D',
    options: 'heads, relPosBins, maxRelPos, rel2dPosBins, maxRel2dPos, relPosBias, relPosXBias, relPosYBias, bbox, positions, divided',
    models: 'LayoutLMv3, LayoutLMv2',
    make: layoutLMv3,
  },
  {
    name: 'cpmAnt',
    formula: 'b = table[bucket(j − i), h] within a segment, table[buckets + segment(i)·T + segment(j), h] between segments',
    options: 'heads, positionBiasNumBuckets, positionBiasMaxDistance, segmentTypes, table, segments',
    models: 'CPM-Ant',
    make: cpmAnt,
  },
  {
    name: 'kerple',
    formula: 'b = −p_h · ln(1 + a_h·|i − j|), or −a_h · |i − j|^p_h',
    options: 'heads, kind, biasP, biasA',
    models: 'KERPLE',
    make: kerple,
  },
  {
    name: 'sandwich',
    formula: 'b = (Σ_t cos((i − j) / theta^(2t/width)) − width/2) / (8h/H)',
    options: 'heads, width, theta',
    models: 'Sandwich, NeMo',
    make: sandwich,
  },
  {
    name: 'fire',
    formula: 'b = MLP(ψ(i − j) / ψ(max(threshold, i)))_h, ψ(x) = ln(1 + c·x)',
    options: 'weight1, bias1, weight2, bias2, c, threshold, epsilon',
    models: 'FIRE',
    make: fire,
  },
  {
    name: 'swin',
    formula: 'b = table[(y_i − y_j + h − 1)·(2w − 1) + x_i − x_j + w − 1, head]',
    options: 'windowSize, table, shifted',
    models: 'Swin, Donut, CLAP, MaskFormer-Swin',
    make: swin,
  },
  {
    name: 'swinV2',
    formula: 's = exp(logitScale) · cos(q, k) + 16 · σ(MLP(log coordinates))',
    options: 'windowSize, pretrainedWindowSize, logitScale, weight1, bias1, weight2, shifted',
    models: 'Swin v2',
    make: swinV2,
  },
  {
    name: 'beit',
    formula: 'as swin, and three rows for the class token',
    options: 'windowSize, table, pretrainedWindowSize',
    models: 'BEiT, Data2Vec-Vision',
    make: beit,
  },
  {
    name: 'levit',
    formula: 'b = attentionBiases[head, |y_i − y_j| · w + |x_i − x_j|]',
    options: 'resolution, attentionBiases, stride',
    models: 'LeViT, TinyViT, EfficientFormer',
    make: levit,
  },
  {
    name: 'maxvit',
    formula: 'b = table[head, y_j − y_i + h − 1, x_j − x_i + w − 1]',
    options: 'windowSize, table',
    models: 'MaxViT, CoAtNet',
    make: maxvit,
  },
  {
    name: 'relPosMlp',
    formula: 'b = MLP(s(y_i − y_j), s(x_i − x_j)), s(d) = sign(d) · ln(1 + |d|)',
    options: 'windowSize, weight1, bias1, weight2, bias2, prefixTokens',
    models: 'Swin v2 CR, MaxViT and CoAtNet of timm',
    make: relPosMlp,
  },
  {
    name: 'sinusoidal',
    formula: 's = scale · q·(k + P[clip(i − j) + k])',
    options: 'maxDistance, base, layout',
    models: 'Transformer (relative, fixed table)',
    make: sinusoidal,
  },
  {
    name: 'distance',
    formula: 's = scale · q·(k + W·[cos(πx/K), sin(πx/K)] + b)',
    options: 'window, weight, bias',
    models: 'distance encoding of a clipped window',
    make: distance,
  },
  {
    name: 'direction',
    formula: 's = scale · q·(k + W·[sgn(row step), sgn(r)]·r + b)',
    options: 'window, weight, bias',
    models: 'direction encoding of a clipped window',
    make: direction,
  },
];
