# SPDX-License-Identifier: Apache-2.0
"""Makes the folders beside it: the smallest models of families that tests/test_golden.c has no larger witness of.
usage: make.py FOLDER [name...]      needs torch, transformers (5.23.0 made what is here), safetensors, gguf
Random weights that BF16 holds exactly; expected.safetensors has transformers' own logits, computed in float64 without a cache."""
import copy, json, os, sys
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

V, PROMPT, ANSWER = 96, 40, 12
DEEPSEEK = dict(num_key_value_heads=4, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8, n_routed_experts=8,
                num_experts_per_tok=3, n_shared_experts=1, moe_intermediate_size=16, first_k_dense_replace=1, n_group=4, topk_group=2,
                max_position_embeddings=1024)
SHARED = dict(head_dim=16, n_routed_experts=6, num_experts_per_tok=3, n_shared_experts=1, moe_intermediate_size=16, first_k_dense_replace=1,
              routed_scaling_factor=1.5, n_group=1, topk_group=1, norm_topk_prob=True)
YARN = dict(rope_type='yarn', factor=40.0, original_max_position_embeddings=64, beta_fast=32, beta_slow=1)
SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1)
CASES = {
    'cohere': ('cohere', dict(logit_scale=0.25, tie_word_embeddings=True)),
    'cohere2': ('cohere2', dict(num_hidden_layers=4, sliding_window=16, head_dim=8, logit_scale=0.25, tie_word_embeddings=True)),
    'deepseek2-groups': ('deepseek_v2', DEEPSEEK | dict(q_lora_rank=None, routed_scaling_factor=1.5, topk_method='group_limited_greedy',
                         rope_scaling=YARN | dict(mscale=0.707, mscale_all_dim=0.707))),
    'deepseek3-groups': ('deepseek_v3', DEEPSEEK | dict(q_lora_rank=16, routed_scaling_factor=2.5, norm_topk_prob=True,
                         rope_scaling=YARN | dict(mscale=1.0, mscale_all_dim=1.0))),
    'dots1': ('dots1', SHARED | dict(sliding_window=None)),
    'ernie45-moe': ('ernie4_5_moe', dict(moe_num_experts=6, moe_k=3, moe_num_shared_experts=1, moe_intermediate_size=16,
                    moe_layer_start_index=1, tie_word_embeddings=True)),
    'glm4-moe': ('glm4_moe', SHARED | dict(partial_rotary_factor=0.5, use_qk_norm=True, attention_bias=True)),
    'minicpm3': ('minicpm3', dict(num_key_value_heads=4, kv_lora_rank=16, q_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8,
                 v_head_dim=8, scale_emb=12.0, scale_depth=1.4, dim_model_base=256, tie_word_embeddings=True)),
    'nemotron': ('nemotron', dict(head_dim=16, partial_rotary_factor=0.5)),
    'olmoe': ('olmoe', dict(num_experts=6, num_experts_per_tok=3, intermediate_size=16)),
    'lfm2': ('lfm2', dict(num_hidden_layers=2, layer_types=['conv', 'full_attention'], conv_L_cache=3, block_auto_adjust_ff_dim=False,
             tie_word_embeddings=True)),  # also for tests of sessions that carry a state
    'gptneox-tanh': ('gpt_neox', dict(hidden_act='gelu_fast', rotary_pct=0.5)),
    'llama-whole': ('llama', dict(rope_parameters=dict(rope_type='default', rope_theta=10000.0, partial_rotary_factor=0.5))),  # ignored
    'granite-wide': ('granite', dict(head_dim=12, attention_multiplier=0.1, embedding_multiplier=3.0, logits_scaling=0.5,
                     residual_multiplier=0.8)),
    'llama-dynamic': ('llama', dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, max_position_embeddings=24,
                      rope_parameters=dict(rope_type='dynamic', rope_theta=10000.0, factor=4.0))),  # the prompt is longer than trained
    'gemma3n-three': ('gemma3n_text', dict(hidden_size=16, intermediate_size=[24, 40], head_dim=4, sliding_window=9, num_kv_shared_layers=0,
                      layer_types=['sliding_attention', 'full_attention'], vocab_size_per_layer_input=60, hidden_size_per_layer_input=4,
                      laurel_rank=3, activation_sparsity_pattern=[0.5, 0.0], altup_num_inputs=3, altup_active_idx=1)),
    'hunyuan-moe': ('hunyuan_v1_moe', SMALL | dict(head_dim=4, num_experts=4, moe_topk=2, attention_bias=True, tie_word_embeddings=True)),
    'phimoe': ('phimoe', SMALL | dict(head_dim=4, num_local_experts=4, num_experts_per_tok=2, sliding_window=9, attention_bias=True,
               lm_head_bias=True)),
    'ernie45-moe-biases': ('ernie4_5_moe', SMALL | dict(moe_num_experts=4, moe_k=4, moe_num_shared_experts=2, moe_intermediate_size=8,
                           moe_layer_start_index=0, use_bias=True)),
    'llama-longrope': ('llama', SMALL | dict(head_dim=6, rope_parameters=dict(rope_type='longrope', rope_theta=10000.0,
                       original_max_position_embeddings=30, short_factor=[1.0, 1.1, 1.3], long_factor=[1.0, 3.0, 9.0]))),
    'cohere-linear': ('cohere', SMALL | dict(logit_scale=0.25, tie_word_embeddings=True,
                      rope_parameters=dict(rope_type='linear', rope_theta=10000.0, factor=3.0))),
    'yarn-attn-factor': ('llama', SMALL | dict(head_dim=12, rope_parameters=YARN | dict(rope_theta=10000.0, attention_factor=0.7))),
    'yarn-betas': ('qwen3', SMALL | dict(head_dim=12, rope_parameters=YARN | dict(rope_theta=10000.0, beta_fast=9.0, beta_slow=2.5,
                   factor=5.0, original_max_position_embeddings=24))),
    'yarn-truncate': ('llama', SMALL | dict(head_dim=12, rope_parameters=YARN | dict(rope_theta=10000.0, truncate=False, beta_slow=0.5))),
    'deepseek2-mscale': ('deepseek_v2', SMALL | dict(num_key_value_heads=4, kv_lora_rank=8, q_lora_rank=None, qk_nope_head_dim=4,
                         qk_rope_head_dim=8, v_head_dim=4, n_routed_experts=4, num_experts_per_tok=1, n_shared_experts=1,
                         moe_intermediate_size=8, first_k_dense_replace=0, n_group=1, topk_group=1, routed_scaling_factor=1.0,
                         rope_scaling=YARN | dict(mscale=0.8, mscale_all_dim=0.5))),
    'olmoe-renorm': ('olmoe', SMALL | dict(num_experts=4, num_experts_per_tok=2, intermediate_size=8, norm_topk_prob=True)),
    'lfm2-biases': ('lfm2', dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, layer_types=['conv'], conv_L_cache=4, conv_bias=True,
                    block_auto_adjust_ff_dim=False)),
    'qwen35-biases': ('qwen3_5_text', SMALL | dict(num_hidden_layers=2, head_dim=16, num_attention_heads=3, num_key_value_heads=1,
                      linear_num_key_heads=1, linear_num_value_heads=2, linear_key_head_dim=4, linear_value_head_dim=6,
                      linear_conv_kernel_dim=3, layer_types=['linear_attention', 'full_attention'], attention_bias=True)),
}


