#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast text becomes tokens, beside tiktoken and Hugging Face's tokenizers: the same lines, one after the other in every round, in time of one core.

    pip install tiktoken tokenizers
    RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false taskset -c 0 python3 tools/tokbench.py build/liblar.so DATA/tokenizers TEXT [NAME...]

DATA/tokenizers has tiktoken/cl100k_base.tiktoken and o200k_base.tiktoken, llama3/tokenizer.model, qwen2.5/ (vocab.json, merges.txt). All three
must give the same ids. Prints megabytes a second of processor time, the median of ROUNDS.
"""
import base64, ctypes, statistics, sys, time

import tiktoken
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

ROUNDS = 7
L3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
Q2 = L3.replace("{1,3}", "")
O2 = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
      r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
      r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")


class Options(ctypes.Structure):  # struct lar_model_options
    _fields_ = [("threads", ctypes.c_int), ("deterministic", ctypes.c_int), ("vocab_only", ctypes.c_int),
                ("chat_template", ctypes.c_char_p), ("adapters", ctypes.c_void_p), ("nadapter", ctypes.c_size_t)]


def lar(lib, path, lines):
    m, err, raw = ctypes.c_void_p(), ctypes.create_string_buffer(1024), [l.encode() for l in lines]
    options = Options(vocab_only=1)
    lib.lar_model_open.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
    lib.lar_tokenize.restype = ctypes.c_int64
    lib.lar_tokenize.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p,
                                 ctypes.c_size_t, ctypes.c_void_p]
    if lib.lar_model_open(ctypes.byref(m), path.encode(), ctypes.byref(options), err) < 0: sys.exit(path + ": liblar cannot open it")
    most = max(map(len, raw))
    out = (ctypes.c_int32 * most)()
    encode = lib.lar_tokenize

    def run(keep=None):
        for s in raw:
            n = encode(m, s, len(s), 0, out, most, err)
            if keep is not None: keep.append(out[:n])
    return run


def ranks_of(path):
    return {base64.b64decode(a): int(b) for a, b in (line.split() for line in open(path, "rb") if line.strip())}


def alphabet():
    """GPT-2's character of each byte."""
    plain = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def by_hf(ranks, pattern):
    """The same tokens with merges: every way to cut a token into two, in the order of the tokens."""
    table = alphabet()
    name = {t: "".join(table[b] for b in t) for t in ranks}
    merges = []
    for t in sorted(ranks, key=ranks.get):
        cuts = [(t[:i], t[i:]) for i in range(1, len(t)) if t[:i] in ranks and t[i:] in ranks]
        merges += [(name[a], name[b]) for a, b in sorted(cuts, key=lambda c: (ranks[c[0]], ranks[c[1]]))]
    t = Tokenizer(models.BPE({name[k]: v for k, v in ranks.items()}, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return t


def main():
    lib, data = ctypes.CDLL(sys.argv[1]), sys.argv[2]
    lines = open(sys.argv[3], encoding="utf-8").read().splitlines(True)
    size = sum(len(l.encode()) for l in lines) / 1e6
    print("| %.1f MB of text | lar | tiktoken | tokenizers | lar to tiktoken |\n|---|--:|--:|--:|--:|" % size)
    for name, path, pattern, tk in (("cl100k", "tiktoken/cl100k_base.tiktoken", L3, CL), ("o200k", "tiktoken/o200k_base.tiktoken", O2, O2),
                                    ("llama-bpe", "llama3/tokenizer.model", L3, L3), ("qwen2", "qwen2.5", Q2, Q2)):
        if sys.argv[4:] and name not in sys.argv[4:]: continue
        p = data + "/" + path
        if name == "qwen2":
            hf = Tokenizer(models.BPE.from_file(p + "/vocab.json", p + "/merges.txt"))
            hf.normalizer = normalizers.NFC()
            hf.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
            back = {c: b for b, c in alphabet().items()}
            ranks = {bytes(back[c] for c in t): i for t, i in hf.get_vocab().items()}
        else:
            ranks = ranks_of(p)
            hf = by_hf(ranks, pattern)
        enc = tiktoken.Encoding(name, pat_str=tk, mergeable_ranks=ranks, special_tokens={})
        run, mine = lar(lib, p, lines), []
        run(mine)
        if mine != [enc.encode_ordinary(l) for l in lines]: sys.exit(name + ": tiktoken's ids differ")
        times = {"lar": run, "tiktoken": lambda: [enc.encode_ordinary(l) for l in lines],
                 "tokenizers": lambda: [hf.encode(l, add_special_tokens=False) for l in lines]}
        took = {k: [] for k in times}
        for r in range(ROUNDS):
            for k, f in times.items():
                if k == "tokenizers" and r > 1: continue
                t = time.process_time()
                f()
                took[k].append(time.process_time() - t)
        mb = {k: size / statistics.median(v) for k, v in took.items()}
        print("| %s | %.1f | %.1f | %.1f | %.1f |" % (name, mb["lar"], mb["tiktoken"], mb["tokenizers"], mb["lar"] / mb["tiktoken"]), flush=True)


main()
