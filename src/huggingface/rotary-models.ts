// What a config does not say but its model's code does: pairing, whether a plain rope may be partial, defaults. From transformers 5.18.

import type { MropeArrangement } from '../encodings/mrope.ts';

const list = (names: string): ReadonlySet<string> => new Set(names.split(/\s+/).filter(Boolean));

/** Channels (i, i + R/2). */
export const HALVES: ReadonlySet<string> = list(`
  afmoe apertus arcee aria aria_text bamba bitnet chameleon cosmos3_edge cosmos3_edge_text csm
  csm_depth_decoder_model cwm dbrx deepseek_ocr2 deepseek_ocr2_text dia dia_encoder dia_decoder diffllama diffusion_gemma
  diffusion_gemma_text doge dots1 emu3 emu3_text_model esm esmc eurobert evolla exaone4 exaone4_5 exaone_moe falcon falcon_h1 flex_olmo
  gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4 gemma4_text gemma4_unified gemma4_unified_text glm4_moe glm4v_moe
  glm4v_moe_text glm_image glm_image_text glmasr_encoder gpt_neox gpt_neox_japanese gpt_oss granite granite4_vision_text granite_swa
  granitemoe granitemoe_swa granitemoehybrid granitemoeshared gte higgs_audio_v2 hrm_text hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl hunyuan_vl_text hy_v3 hy_v4
  hyperclovax idefics jais2 jetmoe jina_embeddings_v3 kyutai_speech_to_text laguna lasr_encoder lfm2 lfm2_moe llama mellum mimi
  mimo_v2_flash minicpm3 minimax minimax_m2 minimax_m3_vl minimax_m3_vl_text ministral ministral3 mistral mixtral mllama
  mllama_text_model modernbert modernbert-decoder moshi moshi_depth muse_glimmer muse_glimmer_assistant muse_glimmer_text nanochat nemotron neucodec nomic_bert
  olmo olmo2 olmo3 olmo_hybrid olmoe paddleocr_vl paddleocr_vl_text persimmon fuyu phi phi3 phi4_multimodal phimoe qwen2 qwen2_5_omni
  qwen2_5_omni_text qwen2_5_omni_thinker qwen2_5_omni_talker qwen2_5_vl qwen2_5_vl_text qwen2_moe qwen2_vl qwen2_vl_text qwen3 qwen3_5
  qwen3_5_text qwen3_5_moe qwen3_5_moe_text qwen3_moe qwen3_next qwen3_omni_moe_text qwen3_omni_moe_talker_text
  qwen3_omni_moe_talker_code_predictor qwen3_vl qwen3_vl_text qwen3_vl_moe qwen3_vl_moe_text qwen4_exp qwen4_exp_text recurrent_gemma
  seed_oss smollm3 solar_open stablelm starcoder2 step3p5 step3p7 t5gemma t5_gemma_module t5gemma2_text t5gemma2_encoder
  t5gemma2_decoder timesfm2_5 vaultgemma voxtral_realtime_text voxtral_realtime_encoder xcodec2 zamba2 zaya
`);

/** Channels (2i, 2i + 1). */
export const PAIRS: ReadonlySet<string> = list(`
  blt_local_encoder blt_local_decoder blt_global_transformer blt_patcher codegen cohere cohere2 cohere2_moe deepseek_v2 deepseek_v4
  ernie4_5 ernie4_5_moe ernie4_5_vl_moe ernie4_5_vl_moe_text glm glm4 glm4v glm4v_text glm_ocr glm_ocr_text gptj helium llama4
  llama4_text moonshine moonshine_streaming roformer
`);

/** Channels (2i, 2i + 1) read, (i, i + R/2) written. */
export const PAIRS_TO_HALVES: ReadonlySet<string> = list(`
  axk1 axk2 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa kimi_k25 longcat_flash mistral4 youtu
`);

/** The last channels turn, [nope | rope]. */
export const TRAILING: ReadonlySet<string> = list(`
  axk1 axk2 deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 glm4_moe_lite glm_moe_dsa hy_v4 kimi_k25 longcat_flash minicpm3 mistral4
  youtu
`);

/** Turns by −φ. */
export const BACKWARDS: ReadonlySet<string> = list('nanochat');

