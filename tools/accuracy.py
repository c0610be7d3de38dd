#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far arithmetic on quantised weights is from the weights' own logits: Lar and llama.cpp over the same files.

  usage: tools/accuracy.py [--tokens N] [--chunk N] [--step N] [--threads N] [--state FILE] [--seconds N] LLAMA.CPP TEXT MODEL.gguf...

Of each MODEL the same weights are written as F32 (llama-quantize, so that nobody's own decoding is the judge), and Lar's logits of those, with keys and values in F32, are
the reference; llama.cpp's logits of them stand in the line "F32", which shows how far two such references are apart. Then both evaluate MODEL itself as they do by default:
8-bit activations, keys and values in F16. Told are the largest and the root mean square difference of a logit and the mean Kullback-Leibler divergence of the distributions
from the reference's, over N tokens of TEXT in chunks. --step 1 evaluates token by token, as an answer is written (other kernels). LLAMA.CPP is a source tree with its build in build/, of which
llama-quantize and libllama are used; tools/peer_logits.c is compiled against it. --state keeps finished chunks, --seconds stops early: the same command goes on. The ratio of the divergences has its standard error, from the differences token by token. Exit
status 1 when Lar's divergence is larger than llama.cpp's by two of those for any MODEL; needs numpy. $LAR is the program, build/lar without it."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

LAR = os.environ.get("LAR", "build/lar")


def run(argv, **more):
    r = subprocess.run([str(a) for a in argv], capture_output=True, **more)
    if r.returncode:
        sys.exit(f"{argv[0]}: {r.stderr.decode(errors='replace').strip()[-2000:]}")
    return r.stdout


def peer_program(root, folder):
    out = os.path.join(folder, "peer_logits")
    lib = os.path.join(root, "build", "bin")
    here = os.path.dirname(os.path.abspath(__file__))
    run(["cc", "-O2", "-I", f"{root}/include", "-I", f"{root}/ggml/include", f"{here}/peer_logits.c", "-o", out, "-L", lib, "-lllama", "-lggml",
         "-lggml-base", f"-Wl,-rpath,{os.path.abspath(lib)}", f"-Wl,-rpath-link,{lib}"])
    return out


def lar_logits(model, ids, o, kv, folder):
    tokens, out = os.path.join(folder, "ids.json"), os.path.join(folder, "lar.safetensors")
    with open(tokens, "w") as f:
        json.dump(ids, f)
    slices = ",".join([str(o.step)] * (len(ids) // o.step))
    run([LAR, "logits", model, "--tokens-file", tokens, "--all", "--kv", kv, "--threads", o.threads, "--slices", slices, "-o", out])
    with open(out, "rb") as f:
        head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        rows, vocab = head["logits"]["shape"]
        return np.fromfile(f, np.float32, rows * vocab, offset=head["logits"]["data_offsets"][0]).reshape(rows, vocab)


def peer_logits(program, model, ids, o, kv):
    out = run([program, model, o.threads, o.step, kv], input=(" ".join(map(str, ids)) + "\n").encode())
    return np.frombuffer(out, np.float32).reshape(len(ids), -1)


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def compare(ref, x):
    """largest, sum of squares a logit, divergences row by row, same best tokens; a few rows at a time, for vocabularies are large"""
    most, squares, kl, top = 0.0, 0.0, [], 0
    for i in range(0, len(ref), 16):
        a, b = ref[i:i + 16], x[i:i + 16, :ref.shape[1]]
        d = b.astype(np.float64) - a
        most, squares = max(most, float(np.abs(d).max())), squares + float((d * d).mean(axis=1).sum())
        p, q = log_softmax(a), log_softmax(b)
        kl += (np.exp(p) * (p - q)).sum(axis=1).tolist()
        top += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
    return {"max": most, "squares": squares, "kl": kl, "top": top, "spread": float(ref.astype(np.float64).std(axis=1).mean())}


def sides(o, program, f32, model, ids, folder):
    ref = lar_logits(f32, ids, o, "f32", folder)
    return {"F32": compare(ref, peer_logits(program, f32, ids, o, "f32")), "lar": compare(ref, lar_logits(model, ids, o, "f16", folder)),
            "llama.cpp": compare(ref, peer_logits(program, model, ids, o, "f16"))}


def total(chunks, side):
    parts = [c[side] for c in chunks]
    kl = np.array([k for p in parts for k in p["kl"]])
    return {"kls": kl, "max": max(p["max"] for p in parts), "rms": (sum(p["squares"] for p in parts) / len(kl)) ** 0.5, "kl": kl.mean(),
            "error": kl.std() / len(kl) ** 0.5, "top": sum(p["top"] for p in parts) / len(kl), "n": len(kl)}


def tell(name, chunks):
    t = {s: total(chunks, s) for s in chunks[0]}
    apart = t["lar"]["kls"] - t["llama.cpp"]["kls"]  # token by token: what both find hard cancels
    ratio, error = t["lar"]["kl"] / t["llama.cpp"]["kl"], apart.std() / len(apart) ** 0.5 / t["llama.cpp"]["kl"]
    worse = ratio - 2 * error > 1
    cells = [f"{t[s]['max']:.4f}" for s in t] + [f"{t[s]['rms']:.5f}" for s in t] + [f"{t[s]['kl']:.3g}" for s in t]
    cells += [f"{ratio:.3f} ± {error:.3f}", f"{100 * t['lar']['top']:.2f}", f"{100 * t['llama.cpp']['top']:.2f}"]
    print(f"| {name} | " + " | ".join(cells) + " |" + (" larger" if worse else ""), flush=True)
    return worse


def main():
    a = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    for name, value in (("tokens", 4096), ("chunk", 512), ("step", 512), ("threads", 2), ("seconds", 10**9)):
        a.add_argument("--" + name, type=int, default=value)
    a.add_argument("--state")
    a.add_argument("peer")
    a.add_argument("text")
    a.add_argument("model", nargs="+")
    o = a.parse_args()
    if o.chunk % o.step or o.tokens < o.chunk or o.chunk > 4096:
        sys.exit("accuracy: --chunk has to be whole steps, at most 4096, and --tokens at least a chunk")
    end = time.monotonic() + o.seconds
    state = {}
    if o.state and os.path.exists(o.state):
        with open(o.state) as f:
            state = json.load(f)
    bad = 0
    print("| model | largest: F32 | lar | llama.cpp | rms: F32 | lar | llama.cpp | KLD: F32 | lar | llama.cpp | ratio | same top: lar | llama.cpp |")
    print("|---|" + "--:|" * 12)
    with tempfile.TemporaryDirectory() as folder, open(o.text, encoding="utf-8") as f:
        program, text = peer_program(o.peer, folder), f.read(40 * o.tokens)
        for model in o.model:
            name = os.path.basename(model).removesuffix(".gguf")
            key = f"{name}/{o.chunk}/{o.step}"
            done = state.setdefault(key, [])
            f32 = os.path.join(folder, "f32.gguf")
            made = False
            ids = json.loads(run([LAR, "tokenize", model, "--json", "--no-special", "-"], input=text.encode()))["ids"]
            while len(done) < o.tokens // o.chunk:
                if time.monotonic() > end:
                    sys.exit(f"stopped: {name}, {len(done)} chunks")
                if not made:
                    run([f"{o.peer}/build/bin/llama-quantize", "--allow-requantize", model, f32, "F32"])
                    made = True
                at = len(done) * o.chunk
                if at + o.chunk > len(ids):
                    sys.exit(f"{o.text}: {len(ids)} tokens")
                done.append(sides(o, program, f32, model, ids[at:at + o.chunk], folder))
                if o.state:
                    with open(o.state + ".new", "w") as g:
                        json.dump(state, g)
                    os.replace(o.state + ".new", o.state)
            bad += tell(name, done)
    return bad > 0


sys.exit(main())
