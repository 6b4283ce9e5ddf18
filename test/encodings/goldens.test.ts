import { afterAll, describe, expect, it } from 'vitest';
import { alibi } from '../../src/encodings/alibi.ts';
import { beit } from '../../src/encodings/beit.ts';
import { bias } from '../../src/encodings/bias.ts';
import { cpmAnt } from '../../src/encodings/cpmant.ts';
import { layoutLMv3 } from '../../src/encodings/layoutlmv3.ts';
import { levit } from '../../src/encodings/levit.ts';
import { maxvit } from '../../src/encodings/maxvit.ts';
import { mpnet } from '../../src/encodings/mpnet.ts';
import { swin } from '../../src/encodings/swin.ts';
import { swinV2 } from '../../src/encodings/swinv2.ts';
import { t5 } from '../../src/encodings/t5.ts';
import { wavlm } from '../../src/encodings/wavlm.ts';
import { golden, runGolden, testEngine } from './support.ts';

const MAKE = { alibi, beit, bias, cpmAnt, layoutLMv3, levit, maxvit, mpnet, swin, swinV2, t5, wavlm };

const FILES = [
  ...['bloom', 'bloom_step', 'bloom_eight', 'bloom_eight_step', 'mpt', 'mpt_step', 'falcon', 'falcon_step'],
  ...['t5_encoder', 't5_encoder_batch', 't5_encoder_short', 't5_decoder', 't5_decoder_step', 'longt5_local', 'longt5_global'],
  ...['mpnet', 'mpnet_lengths', 'wavlm', 'wavlm_short', 'layoutlmv3', 'cpmant', 'cpmant_empty'],
  ...['swinv2', 'swinv2_pretrained', 'swinv2_clamped', 'swinv2_shifted'],
  ...['swin', 'swin_rectangle', 'swin_shifted', 'beit', 'beit_rectangle', 'levit', 'levit_subsample', 'maxvit', 'maxvit_rectangle'],
];

describe('what the originals computed', () => {
  const engine = testEngine();
  afterAll(() => engine.dispose());

  it.each(FILES)('%s', (name) => {
    const file = golden(name);
    // Twice what a plain f32 evaluation of the original loses.
    expect(runGolden(engine, file, MAKE, 'tensor')).toBeLessThanOrEqual(2 * file.naiveError);
    expect(runGolden(engine, file, MAKE, 'array')).toBeLessThanOrEqual(2 * file.naiveError);
  });
});