/** Models whose plain rope honours `partial_rotary_factor`; the others' turns the whole head whatever the config says. */
export const PARTIAL: ReadonlySet<string> = list(`
  bamba codegen deepseek_v4 diffusion_gemma diffusion_gemma_text glm glm4 glm4_moe glm4v glm4v_text glm4v_moe glm4v_moe_text glm_image
  glm_image_text glm_ocr glm_ocr_text glmasr_encoder gpt_neox gpt_neox_japanese gptj laguna mellum mimo_v2_flash minimax_m2 minimax_m3_vl
  minimax_m3_vl_text mistral4 moonshine moonshine_streaming nemotron persimmon fuyu phi phi3 phi4_multimodal qwen3_5 qwen3_5_text
  qwen3_5_moe qwen3_5_moe_text qwen3_next qwen4_exp qwen4_exp_text recurrent_gemma solar_open stablelm step3p5 step3p7 zaya
`);

/** `partial_rotary_factor` where the config has none; otherwise 1. */
export const PART: Readonly<Record<string, number>> = {
  bamba: 0.5,
  deepseek_v4: 64 / 512,
  fuyu: 0.5,
  glm: 0.5,
  glm4: 0.5,
  glm4_moe: 0.5,
  glm4v_moe: 0.5,
  glm4v_moe_text: 0.5,
  glmasr_encoder: 0.5,
  gpt_neox: 0.25,
  mimo_v2_flash: 0.334,
  moonshine: 0.9,
  moonshine_streaming: 0.8,
  nemotron: 0.5,
  persimmon: 0.5,
  phi: 0.5,
  qwen3_5: 0.25,
  qwen3_5_text: 0.25,
  qwen3_5_moe: 0.25,
  qwen3_5_moe_text: 0.25,
  qwen3_next: 0.25,
  recurrent_gemma: 0.5,
  stablelm: 0.25,
  zaya: 0.5,
};

/** `rope_theta` of full attention where the config has none; otherwise 10000. */
export const THETA: Readonly<Record<string, number>> = {
  apertus: 12_000_000,
  bitnet: 500_000,
  cohere: 500_000,
  dinov3_vit: 100,
  ernie4_5: 500_000,
  ernie4_5_moe: 500_000,
  ernie4_5_vl_moe_text: 500_000,
  flex_olmo: 500_000,
  fuyu: 25_000,
  gemma3: 1_000_000,
  gemma3_text: 1_000_000,
  gemma3n: 1_000_000,
  gemma3n_text: 1_000_000,
  gpt_oss: 150_000,
  gte: 160_000,
  helium: 100_000,
  hy_v3: 11_158_840,
  jina_embeddings_v3: 20_000,
  lfm2: 1_000_000,
  lfm2_moe: 1_000_000,
  llama4_text: 500_000,
  longcat_flash: 10_000_000,
  minimax: 1_000_000,
  minimax_m2: 5_000_000,
  minimax_m3_vl_text: 5_000_000,
  mixtral: 1_000_000,
  mllama_text_model: 500_000,
  modernbert: 160_000,
  'modernbert-decoder': 160_000,
  nomic_bert: 1000,
  olmo3: 500_000,
  paddleocr_vl_text: 500_000,
  phimoe: 1_000_000,
  qwen2_5_vl: 1_000_000,
  qwen2_5_vl_text: 1_000_000,
  qwen2_vl: 1_000_000,
  qwen2_vl_text: 1_000_000,
  qwen3_vl_moe_text: 500_000,
  qwen3_vl_text: 500_000,
  smollm3: 2_000_000,
  solar_open: 1_000_000,
  t5gemma2_text: 1_000_000,
};

/** Models whose sliding layers have a plain rope of their own base; its value where the config has none, undefined if it is the full one's. */
export const LOCAL_THETA: Readonly<Record<string, number | undefined>> = {
  gemma3: 10_000,
  gemma3_text: 10_000,
  gemma3n: 10_000,
  gemma3n_text: 10_000,
  modernbert: 10_000,
  'modernbert-decoder': 10_000,
  olmo3: undefined,
  t5gemma2_text: 10_000,
  t5gemma2_encoder: 10_000,
  t5gemma2_decoder: 10_000,
};

/** Models that turn in sliding layers only. */
export const SLIDING_ONLY: ReadonlySet<string> = list('afmoe cohere2 cohere2_moe exaone4 exaone4_5 exaone_moe');

