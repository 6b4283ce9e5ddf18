// Written by scripts/huggingface/facts.py from the classes of transformers; do not edit.

/** The version of transformers whose classes the table is from. */
export const TRANSFORMERS = '5.18.0';

/**
 * What the code of each model type knows beside its config: a line is facts|types.
 *
 * - `hidden=KEYS:DEFAULT`, `heads`, `head` (width of a head, if the config has the key), `times` (a head is so many quotients wide), `ratio` (ConvBERT),
 *   `latent=NOPE+ROPE` (DeepSeek's heads), `wide` (head width of full attention)
 * - `layout`: `halves`, `pairs`, `mixed` (pairs are read, halves written); none: the type does not turn. `start=end`, `sense=-`
 * - `partly`: a plain rope may be partial; `part` its default; `rot=KEY:DEFAULT` the width itself
 * - `theta`, `max`, `trained`: defaults of rope_theta, max_position_embeddings, original_max_position_embeddings; `thetaKey`, `partKey`: where
 *   they stand beside the parameters; LABEL:… where they differ by label
 * - `rope`: parameters where the config has none; nested by label if layers differ; `scaled`: labels to which a flat rope_scaling belongs
 * - `layers=KIND,FULL,OTHER,PERIOD,KEY` how layer types follow where the config does not list them; `depth` default number of layers
 * - `last`: the type of the last layer, whatever the config lists
 * - `off`: which layers do not turn; `only=KEY:VALUE` the type turns only then; `perLayer`: layer_rope_theta
 * - `first`: of all heads only the first turns
 * - `nested`: parameters must be there, for each layer type
 * - `inner`: the object in which rope_theta stands
 * - `scale`, `query`: what is done to the scores and to q, see attention-scale.ts
 * - `normed`: a norm after the rotation takes the attention factor away again (if the key is not false); `ignores`: keys that are not read
 * - `extra`: keys of the parameters that this type knows; `su`: "yarn" is LongRoPE; `mrope=ARRANGEMENT:SECTIONS`
 * - `axes`, `merge`, `registers`, `square`, `spatial`, `residue`: vision towers and their like, see vision.ts
 * - `elsewhere=WHAT,KEY,VALUE,DEFAULT,HEADS`: where the key has the value, the model turns what is no operand of attention, see elsewhere.ts
 * - `text`: the type of its text_config, or of what is `inside` another key; `parts`: keys of several models that turn
 */
