#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What quantising loses, type by type: lar quantize beside llama-quantize, on the same tensors of the same file.

  usage: tools/quant_error.py [--imatrix FILE] [--types A,B...] [--bin DIR] LLAMA.CPP MODEL.gguf

Both programs write MODEL with every matrix of its layers in one type (--pure), without and with the importance matrix (lar imatrix or llama-imatrix made it). Of every tensor that came out in that
type from both, the squared error against MODEL's own values is summed, each column weighted by its importance where there is one; told are the ratio Lar / llama.cpp
over all tensors together, its mean over tensors, and the worst tensor. LLAMA.CPP is a source tree; its programs lie in --bin (build/bin of it without), and its own decoder (gguf-py) reads
both files. Exit status 1 when a tensor of any type loses more in Lar's file. Needs numpy. $LAR is the program, build/lar without it."""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

# the type of the blocks, and the name under which each program writes nothing else
TYPES = [("Q2_K", "Q2_K"), ("Q3_K", "Q3_K_S"), ("Q4_K", "Q4_K_S"), ("Q5_K", "Q5_K_S"), ("Q6_K", "Q6_K"), ("IQ1_S", "IQ1_S"), ("IQ1_M", "IQ1_M"), ("IQ2_XXS", "IQ2_XXS"), ("IQ2_XS", "IQ2_XS"),
         ("IQ2_S", "IQ2_M"), ("IQ3_XXS", "IQ3_XXS"), ("IQ3_S", "IQ3_S"), ("IQ4_NL", "IQ4_NL"), ("IQ4_XS", "IQ4_XS"), ("TQ1_0", "TQ1_0"), ("TQ2_0", "TQ2_0"), ("MXFP4", "MXFP4_MOE")]
NEED = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"}  # an importance matrix


def tensors(reader, path):
    return {t.name: t for t in reader(path).tensors}


def importance(reader, path):
    all = {t.name: t.data for t in reader(path).tensors}
    mean = {}
    for name, v in all.items():
        if name.endswith(".in_sum2"):
            count = float(np.asarray(all[name[:-8] + ".counts"]).sum())
            mean[name[:-8]] = np.asarray(v, np.float64).reshape(-1) / max(count, 1)
    return mean


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    p.add_argument("--imatrix")
    p.add_argument("--types", default=",".join(t for t, _ in TYPES))
    p.add_argument("--bin")
    p.add_argument("tree")
    p.add_argument("model")
    o = p.parse_args()
    sys.path.insert(0, os.path.join(o.tree, "gguf-py"))
    from gguf import GGUFReader
    from gguf.quants import dequantize
    lar, theirs = os.environ.get("LAR", "build/lar"), os.path.join(o.bin or os.path.join(o.tree, "build/bin"), "llama-quantize")
    wanted, source, worse = o.types.split(","), tensors(GGUFReader, o.model), 0
    weights = importance(GGUFReader, o.imatrix) if o.imatrix else {}
    print("| type | importance | tensors | together | mean | worst tensor |\n|---|---|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        a, b = os.path.join(folder, "a.gguf"), os.path.join(folder, "b.gguf")
        for kind, name in TYPES:
            for matrix in [None, o.imatrix] if o.imatrix else [None]:
                if kind not in wanted or (kind in NEED and not matrix):
                    continue
                more = ["--imatrix", matrix] if matrix else []
                for argv in ([lar, "quantize", "-q", "--pure", *more, "--tensor-type", "token_embd|^output=q8_0", "--tensor-type", ".*=" + kind.lower(), o.model, a, name],
                             [theirs, "--allow-requantize", "--pure", *more, "--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0", o.model, b, name, "2"]):
                    r = subprocess.run(argv, capture_output=True)
                    if r.returncode:
                        sys.exit(f"{' '.join(argv)}: {r.stderr.decode(errors='replace').strip()[-1000:]}")
                x, y, ratio, sums = tensors(GGUFReader, a), tensors(GGUFReader, b), {}, [0.0, 0.0]
                for t in source:
                    if t not in x or t not in y or x[t].tensor_type.name != kind or y[t].tensor_type.name != kind:
                        continue
                    v = dequantize(source[t].data, source[t].tensor_type).astype(np.float64)
                    w = weights.get(t) if matrix else None
                    w = np.ones(v.shape[-1]) if w is None or w.size != v.shape[-1] else w
                    e = [float((((dequantize(f[t].data, f[t].tensor_type) - v) ** 2) * w).sum()) for f in (x, y)]
                    ratio[t] = e[0] / e[1] if e[1] > 0 else 1.0
                    sums[0] += e[0]
                    sums[1] += e[1]
                if not ratio:
                    sys.exit(f"{kind}: no tensor came out in this type from both")
                top = max(ratio, key=ratio.get)
                worse += ratio[top] > 1.0
                print(f"| {kind} | {'yes' if matrix else 'no'} | {len(ratio)} | {sums[0] / sums[1]:.3f} | {np.mean(list(ratio.values())):.3f} | {ratio[top]:.4f} {top} |", flush=True)
    return worse > 0


sys.exit(main())