/** Models in which every fourth layer does not turn, unless `no_rope_layers` says otherwise. */
export const SOME_LAYERS: ReadonlySet<string> = list('llama4 llama4_text smollm3');

/** How `mrope_section` is dealt out. */
export interface MropeKind {
  readonly arrangement: MropeArrangement;
  /** The axis each section reads. */
  readonly order: readonly number[];
  /** Sections where the config has none. */
  readonly sections?: readonly number[];
}

const interleaved: MropeKind = { arrangement: 'interleaved', order: [0, 1, 2], sections: [24, 20, 20] };
const chunked = { arrangement: 'chunked', order: [0, 1, 2] } as const;
const ernie: MropeKind = { arrangement: 'alternating', order: [1, 2, 0], sections: [22, 22, 20] };

const glm: MropeKind = { ...chunked, sections: [8, 12, 12] };
const qwen2: MropeKind = { ...chunked, sections: [16, 24, 24] };

/** Models whose tokens have positions on several axes. Others are taken to have chunks of time, rows and columns. */
export const MROPE: Readonly<Record<string, MropeKind>> = {
  cosmos3_edge: interleaved,
  cosmos3_edge_text: interleaved,
  ernie4_5_vl_moe: ernie,
  ernie4_5_vl_moe_text: ernie,
  glm4v: glm,
  glm4v_text: glm,
  glm4v_moe: glm,
  glm4v_moe_text: glm,
  glm_image: glm,
  glm_image_text: glm,
  glm_ocr: glm,
  glm_ocr_text: glm,
  paddleocr_vl: qwen2,
  paddleocr_vl_text: qwen2,
  qwen2_5_omni_text: qwen2,
  qwen2_5_vl: qwen2,
  qwen2_5_vl_text: qwen2,
  qwen2_vl: qwen2,
  qwen2_vl_text: qwen2,
  qwen3_5: { ...interleaved, sections: [11, 11, 10] },
  qwen3_5_text: { ...interleaved, sections: [11, 11, 10] },
  qwen3_5_moe: { ...interleaved, sections: [11, 11, 10] },
  qwen3_5_moe_text: { ...interleaved, sections: [11, 11, 10] },
  qwen3_omni_moe_text: interleaved,
  qwen3_vl: interleaved,
  qwen3_vl_text: interleaved,
  qwen3_vl_moe: interleaved,
  qwen3_vl_moe_text: interleaved,
  qwen4_exp: interleaved,
  qwen4_exp_text: interleaved,
};

/** Vision models: axes of rows and columns. */
export interface AxialKind {
  readonly layout: 'halves' | 'pairs';
  readonly frequencies: 'shared' | 'split';
  readonly arrangement?: 'alternating';
  readonly axisOrder?: readonly number[];
}

const shared: AxialKind = { layout: 'halves', frequencies: 'shared' };
const sam: AxialKind = { layout: 'pairs', frequencies: 'shared' };

/** Vision models by type. */
export const AXIAL: Readonly<Record<string, AxialKind>> = {
  ...Object.fromEntries(
    [
      'cohere_compass_vision exaone4_5_vision glm4v_vision glm4v_moe_vision glm5_next_vision glm_ocr_vision mlcd_vision_model',
      'ernie4_5_vl_moe_vision muse_glimmer_vision paddleocr_vl_vision qwen2_5_omni_vision_encoder qwen2_5_vl_vision qwen2_vl_vision',
      'qwen3_5_vision qwen3_5_moe_vision qwen3_omni_moe_vision_encoder qwen3_vl_vision qwen3_vl_moe_vision qwen4_exp_vision step3p5_vision',
      'video_llama_3_vision',
    ].flatMap((names) => names.split(' ').map((name) => [name, shared])),
  ),
  pixtral: { layout: 'halves', frequencies: 'split' },
  kimi_k25_vision: { layout: 'halves', frequencies: 'shared', arrangement: 'alternating', axisOrder: [1, 0] },
  minimax_m3_vl_vision: { ...shared, axisOrder: [0, 1, 2] },
  edgetam_video: sam,
  sam2_video: sam,
  sam3_tracker_video: sam,
  sam3_vit_model: sam,
};

/** Vision models whose coordinates are the patches' centres in −1 … 1 (DINOv3). */
export const CENTRED: ReadonlySet<string> = list('dinov3_vit eomt_dinov3');