@torch.no_grad()
def randomise(model, seed, embed_std):
    """Matrices N(0, 1.3 / sqrt(inputs)), norms near 1, biases small; a small embedding where it is also the output matrix."""
    g = torch.Generator().manual_seed(seed)
    for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if 'correction_bias' in n]:
        w = torch.randn(p.shape, generator=g)
        if 'embed' in name:
            w *= embed_std
        elif p.ndim >= 2:
            w *= 1.3 / p.shape[-1] ** 0.5
        else:
            w = 0.1 * w + (1.0 if 'norm' in name and 'weight' in name and p.mean() > 0.5 else 0.0)
        p.copy_(w.to(torch.bfloat16).to(p.dtype))


@torch.no_grad()
def expected(model, ids):
    """All logits of the prompt and a greedy answer; the least distance of its tokens from the second best. Where the rotation is stretched with
    the length, what is in the cache stays as it is (and the model as it was)."""
    seq, least = ids, 1e9
    dynamic = (getattr(model.config, 'rope_parameters', None) or {}).get('rope_type') == 'dynamic'
    model = copy.deepcopy(model) if dynamic else model
    out = model(input_ids=ids, use_cache=dynamic)
    logits = out.logits[0]
    for k in range(ANSWER):
        if dynamic:
            out = out if k == 0 else model(input_ids=seq[:, -1:], past_key_values=out.past_key_values, use_cache=True)
            last = out.logits[0, -1]
        else:
            last = model(input_ids=seq, use_cache=False).logits[0, -1]
        top = torch.topk(last, 2).values
        least = min(least, float(top[0] - top[1]))
        seq = torch.cat([seq, last.argmax().view(1, 1)], 1)
    return least, dict(input_ids=ids[0].to(torch.int32), logits=logits.float().contiguous(),
                       greedy=seq[0, ids.shape[1]:].to(torch.int32).contiguous())