export const MODELS = `head=d_kv:64 scale=one|longt5 mt5 pix2struct_text_model pop2piano switch_transformers t5 udop umt5
head=head_dim:128|canary_decoder nemotron_h
head=head_dim:80 scale=times:1.4426950408889634|timesfm
hidden=d_model/hidden_size:1024 heads=decoder_attention_heads/num_attention_heads:16|trocr
hidden=d_model/hidden_size:1024 heads=encoder_attention_heads/num_attention_heads:16|bart bigbird_pegasus m2m_100 marian mbart pegasus
hidden=d_model/hidden_size:2048 heads=n_heads/num_attention_heads:16 scale=nested:softmax_scale|mpt
hidden=d_model/hidden_size:256 heads=encoder_attention_heads/num_attention_heads:4|speech_to_text
hidden=d_model/hidden_size:2560 heads=encoder_attention_heads/num_attention_heads:32|blenderbot
hidden=d_model/hidden_size:384 heads=encoder_attention_heads/num_attention_heads:6|whisper
hidden=d_model/hidden_size:512 heads=encoder_attention_heads/num_attention_heads:16|blenderbot-small
hidden=d_model/hidden_size:768 heads=encoder_attention_heads/num_attention_heads:12|plbart
hidden=descriptor_dim/hidden_size:256 heads=num_attention_heads:4 elsewhere=weights|lightglue
hidden=emb_dim/hidden_size:2048 heads=n_heads/num_attention_heads:16|flaubert
hidden=hidden_size:1024 heads=encoder_attention_heads/num_attention_heads:16|seamless_m4t_v2
hidden=hidden_size:1024 heads=encoder_attention_heads/num_attention_heads:16 elsewhere=hidden,position_embeddings_type,rotary,relative,speech_encoder_attention_heads:16|seamless_m4t
hidden=hidden_size:1024 heads=num_attention_heads:16|bert-generation clvp_decoder eomt internvl_vision janus_vision_model megatron-bert phi4_multimodal_audio qianfan_ocr_vision videomt
hidden=hidden_size:1024 heads=num_attention_heads:16 elsewhere=hidden,position_embeddings_type,rotary,relative_key|wav2vec2-bert
hidden=hidden_size:1024 heads=num_attention_heads:16 head=head_dim|moshi_depth neucodec xcodec2
hidden=hidden_size:1024 heads=num_attention_heads:8 head=head_dim|cohere_asr
hidden=hidden_size:1152 heads=num_attention_heads:16|phi4_multimodal_vision
hidden=hidden_size:1152 heads=num_attention_heads:18|rembert
hidden=hidden_size:120 heads=num_attention_heads:8|pp_ocrv5_mobile_rec pp_ocrv5_server_rec pp_ocrv6_small_rec
hidden=hidden_size:128 heads=n_head/num_attention_heads:1 scale=switch:scale_attn_weights:layers|decision_transformer
hidden=hidden_size:1280 heads=attention_heads/num_attention_heads:16|mllama_vision_model
hidden=hidden_size:1280 heads=num_attention_heads:16|pixio radio
hidden=hidden_size:1536 heads=num_attention_heads:24 scale=terms:pos_att_type:c2p,p2c|deberta-v2
hidden=hidden_size:2048 heads=num_heads/num_attention_heads:16 scale=one|gpt_neo
hidden=hidden_size:256 heads=num_attention_heads:4|electra superglue
hidden=hidden_size:2560 heads=num_attention_heads:32|xlm-roberta-xl
hidden=hidden_size:3712 heads=num_attention_heads:16 times=2 scale=times:1.4142135623730951 head=attention_head_dim|zamba
hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim|jamba
hidden=hidden_size:4096 heads=num_attention_heads:64|albert
hidden=hidden_size:512 heads=num_attention_heads:4|fun_asr_nano_encoder
hidden=hidden_size:512 heads=num_attention_heads:8|clip_text_model clipseg_text_model metaclip_2_text_model xclip_text_model
hidden=hidden_size:64 heads=n_head/num_attention_heads:8|bloom
hidden=hidden_size:768 heads=num_attention_heads:12|altclip_vision_model audio-spectrogram-transformer beit bert big_bird camembert canine chinese_clip_vision_model clip_vision_model clipseg_vision_model data2vec-audio data2vec-vision deit dinov2 dinov2_with_registers dpr dpt ernie flava_image_model flava_multimodal_model flava_text_model hubert ijepa layoutlm luke lw_detr_vit markuplm metaclip_2_vision_model mgp-str mpnet nystromformer opt rf_detr_dinov2 roberta roberta-prelayernorm roc_bert sew siglip2_text_model siglip2_vision_model siglip_text_model siglip_vision_model splinter tapas timesformer tipsv2_text_model tipsv2_vision_model tvp unispeech unispeech-sat videomae videoprism_text_model videoprism_vision_model vilt visual_bert vit vit_mae vit_msn vitpose_backbone vivit wav2vec2 xclip_vision_model xlm-roberta xmod yolos
hidden=hidden_size:768 heads=num_attention_heads:12 elsewhere=hidden,position_embeddings_type,rotary,relative|wav2vec2-conformer
hidden=hidden_size:768 heads=num_attention_heads:12 elsewhere=values,use_rotary_embedding,true,true,projection_dim:768|clvp_encoder
hidden=hidden_size:768 heads=num_attention_heads:12 ratio=head_ratio:2|convbert
hidden=hidden_size:768 heads=num_attention_heads:12 scale=terms:pos_att_type|deberta
hidden=hidden_size:768 heads=num_attention_heads:12 scale=terms:pos_att_type:c2p,p2c:p2c,c2p|sew-d
hidden=hidden_size:768 heads=num_heads/num_attention_heads:12|coarse_acoustics semantic
hidden=n_embd/hidden_size:512 heads=n_head/num_attention_heads:8 scale=switch:scale_attn_weights:layers|imagegpt
hidden=n_embd/hidden_size:768 heads=n_head/num_attention_heads:12 scale=switch:scale_attn_weights|gpt_bigcode
hidden=n_embd/hidden_size:768 heads=n_head/num_attention_heads:12 scale=switch:scale_attn_weights:layers|gpt2
latent=128+64|kimi_linear
latent=256+0|glm5_next_text
layout=halves axes=apart scale=one hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim:64 theta=100|gemma4_vision
layout=halves axes=atoms spatial=num_spatial_rope_pairs_per_axis:2,spatial_rope_base_frequency:20 residue=num_uid_rope_pairs:10,uid_rope_base_frequency:10000 hidden=hidden_size:128 heads=num_attention_heads:4 head=head_dim|esmfold2_atom_encoder
layout=halves axes=blocks hidden=embed_dim/hidden_size:1280 heads=num_heads:16 merge=2|qwen2_vl_vision
layout=halves axes=blocks hidden=hidden_size:1024 heads=num_heads:16 merge=2|glm5_next_vision glm_ocr_vision
layout=halves axes=blocks hidden=hidden_size:1152 heads=num_attention_heads:16|paddleocr_vl_vision
layout=halves axes=blocks hidden=hidden_size:1152 heads=num_heads:16 merge=2|cohere_compass_vision qwen3_5_moe_vision qwen3_5_vision qwen3_omni_moe_vision_encoder qwen3_vl_moe_vision qwen3_vl_vision qwen4_exp_vision
layout=halves axes=blocks hidden=hidden_size:1280 heads=num_heads:16 merge=2|ernie4_5_vl_moe_vision
layout=halves axes=blocks hidden=hidden_size:1536 heads=num_attention_heads:16|muse_glimmer_vision step3p5_vision
layout=halves axes=blocks hidden=hidden_size:1536 heads=num_heads:12 merge=2|glm4v_moe_vision glm4v_vision
layout=halves axes=blocks hidden=hidden_size:1664 heads=num_attention_heads:16|mlcd_vision_model
layout=halves axes=blocks hidden=hidden_size:3584 heads=num_heads:16 merge=2|exaone4_5_vision qwen2_5_omni_vision_encoder qwen2_5_vl_vision
layout=halves axes=blocks hidden=hidden_size:768 heads=num_attention_heads:12|video_llama_3_vision
layout=halves axes=centers hidden=hidden_size:1024 heads=num_attention_heads:16 theta=100 registers=4|eomt_dinov3
layout=halves axes=centers hidden=hidden_size:1024 heads=num_attention_heads:16 theta=100 registers=8|sapiens2
layout=halves axes=centers hidden=hidden_size:384 heads=num_attention_heads:6 theta=100 registers=0|dinov3_vit
layout=halves axes=split hidden=hidden_size:1024 heads=num_attention_heads:16 head=head_dim|pixtral
layout=halves axes=swapped hidden=hidden_size:1152 heads=num_attention_heads:16|kimi_k25_vision
layout=halves axes=three hidden=hidden_size:1280 heads=num_attention_heads:16 merge=2|minimax_m3_vl_vision
layout=halves head=head_dim:128 max=1024 scale=one|dia_encoder
layout=halves head=head_dim:128 max=131072 scale=product:qk_scale_factor:3.87 layers=back,full_attention,sliding_attention,4 off=theta depth=52|muse_glimmer_text
layout=halves head=head_dim:128 max=16384 layers=last,full_attention,sliding_attention,4,global_attn_every_n_layers off=full|afmoe
layout=halves head=head_dim:128 max=2048|hrm_text
layout=halves head=head_dim:128 max=3072 scale=one|dia_decoder
layout=halves head=head_dim:128 max=32768|qwen3 qwen3_omni_moe_talker_code_predictor
layout=halves head=head_dim:128 max=524288|seed_oss
layout=halves head=head_dim:128 rope={"factor":16.0,"original_max_position_embeddings":16384,"beta_fast":32.0,"beta_slow":1.0,"mscale_all_dim":1.0,"mscale":1.0,"llama_4_scaling_beta":0.1,"rope_type":"yarn","rope_theta":1000000.0} max=262144 query=beta|ministral3
layout=halves head=head_dim:128 rope={"factor":32.0,"high_freq_factor":0.5,"low_freq_factor":0.125,"original_max_position_embeddings":1024,"rope_type":"llama3","rope_theta":500000.0} max=2048|higgs_audio_v2
layout=halves head=head_dim:128 rope={"full_attention":{},"sliding_attention":{}} theta=10000 thetaKey=rope_theta scaled=full_attention partKey= max=128000 scale=scalar:query_pre_attn_scalar: layers=all,full_attention partly|step3p5
layout=halves head=head_dim:128 rope={"full_attention":{},"sliding_attention":{}} theta=full_attention:500000,sliding_attention:10000 thetaKey=-: partKey= max=131072 layers=all,full_attention|mellum
layout=halves head=head_dim:128 theta=11158840.0 max=131072|hy_v3
layout=halves head=head_dim:128 theta=1e+06 max=131072|solar_open
layout=halves head=head_dim:128 theta=1e+06 rope={"factor":16.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3","rope_theta":1000000.0} max=131072|cwm
layout=halves head=head_dim:128 theta=1e+08 rope={"rope_theta":100000000.0} max=131072 mrope=interleaved:24,20,20|cosmos3_edge_text
layout=halves head=head_dim:128 theta=500000 max=128000 mrope=interleaved:24,20,20|qwen3_vl_text
layout=halves head=head_dim:128 theta=500000 max=131072|muse_glimmer_assistant
layout=halves head=head_dim:128 theta=500000 max=131072 mrope=chunked:16,24,24|paddleocr_vl_text
layout=halves head=head_dim:256 max=8192|gemma
layout=halves head=head_dim:256 max=8192 scale=scalar:query_pre_attn_scalar:256|gemma2 t5_gemma_module vaultgemma
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{"rope_type":"proportional","partial_rotary_factor":0.25}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=-: partKey= max=131072 scale=one layers=end,full_attention,sliding_attention,6 wide=512 last=full_attention depth=30|gemma4_text
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{"rope_type":"proportional","partial_rotary_factor":0.25}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=-: partKey= max=131072 scale=one layers=end,full_attention,sliding_attention,6 wide=512 last=full_attention partly depth=30|diffusion_gemma_text
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{"rope_type":"proportional","partial_rotary_factor":0.25}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=-: partKey= max=262144 scale=one layers=end,full_attention,sliding_attention,6 wide=512 last=full_attention depth=30|gemma4_unified_text
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=full_attention:rope_theta,sliding_attention:rope_local_base_freq scaled=full_attention partKey= max=131072 scale=scalar:query_pre_attn_scalar:256 layers=last,full_attention,sliding_attention,6,sliding_window_pattern|gemma3_text t5gemma2_decoder t5gemma2_text
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=full_attention:rope_theta,sliding_attention:rope_local_base_freq scaled=full_attention partKey= max=32768 scale=one layers=last,full_attention,sliding_attention,5|gemma3n_text
layout=halves head=head_dim:64 max=1500|voxtral_realtime_encoder
layout=halves head=head_dim:64 rope={"full_attention":{"partial_rotary_factor":0.25},"sliding_attention":{"partial_rotary_factor":1.0}} theta=full_attention:1e+06,sliding_attention:10000 thetaKey=full_attention:rope_theta,sliding_attention:rope_theta partKey= max=16384 layers=end,full_attention,sliding_attention,6 partly depth=17|neomme
layout=halves head=head_dim:64 theta=150000 rope={"rope_type":"yarn","factor":32.0,"beta_fast":32.0,"beta_slow":1.0,"truncate":false,"original_max_position_embeddings":4096} max=131072|gpt_oss
layout=halves head=head_dim:80 max=16384 scale=times:1.4426950408889634 normed|timesfm2_5
layout=halves head=kv_channels/head_dim:128 max=4096|jetmoe
layout=halves hidden=d_model/hidden_size:2048 heads=n_heads/num_attention_heads:16 max=2048 inner=attn_config|dbrx
layout=halves hidden=hidden_size:1024 heads=num_attention_heads:16 head=head_dim max=32768 mrope=interleaved:24,20,20|qwen3_omni_moe_talker_text
layout=halves hidden=hidden_size:1024 heads=num_attention_heads:16 head=head_dim theta=20000 max=8194|jina_embeddings_v3
layout=halves hidden=hidden_size:1024 heads=num_attention_heads:8 head=head_dim theta=500000 max=33|csm_depth_decoder_model
layout=halves hidden=hidden_size:1024 heads=num_attention_heads:8 max=2048|doge
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:16 head=head_dim max=32768|qwen2_moe
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:16 head=head_dim theta=2e+06 max=32768 off=listed|smollm3
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:16 head=head_dim theta=500000 max=128000 mrope=interleaved:24,20,20|qwen3_vl_moe_text
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:16 max=4096|olmoe
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:28 head=head_dim theta=1e+06 max=32768 mrope=interleaved:24,20,20|qwen3_omni_moe_text
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim max=2048|diffllama
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim max=32768|qwen3_moe
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim max=750|kyutai_speech_to_text
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim theta=1e+06 max=128000|lfm2_moe
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim theta=500000 max=2048|csm
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:20 head=head_dim max=8192 scale=key:attention_multiplier:1 off=theta perLayer|granite_swa
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:20 theta=500000 max=2048|bitnet
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:32 head=head_dim max=4096|arcee
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:32 head=head_dim theta=1e+06 max=128000|lfm2
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:32 times=2 max=4096 scale=times:1.4142135623730951 head=attention_head_dim/head_dim only=use_mem_rope:true|zamba2
layout=halves hidden=hidden_size:2560 heads=num_attention_heads:40 head=head_dim max=2048|esmc
layout=halves hidden=hidden_size:3072 heads=num_attention_heads:24 head=head_dim max=4096|starcoder2
layout=halves hidden=hidden_size:3328 heads=num_attention_heads:26 head=head_dim max=8192|jais2
layout=halves hidden=hidden_size:3584 heads=num_attention_heads:28 head=head_dim theta=1e+06 max=32768|qwen2_5_omni_talker
layout=halves hidden=hidden_size:3584 heads=num_attention_heads:28 theta=1e+06 max=32768 mrope=chunked:16,24,24|qwen2_5_omni_text
layout=halves hidden=hidden_size:3840 heads=num_attention_heads:30 head=head_dim max=65536|olmo_hybrid
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=131072|ministral mistral voxtral_realtime_text
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048|aria_text llama olmo olmo2
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 extra=alpha,xdrope_section normed|hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl_text
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 scale=key:attention_multiplier:|hyperclovax
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 scale=key:attention_multiplier:1|granite granite4_vision_text granitemoe granitemoeshared
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 scale=key:attention_multiplier:1 off=theta perLayer|granitemoe_swa
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 scale=key:attention_multiplier:1 only=position_embedding_type:rope|granitemoehybrid
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=3000|moshi
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=32768|deepseek_ocr2_encoder qwen2
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:500000,full_attention:500000 thetaKey=full_attention:rope_theta scaled=full_attention partKey= max=2048 layers=last,full_attention,sliding_attention,4|olmo3
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim theta=1e+06 max=131072|minimax mixtral
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim theta=1e+06 max=131072 extra=short_mscale,long_mscale|phimoe
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 max=2048|deepseek_ocr2_text idefics
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 max=2048 layers=last,full_attention,sliding_attention,4,sliding_window_pattern off=window|exaone4 exaone_moe
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 max=4096|chameleon
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 max=8192|falcon_h1
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 theta=1.2e+07 rope={"rope_type":"llama3","factor":8.0,"original_max_position_embeddings":8192,"low_freq_factor":1.0,"high_freq_factor":4.0,"rope_theta":12000000.0} max=65536|apertus
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 theta=1e+06 max=9216|emu3_text_model
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 theta=500000 max=131072|mllama_text_model
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 theta=500000 max=4096|flex_olmo
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 theta=500000 max=8192|evolla
layout=halves hidden=hidden_size:4544 heads=num_attention_heads:71 max=2048|falcon
layout=halves hidden=hidden_size:4608 heads=num_attention_heads:32 max=2048|dots1
layout=halves hidden=hidden_size:512 heads=num_attention_heads:8 head=head_dim max=10000|lasr_encoder
layout=halves hidden=hidden_size:512 heads=num_attention_heads:8 head=head_dim max=5000|nemotron3_diarization_audio
layout=halves hidden=hidden_size:512 heads=num_attention_heads:8 head=head_dim max=8000|mimi
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim max=8192|eurobert
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim theta=1000 max=2048|nomic_bert
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim theta=160000 max=8192|gte
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 max=1026 only=position_embedding_type:rotary ignores=rope_scaling,rope_parameters|esm
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:10000,full_attention:160000 thetaKey=full_attention:global_rope_theta,sliding_attention:local_rope_theta scaled=full_attention,sliding_attention partKey= max=8192 layers=first,full_attention,sliding_attention,3,global_attn_every_n_layers|modernbert modernbert-decoder
layout=halves hidden=hidden_size:8192 heads=num_attention_heads:64 head=head_dim max=8192 nested mrope=turns:22,22,20 layers=all,full_attention thetaKey=-:|cohere_compass_text
layout=halves hidden=hidden_size:8192 heads=num_attention_heads:64 theta=1e+06 max=32768 mrope=chunked:16,24,24|qwen2_5_vl_text qwen2_vl_text
layout=halves partly head=head_dim:128 rope={"full_attention":{"partial_rotary_factor":0.5},"sliding_attention":{"partial_rotary_factor":1.0}} theta=full_attention:500000,sliding_attention:10000 thetaKey=-: partKey= max=131072 layers=all,full_attention|laguna
layout=halves partly head=head_dim:128 rope={"hybrid":{"partial_rotary_factor":0.5},"hybrid_sliding":{"partial_rotary_factor":0.5}} theta=hybrid:5e+06,hybrid_sliding:10000 thetaKey=-: partKey= max=131072 layers=all,hybrid|zaya
layout=halves partly head=head_dim:128 theta=5e+06 max=196608 rot=rotary_dim|minimax_m2
layout=halves partly head=head_dim:128 theta=5e+06 max=524288|minimax_m3_vl_text
layout=halves partly head=head_dim:192 rope={"full_attention":{"partial_rotary_factor":0.334},"sliding_attention":{"partial_rotary_factor":0.334}} theta=full_attention:5e+06,sliding_attention:10000 thetaKey=-: partKey= max=131072 layers=mimo,full_attention,sliding_attention,6|mimo_v2_flash
layout=halves partly head=head_dim:256 max=32768 mrope=interleaved:11,11,10|qwen4_exp_text
layout=halves partly head=head_dim:256 part=0.25 max=32768|qwen3_next
layout=halves partly head=head_dim:256 part=0.25 max=32768 mrope=interleaved:11,11,10|qwen3_5_moe_text qwen3_5_text
layout=halves partly hidden=hidden_size:1280 heads=num_attention_heads:20 head=head_dim part=0.5 max=1500|glmasr_encoder
layout=halves partly hidden=hidden_size:2048 heads=num_attention_heads:32 head=head_dim part=0.5 max=2048|phi
layout=halves partly hidden=hidden_size:2560 heads=num_attention_heads:10 head=head_dim part=0.5|recurrent_gemma
layout=halves partly hidden=hidden_size:2560 heads=num_attention_heads:32 part=0.25 max=4096|stablelm
layout=halves partly hidden=hidden_size:2560 heads=num_attention_heads:32 thetaKey=rotary_emb_base partKey=rotary_pct max=2048|gpt_neox_japanese
layout=halves partly hidden=hidden_size:3072 heads=num_attention_heads:32 head=head_dim max=131072 trained=4096 su|phi4_multimodal
layout=halves partly hidden=hidden_size:3072 heads=num_attention_heads:32 head=head_dim max=4096 trained=4096 su|phi3
layout=halves partly hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim partKey= part=0.5 max=262144|bamba
layout=halves partly hidden=hidden_size:4096 heads=num_attention_heads:32 max=131072 head=head_dim mrope=chunked:8,12,12|glm_image_text
layout=halves partly hidden=hidden_size:4096 heads=num_attention_heads:64 part=0.5 max=16384|persimmon
layout=halves partly hidden=hidden_size:4096 heads=num_attention_heads:96 head=head_dim part=0.5 max=131072|glm4_moe
layout=halves partly hidden=hidden_size:4096 heads=num_attention_heads:96 head=head_dim part=0.5 max=65536 mrope=chunked:8,12,12|glm4v_moe_text
layout=halves partly hidden=hidden_size:6144 heads=num_attention_heads:48 head=head_dim part=0.5 max=4096|nemotron
layout=halves partly hidden=hidden_size:6144 heads=num_attention_heads:64 thetaKey=rotary_emb_base partKey=rotary_pct part=0.25 max=2048|gpt_neox
layout=halves sense=- hidden=hidden_size:768 heads=num_attention_heads:6 head=head_dim max=2048 normed|nanochat
layout=halves start=end latent=192+64 max=262144 scale=latent|hy_v4
layout=halves start=end latent=64+32 max=32768 scale=latent|minicpm3
layout=mixed start=end latent=128+64 max=131072 scale=latent|youtu
layout=mixed start=end latent=128+64 max=163840 scale=latent|deepseek_v32
layout=mixed start=end latent=128+64 max=32768 scale=latent|axk1
layout=mixed start=end latent=128+64 max=4096 scale=latent|deepseek_v3
layout=mixed start=end latent=128+64 theta=1e+07 max=131072 scale=latent|longcat_flash
layout=mixed start=end latent=192+64 max=202752 scale=latent|glm_moe_dsa
layout=mixed start=end latent=192+64,head_dim max=202752 scale=latent|glm4_moe_lite
layout=mixed start=end latent=64+32 max=131072 scale=latent|axk2
layout=mixed start=end latent=64+64 partKey= rope={"factor":128.0,"original_max_position_embeddings":8192,"beta_fast":32.0,"beta_slow":1.0,"mscale_all_dim":1.0,"mscale":1.0,"llama_4_scaling_beta":0.1,"rope_type":"yarn","rope_theta":10000.0} part=0.5 max=1048576 scale=latent query=beta|mistral4
layout=pairs axes=columns hidden=hidden_size:1024 heads=num_attention_heads:16|sam3_vit_model
layout=pairs axes=counted square=image_size:448,patch_size:14 hidden=hidden_size:768 heads=num_attention_heads:16|llama4_vision_model
layout=pairs axes=memory|edgetam_video sam2_video sam3_tracker_video
layout=pairs axes=spread part=4 hidden=hidden_size:256 heads=num_attention_heads:8|efficientloftr
layout=pairs axes=twofold square=crop_size:256,patch_size:16 thetaKey hidden=hidden_size:1024 heads=num_attention_heads:16|vjepa2
layout=pairs head=head_dim:128 max=8192 layers=prefix,full_attention,sliding_attention,4,sliding_window_pattern off=full ignores=rope_scaling|cohere2_moe
layout=pairs head=head_dim:128 rope={"rope_theta":20000} max=10000|pe_audio_encoder pe_audio_video_encoder pe_video_encoder
layout=pairs head=head_dim:128 theta=100000 max=4096|helium
layout=pairs head=head_dim:128 theta=500000 max=131072|ernie4_5
layout=pairs head=head_dim:128 theta=500000 max=131072 off=listed query=tempered normed=use_qk_norm|llama4_text
layout=pairs head=head_dim:64 max=32768 first|qwen2_5_omni_dit
layout=pairs head=head_dim:64 theta=150000 rope={"rope_type":"yarn","factor":32.0,"beta_fast":32.0,"beta_slow":1.0,"truncate":false,"original_max_position_embeddings":4096} max=131072|openai_privacy_filter
layout=pairs hidden=hidden_size:1024 heads=num_attention_heads:16 head=head_dim theta=500000 max=24576|blt_local_decoder
layout=pairs hidden=hidden_size:1024 heads=num_attention_heads:16 max=131072 mrope=chunked:8,12,12|glm_ocr_text
layout=pairs hidden=hidden_size:1024 heads=num_attention_heads:16 theta=500000 max=24576|blt_local_encoder
layout=pairs hidden=hidden_size:2048 heads=num_attention_heads:16 head=head_dim theta=500000 max=4096|blt_global_transformer
layout=pairs hidden=hidden_size:2560 heads=num_attention_heads:20 theta=500000 max=131072|ernie4_5_moe
layout=pairs hidden=hidden_size:2560 heads=num_attention_heads:20 theta=500000 max=131072 mrope=alternating:22,22,20|ernie4_5_vl_moe_text
layout=pairs hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim max=8192|blt_patcher
layout=pairs hidden=hidden_size:768 heads=num_attention_heads:12 max=1536|roformer
layout=pairs hidden=hidden_size:8192 heads=num_attention_heads:64 head=head_dim max=8192 layers=last,full_attention,sliding_attention,4,sliding_window_pattern off=full|cohere2
layout=pairs hidden=hidden_size:8192 heads=num_attention_heads:64 theta=500000 max=8192|cohere
layout=pairs partly head=head_dim:128 part=0.5 max=131072|glm glm4
layout=pairs partly hidden=hidden_size:288 heads=decoder_num_attention_heads/num_attention_heads:8 head=head_dim part=0.9 max=512|moonshine
layout=pairs partly hidden=hidden_size:320 heads=num_attention_heads:8 head=head_dim partKey= rope={"rope_theta":10000.0,"partial_rotary_factor":0.8} max=4096|moonshine_streaming
layout=pairs partly hidden=hidden_size:4096 heads=num_attention_heads:32 max=32768 mrope=chunked:8,12,12|glm4v_text
layout=pairs partly hidden=n_embd/hidden_size:4096 heads=n_head/num_attention_heads:16 max=2048 rot=rotary_dim:64|codegen gptj
layout=pairs start=end latent=128+64 max=2048 scale=latent|deepseek_v2
layout=pairs start=end partly head=head_dim:512 rope={"main":{},"compress":{}} theta=main:10000,compress:160000 thetaKey=compress:compress_rope_theta,main:rope_theta scaled=compress max=1048576 layers=ratio,heavily_compressed_attention,compressed_sparse_attention,2 rot=qk_rope_head_dim part=0.125 partKey=partial_rotary_factor|deepseek_v4
parts=encoder,decoder|t5gemma t5gemma2
parts=encoder_config,decoder_config|dia
parts=patcher_config,encoder_config,decoder_config,global_config|blt
parts=vlm_config,dit_config|pi0
text=aria_text|aria
text=bart|florence2
text=bert|grounding-dino mm-grounding-dino
text=clip_text_model|clip omdet-turbo sam3
text=clipseg_text_model|clipseg
text=clvp_encoder|clvp
text=cohere2|aya_vision cohere2_vision
text=cohere_compass_text|cohere_compass
text=cosmos3_edge_text|cosmos3_edge
text=deepseek_ocr2_encoder inside=encoder_config|deepseek_ocr2_vision
text=deepseek_ocr2_text|deepseek_ocr2
text=deepseek_v3|kimi_k25
text=diffusion_gemma_text|diffusion_gemma
text=dinov3_vit inside=backbone_config|chmv2
text=emu3_text_model|emu3
text=ernie4_5_vl_moe_text|ernie4_5_vl_moe
text=esmc inside=esmc_config|esmfold2
text=exaone4|exaone4_5
text=flava_text_model|flava
text=gemma|colpali paligemma
text=gemma3_text|gemma3 shieldgemma2
text=gemma3n_text|gemma3n
text=gemma4_text|gemma4
text=gemma4_unified_text|gemma4_unified
text=glm4v_moe_text|glm4v_moe
text=glm4v_text|glm46v glm4v glmga
text=glm5_next_text|glm5_next
text=glm_image_text|glm_image
text=glm_ocr_text|glm_ocr
text=granite|granite_speech granite_speech_plus
text=hunyuan_vl_text|hunyuan_vl
text=hyperclovax|hyperclovax_vision_v2
text=lasr_encoder inside=encoder_config|lasr_ctc
text=lfm2|lfm2_vl
text=llama|deepseek_vl deepseek_vl_hybrid glmasr granite4_vision idefics3 janus llava llava_next llava_next_video perception_lm smolvlm video_llava vipllava voxtral
text=llama4_text|llama4
text=metaclip_2_text_model|metaclip_2
text=minimax_m3_vl_text|minimax_m3_vl
text=mistral|idefics2 mistral3
text=mllama_text_model|mllama
text=modernbert|modernvbert pe_audio pe_audio_video pe_video
text=modernvbert inside=vlm_config|colmodernvbert
text=muse_glimmer_text|muse_glimmer
text=nemotron3_diarization_audio inside=audio_config|nemotron3_diarization
text=nemotron_h|nemotron_h_omni
text=opt|blip-2 instructblip instructblipvideo
text=paddleocr_vl_text|paddleocr_vl
text=persimmon|fuyu
text=pix2struct_text_model|pix2struct
text=qwen2|audioflamingo3 fast_vlm got_ocr2 internvl llava_onevision musicflamingo ovis2 pp_chart2table qwen2_audio vibevoice vibevoice_asr video_llama_3
text=qwen2_5_omni_dit inside=dit_config|qwen2_5_omni_token2wav
text=qwen2_5_omni_text|qwen2_5_omni_thinker
text=qwen2_5_omni_thinker inside=thinker_config|qwen2_5_omni
text=qwen2_5_vl_text|qwen2_5_vl
text=qwen2_vl inside=vlm_config|colqwen2
text=qwen2_vl_text|qwen2_vl
text=qwen3|fun_asr_nano lighton_ocr qianfan_ocr qwen3_asr
text=qwen3_5_moe_text|qwen3_5_moe
text=qwen3_5_text|minicpmv4_6 minicpmv4_7 qwen3_5
text=qwen3_omni_moe_text|qwen3_omni_moe_thinker
text=qwen3_omni_moe_thinker inside=thinker_config|qwen3_omni_moe
text=qwen3_vl_moe_text|qwen3_vl_moe
text=qwen3_vl_text|cosmos3_omni qwen3_vl
text=qwen4_exp_text|qwen4_exp
text=sam3_tracker_video inside=tracker_config|sam3_video
text=sam3_vision_model inside=vision_config|sam3_tracker
text=sam3_vit_model inside=backbone_config|sam3_vision_model
text=siglip2_text_model|siglip2
text=siglip_text_model|siglip
text=step3p5|step3p7
text=t5gemma2_text|t5gemma2_encoder
text=tipsv2_text_model|tipsv2
text=videoprism_text_model|videoprism
text=voxtral_realtime_text|voxtral_realtime
text=xclip_text_model|xclip`;
