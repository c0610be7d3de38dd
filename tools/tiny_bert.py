#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/embed-{mean,rank,tokens}.gguf and embed.json: three tiny BERTs with random weights and what they give.

The numbers are numpy's in float64, by the formulas of Devlin et al. 2018 written out below; `--check FOLDER` holds them against a golden
folder (../shared/golden/embed/bert-mean) of the reference implementation. Needs numpy.

    python3 tools/tiny_bert.py [--check ../shared/golden/embed/bert-mean]
"""
import json
import math
import struct
import sys

import numpy as np

WIDTH, HEADS, FF, LAYERS, CTX = 8, 2, 16, 2, 24
WORDS = "the a god house cat dog sleeps lives in at is of anna berlin who".split()
PIECES = "##s ##es ##ing ##er".split()
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS + PIECES + list(".?,!")
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
EPS = 1e-12


def norm(x, w, b, eps):
    m = x.mean(-1, keepdims=True)
    v = ((x - m) ** 2).mean(-1, keepdims=True)
    return (x - m) / np.sqrt(v + eps) * w + b


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def hidden(t, ids, types, heads, layers, eps):
    """Last hidden states [tokens][width]; t: tensors by their GGUF names, float64."""
    lin = lambda x, n: x @ t[n + ".weight"].T + t[n + ".bias"]
    x = t["token_embd.weight"][ids] + t["position_embd.weight"][: len(ids)] + t["token_types.weight"][types]
    x = norm(x, t["token_embd_norm.weight"], t["token_embd_norm.bias"], eps)
    n, width = x.shape
    for i in range(layers):
        p = f"blk.{i}."
        q, k, v = (lin(x, p + "attn_" + c).reshape(n, heads, -1).transpose(1, 0, 2) for c in "qkv")
        s = q @ k.transpose(0, 2, 1) / math.sqrt(width // heads)
        s = np.exp(s - s.max(-1, keepdims=True))
        att = (s / s.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(n, width)
        x = norm(x + lin(att, p + "attn_output"), t[p + "attn_output_norm.weight"], t[p + "attn_output_norm.bias"], eps)
        f = lin(gelu(lin(x, p + "ffn_up")), p + "ffn_down")
        x = norm(x + f, t[p + "layer_output_norm.weight"], t[p + "layer_output_norm.bias"], eps)
    return x


def random_tensors(seed, labels):
    """Multiples of 1/256, so that F32 has them exactly."""
    r = np.random.default_rng(seed)
    t = {}

    def put(name, shape, scale, middle=0.0):
        t[name] = np.round((r.standard_normal(shape) * scale + middle) * 256) / 256

    def linear(name, out, k):
        put(name + ".weight", (out, k), 1.5 / math.sqrt(k))
        put(name + ".bias", (out,), 0.2)

    def normed(name):
        put(name + ".weight", (WIDTH,), 0.2, 1.0)
        put(name + ".bias", (WIDTH,), 0.2)

    put("token_embd.weight", (len(VOCAB), WIDTH), 1)
    put("position_embd.weight", (CTX, WIDTH), 0.3)
    put("token_types.weight", (2, WIDTH), 0.3)
    normed("token_embd_norm")
    for i in range(LAYERS):
        for c in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"blk.{i}.{c}", WIDTH, WIDTH)
        normed(f"blk.{i}.attn_output_norm")
        linear(f"blk.{i}.ffn_up", FF, WIDTH)
        linear(f"blk.{i}.ffn_down", WIDTH, FF)
        normed(f"blk.{i}.layer_output_norm")
    if labels == 1:
        linear("cls", WIDTH, WIDTH)
    if labels:
        linear("cls.output", labels, WIDTH)
    return t


def gguf(path, t, pooling, labels):
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    strings = lambda l: struct.pack("<IQ", 8, len(l)) + b"".join(map(text, l))
    kinds = [3 if w[0] == "[" else 1 for w in VOCAB]
    pieces = [w if k == 3 else w[2:] if w[:2] == "##" else "\u2581" + w for w, k in zip(VOCAB, kinds)]
    keys = [("general.architecture", 8, text("bert")), ("tokenizer.ggml.model", 8, text("bert")),
            ("tokenizer.ggml.tokens", 9, strings(pieces)),
            ("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, len(kinds)) + struct.pack(f"<{len(kinds)}i", *kinds)),
            ("bert.attention.layer_norm_epsilon", 6, struct.pack("<f", EPS))]
    number = {"bert.block_count": LAYERS, "bert.context_length": CTX, "bert.embedding_length": WIDTH,
              "bert.feed_forward_length": FF, "bert.attention.head_count": HEADS, "bert.pooling_type": pooling,
              "tokenizer.ggml.padding_token_id": 0, "tokenizer.ggml.unknown_token_id": 1,
              "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.seperator_token_id": 3}
    keys += [(k, 4, struct.pack("<I", v)) for k, v in number.items()]
    if labels:
        keys.append(("bert.classifier.output_labels", 9, strings(labels)))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(t), len(keys))
    head += b"".join(text(k) + struct.pack("<I", kind) + v for k, kind, v in keys)
    data = b""
    for name, x in t.items():
        shape = x.shape[::-1]
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += x.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % 32)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32) + data)


def ids_of(*texts):
    """[CLS] a [SEP] b [SEP] of texts that are already in pieces, and the types."""
    ids, types = [2], [0]
    for i, t in enumerate(texts):
        ids += [VOCAB.index(p) if p in VOCAB else 1 for p in t.split()] + [3]
        types += [i] * (len(ids) - len(types))
    return ids, types


def main():
    given = {}
    run = lambda t, *texts: hidden(t, *ids_of(*texts), HEADS, LAYERS, EPS)

    t = random_tensors(1, 0)
    gguf("tests/data/embed-mean.gguf", t, 1, None)
    given["embed"] = []
    for line, pieces in (("The cat sleeps.", "the cat sleeps ."), ("", ""), ("Who is Anna?", "who is anna ?"),
                         ("Gods, houses!", "god ##s , house ##s !"), ("zebra the", "[UNK] the")):
        v = run(t, pieces).mean(0)
        given["embed"].append({"text": line, "vector": (v / np.linalg.norm(v)).tolist(), "raw": v.tolist()})

    t = random_tensors(2, 1)
    gguf("tests/data/embed-rank.gguf", t, 4, ["LABEL_0"])
    given["rank"] = {"query": "who lives in the house?", "documents": []}
    for doc, pieces in (("a god", "a god"), ("Anna lives in Berlin.", "anna lives in berlin ."), ("the dog", "the dog")):
        x = run(t, "who lives in the house ?", pieces)[0]
        pooled = np.tanh(t["cls.weight"] @ x + t["cls.bias"])
        logit = (t["cls.output.weight"] @ pooled + t["cls.output.bias"])[0]
        given["rank"]["documents"].append({"text": doc, "logit": logit, "score": 1 / (1 + math.exp(-logit))})

    t = random_tensors(222, len(LABELS))  # labels of every kind
    gguf("tests/data/embed-tokens.gguf", t, 0, LABELS)
    line, pieces = "Ánna  lives at Berlin's house, 猫", "anna lives at berlin [UNK] [UNK] house , [UNK]"
    places = [(0, 4), (6, 11), (12, 14), (15, 21), (21, 22), (22, 23), (24, 29), (29, 30), (31, 32)]
    x = run(t, pieces) @ t["cls.output.weight"].T + t["cls.output.bias"]
    p = np.exp(x - x.max(-1, keepdims=True))
    p = (p / p.sum(-1, keepdims=True))[1:-1]
    given["tokens"] = {"text": line, "found": [
        {"entity": LABELS[int(row.argmax())], "score": row.max(), "start": a, "end": b} for row, (a, b) in zip(p, places)]}
    with open("tests/data/embed.json", "w", encoding="utf-8") as f:
        json.dump(given, f, ensure_ascii=False, indent=1)
        f.write("\n")


def check(folder):
    """The formulas against a golden folder of BertModel: largest difference of last_hidden_state."""
    def load(path):
        raw = open(path, "rb").read()
        n = struct.unpack("<Q", raw[:8])[0]
        kind = {"F32": np.float32, "I32": np.int32}
        return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]: 8 + n + v["data_offsets"][1]], kind[v["dtype"]])
                .reshape(v["shape"]).astype(np.float64) for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__"}
    names = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
             "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
             "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
             "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
             "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
    t = {}
    for name, x in load(folder + "/model.safetensors").items():
        part, tail = name.rsplit(".", 1)
        layer = ""
        if part.startswith("encoder.layer."):
            _, _, i, part = part.split(".", 3)
            layer = f"blk.{i}."
        t[f"{layer}{names.get(part, part)}.{tail}"] = x
    want, c = load(folder + "/expected.safetensors"), json.load(open(folder + "/config.json"))
    worst = 0.0
    for ids, mask, h in zip(want["input_ids"], want["attention_mask"], want["last_hidden_state"]):
        n = int(mask.sum())
        got = hidden(t, ids[:n].astype(int), np.zeros(n, int), c["num_attention_heads"], c["num_hidden_layers"],
                     c["layer_norm_eps"])
        worst = max(worst, np.abs(got - h[:n]).max())
    print("largest difference of last_hidden_state:", worst)


if sys.argv[1:2] == ["--check"]:
    check(sys.argv[2])
else:
    main()