def tokenizer(folder):
    """Three control tokens, a byte's name each for the others: no text is tested here."""
    special = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    names = ['<pad>', '<s>', '</s>'] + [chr(33 + i) for i in range(V - 3)]
    json.dump(dict(version='1.0', added_tokens=[dict(id=i, content=names[i], **special) for i in range(3)], normalizer=None,
                   pre_tokenizer=dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=True),
                   decoder=dict(type='ByteLevel', add_prefix_space=True, trim_offsets=True, use_regex=True),
                   model=dict(type='BPE', vocab={n: i for i, n in enumerate(names)}, merges=[])),
              open(os.path.join(folder, 'tokenizer.json'), 'w'), ensure_ascii=False)
    json.dump(dict(bos_token='<s>', eos_token='</s>', pad_token='<pad>'), open(os.path.join(folder, 'tokenizer_config.json'), 'w'))


def make(folder, name, seed, kind, settings):
    usual = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                 max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    config = AutoConfig.for_model(kind, **(usual | settings))
    model = AutoModelForCausalLM.from_config(config, attn_implementation='eager')
    if hasattr(model, 'set_experts_implementation'):
        model.set_experts_implementation('eager')
    randomise(model, seed, 0.05 if kind == 'minicpm3' else 0.3 if config.tie_word_embeddings else 1.0)
    os.makedirs(folder, exist_ok=True)
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)  # a copy: the cast rounds rotary tables too
    model = model.double().eval()
    for k in range(60):  # a prompt whose answer is never a close choice
        ids = torch.randint(3, V, (1, PROMPT), generator=torch.Generator().manual_seed(seed + 1000 * k))
        least, want = expected(model, ids)
        if least > 0.01:
            break
    save_file(want, os.path.join(folder, 'expected.safetensors'))
    tokenizer(folder)
    extra = os.path.join(folder, 'generation_config.json')
    if os.path.exists(extra):
        os.remove(extra)
    print(f'{name}: margin {least:.3f}, deviation {want["logits"].std():.3f}, {len(set(want["greedy"].tolist()))} tokens')


