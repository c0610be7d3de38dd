#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Constrained decoding side by side: Lar, llguidance and XGrammar over the same schemas and the same tokens, in one run.

  usage: tools/grammar_peers.py [--engines lar,llguidance,xgrammar] [--state FILE] [--again ENGINES] [--seconds N] VOCABULARY FOLDER

VOCABULARY is what lar opens with vocab_only (a .gguf, tokenizer.json, a Hugging Face folder); FOLDER holds files of
{"schema": ..., "tests": [{"data": ..., "valid": ...}]}, as maskbench/data of guidance-ai/jsonschemabench has them. Needs build/liblar.so and what is
measured of `pip install llguidance xgrammar`. Each engine has a process of its own with one thread and takes its turn with each schema, so
that whatever else the machine does meets all of them; files come in an order that is as good as drawn. A mask is one call through the library's Python interface (Lar's through ctypes), in time of the
thread; a schema that takes a process longer than LIMIT seconds counts as not compiled. --state keeps results, --seconds stops early:
run it again to go on. --again forgets what the state has of these engines."""
import argparse
import ctypes as c
import hashlib
import json
import multiprocessing as mp
import os
import time

LIMIT = 8
TOKENS_MAX = 3000


class Err(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 252)]


class ModelOptions(c.Structure):
    _fields_ = [("threads", c.c_int), ("deterministic", c.c_int), ("vocab_only", c.c_int), ("template", c.c_char_p),
                ("adapters", c.c_void_p), ("nadapter", c.c_size_t)]


class Lar:
    """The vocabulary, which all engines take their tokens from, and the engine itself."""

    def __init__(self, path):
        self.l = c.CDLL("build/liblar.so")
        for f in "lar_token_bytes", "lar_token_piece":
            getattr(self.l, f).restype = c.c_void_p
        self.l.lar_tokenize.restype = c.c_int64
        self.err, self.m = Err(), c.c_void_p()
        if self.l.lar_model_open(c.byref(self.m), path.encode(), c.byref(ModelOptions(threads=1, vocab_only=1)), c.byref(self.err)):
            raise SystemExit(self.err.msg.decode())
        self.bytes, self.special, self.end, n = [], [], [], c.c_size_t()
        while self.l.lar_token_piece(self.m, len(self.bytes), c.byref(n)):
            i = len(self.bytes)
            p = self.l.lar_token_bytes(self.m, i, c.byref(n))
            if self.l.lar_token_type(self.m, i) not in (1, 4, 6) or self.l.lar_token_ends(self.m, i):
                self.special.append(i)
            if self.l.lar_token_ends(self.m, i):
                self.end.append(i)
            self.bytes.append(c.string_at(p, n.value) if p else b"")
        self.n = len(self.bytes)

    def tokenize(self, text):
        text = text if isinstance(text, bytes) else text.encode()
        v = (c.c_int32 * (len(text) + 8))()
        k = self.l.lar_tokenize(self.m, text, c.c_size_t(len(text)), 0, v, c.c_size_t(len(v)), c.byref(self.err))
        return list(v[:k])

    def start(self):
        self.set = (c.c_uint64 * ((self.n + 63) // 64))()
        self.place, self.g = 0, None
        self.compile(b"{}")

    def compile(self, text):
        if self.g:
            self.l.lar_grammar_close(self.g)
        self.g = c.c_void_p()
        if self.l.lar_grammar_open(c.byref(self.g), 0, text, c.c_size_t(len(text)), None, None, c.byref(self.err)):
            self.g = None
            raise ValueError(self.err.msg.decode("utf-8", "replace"))
        self.l.lar_grammar_bind(self.g, self.m, c.byref(self.err))

    def begin(self):
        self.place = self.l.lar_grammar_start(self.g)

    def mask(self):
        if self.l.lar_grammar_mask(self.g, self.place, self.set, c.byref(self.err)):
            raise ValueError(self.err.msg)

    def has(self, t):
        return self.set[t >> 6] >> (t & 63) & 1

    def take(self, t):
        self.place = self.l.lar_grammar_next(self.g, self.place, t)
        return self.place != 0


class Bits:
    """Sets of tokens as 32-bit words, which the others fill."""

    def room(self, v):
        import numpy
        self.words = numpy.zeros((1, (v.n + 31) // 32), dtype=numpy.int32)

    def has(self, t):
        return int(self.words[0, t >> 5]) >> (t & 31) & 1


class Llguidance(Bits):
    def __init__(self, v):
        self.v = v

    def start(self):
        import llguidance
        v, self.l = self.v, llguidance
        self.room(v)

        class Vocabulary:
            eos_token_id, bos_token_id, is_tokenizer_wrapper = v.end[0], None, True
            special_token_ids = v.special
            tokens = [b"\xff<%d>" % i if i in special or not b else b for special in [set(v.special)] for i, b in enumerate(v.bytes)]

            def __call__(self, text):
                return v.tokenize(text)

        self.tok = llguidance.LLTokenizer(Vocabulary(), n_vocab=v.n, eos_token=v.end[0])

    def compile(self, text):
        m = self.l.LLMatcher(self.tok, self.l.LLMatcher.grammar_from_json_schema(text.decode()), log_level=0)
        if m.is_error():
            raise ValueError(m.get_error())
        self.g = m

    def begin(self):
        self.m = self.g.deep_copy()

    def mask(self):
        self.m.unsafe_compute_mask_ptr(self.words.ctypes.data, self.words.nbytes)
        if self.m.is_error():
            raise ValueError(self.m.get_error())

    def take(self, t):
        return self.m.consume_token(t)


class Xgrammar(Bits):
    def __init__(self, v):
        self.v = v

    def start(self):
        import torch
        import xgrammar
        torch.set_num_threads(1)
        self.room(self.v)
        self.tensor, self.x = torch.from_numpy(self.words), xgrammar
        special = set(self.v.special)
        text = [b"<|%d|>" % i if i in special else b for i, b in enumerate(self.v.bytes)]
        self.tok = xgrammar.TokenizerInfo(text, xgrammar.VocabType.RAW, vocab_size=self.v.n, stop_token_ids=self.v.end)

    def compile(self, text):
        one = self.x.GrammarCompiler(self.tok, max_threads=1, cache_enabled=False)
        self.g = one.compile_json_schema(text.decode(), strict_mode=False)

    def begin(self):
        self.m = self.x.GrammarMatcher(self.g)

    def mask(self):
        self.m.fill_next_token_bitmask(self.tensor)

    def take(self, t):
        return self.m.accept_token(t)


def now():
    return time.thread_time_ns() / 1e3


def measure(e, end, schema, docs, done):
    r, a = {"mask": [], "wrong": []}, now()
    try:
        e.compile(schema)
    except Exception as x:
        return {"refused": str(x)[:150]}
    r["compile"] = now() - a
    done()
    for valid, ids in docs:
        ok = True
        try:
            e.begin()
            for t in ids + [None]:
                a = now()
                e.mask()
                a = now() - a
                if valid:
                    r["mask"].append(round(a, 2))
                ok = any(e.has(x) for x in end) if t is None else bool(e.has(t)) and e.take(t)
                if not ok:
                    break
        except Exception as x:
            ok, r["error"] = not valid, str(x)[:150]
        if ok != valid:
            r["wrong"].append("refused" if valid else "accepted")
    return r


def serve(e, end, pipe):
    null = os.open(os.devnull, os.O_WRONLY)
    for f in 1, 2:
        os.dup2(null, f)
    e.start()
    doc = [(True, [])]
    measure(e, end, b'{"type":"object","properties":{"a":{"type":"string"}}}', doc, lambda: None)
    pipe.send(None)
    while True:
        pipe.send(measure(e, end, *pipe.recv(), lambda: pipe.send("compiled")))


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


class Worker:
    def __init__(self, name, e, end):
        self.name, self.e, self.end, self.p = name, e, end, None

    def ask(self, job):
        if not self.p:
            self.pipe, far = mp.Pipe()
            self.p = mp.get_context("fork").Process(target=serve, args=(self.e, self.end, far), daemon=True)
            self.p.start()
            far.close()
            self.pipe.recv()
        try:
            self.pipe.send(job)
            end = cpu_seconds(self.p.pid) + LIMIT
            while not self.pipe.poll(0.2):
                if cpu_seconds(self.p.pid) > end:
                    raise TimeoutError
            r = self.pipe.recv()
            return self.pipe.recv() if r == "compiled" else r
        except TimeoutError:
            why = "took longer than %d s" % LIMIT
        except EOFError:
            why = "crashed"
        self.p.kill()
        self.p.join()
        self.p = None
        return {"refused": why}


def table(results, names):
    def at(v, p):
        return v[min(len(v) - 1, int(len(v) * p))] if v else 0

    print("| | compiled | compile, mean / p99 | mask, mean / p50 / p99 | largest | accepted wrongly | refused wrongly |\n|---|--:|--:|--:|--:|--:|--:|")
    for n in names:
        r = [x[n] for x in results.values() if n in x]
        ok = [x for x in r if "compile" in x]
        m, k = sorted(t for x in ok for t in x["mask"]), sorted(x["compile"] / 1e3 for x in ok)
        wrong = [w for x in ok for w in x["wrong"]]
        print("| %s | %d of %d | %.2f / %.1f ms | %.1f / %.1f / %.0f us | %.2f ms | %d | %d |" % (
            n, len(ok), len(r), sum(k) / max(1, len(k)), at(k, .99), sum(m) / max(1, len(m)), at(m, .5), at(m, .99), at(m, 1) / 1e3,
            wrong.count("accepted"), wrong.count("refused")))
    print("%d schemas, %d masks of %s" % (len(results), len(m), n))


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("vocabulary")
    p.add_argument("folder")
    p.add_argument("--engines", default="lar,llguidance,xgrammar")
    p.add_argument("--state")
    p.add_argument("--again", default="")
    p.add_argument("--seconds", type=float, default=1e9)
    o = p.parse_args()
    v, begin, results = Lar(o.vocabulary), time.time(), {}
    if o.state and os.path.exists(o.state):
        results = json.load(open(o.state))
    for r in results.values():
        for n in o.again.split(","):
            r.pop(n, None)
    names = o.engines.split(",")
    make = {"lar": lambda: v, "llguidance": lambda: Llguidance(v), "xgrammar": lambda: Xgrammar(v)}
    workers = [Worker(n, make[n](), v.end) for n in names]
    files = [f for f in os.listdir(o.folder) if f.endswith(".json")]
    files.sort(key=lambda f: hashlib.sha256(f.encode()).digest())  # a part of them is no worse than a drawn one
    for f in files:
        missing = [w for w in workers if w.name not in results.get(f, {})]
        if not missing:
            continue
        if time.time() - begin > o.seconds:
            break
        d = json.load(open(os.path.join(o.folder, f)))
        docs = [(t["valid"], v.tokenize(json.dumps(t["data"], ensure_ascii=False).encode("utf-8", "replace"))) for t in d["tests"]]
        job = json.dumps(d["schema"]).encode(), [x for x in docs if len(x[1]) <= TOKENS_MAX]
        results.setdefault(f, {}).update((w.name, w.ask(job)) for w in missing)
        if o.state:
            json.dump(results, open(o.state + ".new", "w"))
            os.replace(o.state + ".new", o.state)
    table(results, names)
    done = sum(all(n in results.get(f, {}) for n in names) for f in files)
    if done < len(files):
        print("%d of %d schemas done: run it again to go on" % (done, len(files)))


if __name__ == "__main__":
    main()
