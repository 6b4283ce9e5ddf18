import { estimate } from './dist/models/index.js';
const h=576,f=1536,n=30,H=9,G=3,v=49152;
const T={}; let at=0; const add=(k,shape)=>{const b=2*shape.reduce((a,c)=>a*c,1);T[k]={dtype:'F16',shape,data_offsets:[at,at+=b]}};
add('model.embed_tokens.weight',[v,h]); add('model.norm.weight',[h]);
for(let l=0;l<n;l++){const p=`model.layers.${l}.`; add(p+'input_layernorm.weight',[h]); add(p+'post_attention_layernorm.weight',[h]);
 add(p+'self_attn.q_proj.weight',[h,h]); add(p+'self_attn.k_proj.weight',[h*G/H,h]); add(p+'self_attn.v_proj.weight',[h*G/H,h]); add(p+'self_attn.o_proj.weight',[h,h]);
 add(p+'mlp.gate_proj.weight',[f,h]); add(p+'mlp.up_proj.weight',[f,h]); add(p+'mlp.down_proj.weight',[h,f]);}
let head=JSON.stringify(T); head=head.padEnd(Math.ceil(head.length/8)*8);
const hb=new TextEncoder().encode(head);
const pre=new Uint8Array(8+hb.length); new DataView(pre.buffer).setBigUint64(0,BigInt(hb.length),true); pre.set(hb,8);
const size=pre.length+at;
const config=new TextEncoder().encode(JSON.stringify({model_type:'llama',hidden_act:'silu',rms_norm_eps:1e-5,rope_theta:10000,tie_word_embeddings:true,hidden_size:h,intermediate_size:f,num_hidden_layers:n,num_attention_heads:H,num_key_value_heads:G,vocab_size:v,max_position_embeddings:131072}));
const get=async(name,opt)=>{
  const all = name==='config.json'?config:name==='model.safetensors'?pre:undefined; if(!all) return null;
  const r=opt?.range; const total=name==='model.safetensors'?size:all.length;
  const a=r?.offset??0, l=r?.length??total-a; const out=new Uint8Array(l); out.set(all.subarray(a,Math.min(all.length,a+l)));
  return {size:total,body:new Blob([out]).stream(),range:{offset:a,length:l}};
};
for(const context of (process.argv[2]??'512,2048,2048,8192,32768').split(',').map(Number)){const t=performance.now(),c=process.cpuUsage();const e=await estimate({get},{weights:'i8',context,threads:1});const u=process.cpuUsage(c);console.log(context,(performance.now()-t).toFixed(0),'cpu',((u.user+u.system)/1e3).toFixed(0),JSON.stringify(e));}