def rwkv7(folder):
    """RWKV-7 (Peng et al. 2025) as a GGUF with ggml's names: transformers does not have it, so the formulas are here, in numpy, token by token."""
    import gguf
    import numpy as np
    width, hd, ff, nlayer, rank = 24, 8, 40, 3, dict(w=4, a=6, v=3, g=5)
    rng = np.random.default_rng(7)
    mat = lambda *shape: (rng.standard_normal(shape) * 1.3 / shape[-1] ** 0.5).astype(np.float32)
    near = lambda base, *shape: (base + 0.2 * rng.standard_normal(shape)).astype(np.float32)
    t = {'token_embd.weight': rng.standard_normal((V, width)).astype(np.float32), 'output.weight': mat(V, width)}
    for n in ('token_embd_norm', 'output_norm'):
        t[n + '.weight'], t[n + '.bias'] = near(1, width), near(0, width)
    for i in range(nlayer):
        b = f'blk.{i}.'
        for n in ('attn_norm', 'attn_norm_2', 'time_mix_ln'):
            t[b + n + '.weight'], t[b + n + '.bias'] = near(1, width), near(0, width)
        for n, r in rank.items():
            r = rank['a'] if (n, i) == ('v', 0) else r  # the first layer's is not used; llama.cpp wants it of this size
            t[b + f'time_mix_{n}1.weight'], t[b + f'time_mix_{n}2.weight'] = mat(r, width), mat(width, r)
            if n != 'g':
                t[b + f'time_mix_{n}0.weight'] = near(-1 if n == 'w' else 0, width)
        t[b + 'time_mix_lerp_fused.weight'] = rng.random((6, 1, 1, width)).astype(np.float32)
        t[b + 'channel_mix_lerp_k.weight'] = rng.random((1, 1, width)).astype(np.float32)
        for n in ('k_k', 'k_a', 'r_k'):
            t[b + f'time_mix_{n}.weight'] = near(1, width)
        for n in ('key', 'value', 'receptance', 'output'):
            t[b + f'time_mix_{n}.weight'] = mat(width, width)
        t[b + 'channel_mix_key.weight'], t[b + 'channel_mix_value.weight'] = mat(ff, width), mat(width, ff)
    os.makedirs(folder, exist_ok=True)
    g = gguf.GGUFWriter(os.path.join(folder, 'model-f32.gguf'), 'rwkv7')
    g.add_context_length(256), g.add_embedding_length(width), g.add_block_count(nlayer), g.add_head_count(0), g.add_feed_forward_length(ff)
    g.add_layer_norm_eps(1e-5), g.add_wkv_head_size(hd), g.add_token_shift_count(2), g.add_vocab_size(V), g.add_tokenizer_model('rwkv')
    g.add_token_list(['<s>'] + ["'\\x%02x'" % (32 + i) for i in range(1, V)]), g.add_token_types([3] + [1] * (V - 1))
    g.add_decay_lora_rank(rank['w']), g.add_iclr_lora_rank(rank['a']), g.add_value_residual_mix_lora_rank(rank['v'])
    g.add_gate_lora_rank(rank['g'])
    for n, x in t.items():
        g.add_tensor(n, x)
    g.write_header_to_file(), g.write_kv_data_to_file(), g.write_tensors_to_file(), g.close()
    d = {n: x.astype(np.float64).squeeze() for n, x in t.items()}
    sig = lambda x: 1 / (1 + np.exp(-x))

    def norm(x, n, eps=1e-5, heads=1):
        y = x.reshape(heads, -1)
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + eps)
        return y.reshape(-1) * d[n + '.weight'] + d[n + '.bias']

    def step(token, state):
        x, first = norm(d['token_embd.weight'][token], 'token_embd_norm'), None
        for i in range(nlayer):
            p = lambda n: d[f'blk.{i}.{n}.weight']
            low = lambda n, z, act=lambda q: q: p(f'time_mix_{n}2') @ act(p(f'time_mix_{n}1') @ z)
            s = state.setdefault(i, [np.zeros(width), np.zeros(width), np.zeros((width // hd, hd, hd))])
            h = norm(x, f'blk.{i}.attn_norm')
            r, w, k, v, a, gate = h + (s[0] - h) * p('time_mix_lerp_fused')
            s[0] = h
            r = p('time_mix_receptance') @ r
            w = np.exp(-np.exp(-0.5) * sig(p('time_mix_w0') + low('w', w, np.tanh)))
            k, mixed = p('time_mix_key') @ k, v
            v = p('time_mix_value') @ v
            first = v if i == 0 else first
            v = v + (first - v) * sig(p('time_mix_v0') + low('v', mixed))
            a = sig(p('time_mix_a0') + low('a', a))
            kk = (k * p('time_mix_k_k')).reshape(-1, hd)
            kk = kk / np.maximum(np.linalg.norm(kk, axis=-1, keepdims=True), 1e-12)
            k = k * (1 + (a - 1) * p('time_mix_k_a'))
            R, W, K, A, U = (z.reshape(-1, hd) for z in (r, w, k, a, v))
            for e in range(width // hd):
                S = s[2][e]
                s[2][e] = S * W[e] - np.outer(S @ kk[e], kk[e] * A[e]) + np.outer(U[e], K[e])
            y = norm(np.einsum('hij,hj->hi', s[2], R).reshape(-1), f'blk.{i}.time_mix_ln', 64e-5, width // hd)
            y = y + ((R * K * p('time_mix_r_k').reshape(-1, hd)).sum(-1, keepdims=True) * U).reshape(-1)
            x = x + p('time_mix_output') @ (y * low('g', gate, sig))
            h = norm(x, f'blk.{i}.attn_norm_2')
            k = h + (s[1] - h) * p('channel_mix_lerp_k')
            s[1] = h
            x = x + p('channel_mix_value') @ np.maximum(p('channel_mix_key') @ k, 0) ** 2
        return d['output.weight'] @ norm(x, 'output_norm')

    for k in range(60):
        rng = np.random.default_rng(1000 + k)
        ids, state, least = rng.integers(3, V, PROMPT), {}, 1e9
        logits, greedy = [step(i, state) for i in ids], []
        last = logits[-1]
        for _ in range(ANSWER):
            top = np.sort(last)
            least = min(least, top[-1] - top[-2])
            greedy.append(int(last.argmax()))
            last = step(greedy[-1], state)
        if least > 0.01:
            break
    save_file(dict(input_ids=torch.tensor(ids, dtype=torch.int32), logits=torch.tensor(np.array(logits), dtype=torch.float32),
                   greedy=torch.tensor(greedy, dtype=torch.int32)), os.path.join(folder, 'expected.safetensors'))
    print(f'rwkv7: margin {least:.3f}, deviation {np.std(logits):.3f}, {len(set(greedy))} tokens')


for number, (case, (kind, settings)) in enumerate(CASES.items()):
    if len(sys.argv) < 3 or case in sys.argv[2:]:
        make(os.path.join(sys.argv[1], case), case, 700 + number, kind, settings)
if len(sys.argv) < 3 or 'rwkv7' in sys.argv[2:]:
    rwkv7(os.path.join(sys.argv[1], 'rwkv7'))
