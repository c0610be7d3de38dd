#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The official JSON-Schema-Test-Suite as a table: Lar, beside it llguidance's own record and llguidance as it is installed.

  usage: tools/schema_suite.py SUITE.tar.zst [EXPECTED.json]

SUITE holds tests/draft4 ... tests/draft2020-12 of json-schema-org/JSON-Schema-Test-Suite; the required files are read (not optional/). EXPECTED is
llguidance's record, parser/tests expected_json_schema_test_suite.json. Schemas go through build/liblar.so with formats as annotations, which is what the
required files test. Of `pip install llguidance`, where it is installed, the same instances are asked byte by byte. An instance of a refused schema counts
as not accepted."""
import collections
import ctypes as c
import io
import json
import os
import subprocess
import sys
import tarfile

DRAFTS = {"draft4": 4, "draft6": 6, "draft7": 7, "draft2019-09": 2019, "draft2020-12": 2020}
URI = {4: "http://json-schema.org/draft-04/schema#", 6: "http://json-schema.org/draft-06/schema#", 7: "http://json-schema.org/draft-07/schema#",
       2019: "https://json-schema.org/draft/2019-09/schema", 2020: "https://json-schema.org/draft/2020-12/schema"}


class Options(c.Structure):
    _fields_ = [("draft", c.c_int), ("ignore_format", c.c_int), ("space", c.c_int), ("limit", c.c_size_t), ("partial", c.c_int)]


class Err(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 252)]


class Lar:
    def __init__(self):
        self.l = c.CDLL("build/liblar.so")

    def compile(self, schema, draft):
        text, self.g, err = json.dumps(schema).encode(), c.c_void_p(), Err()
        o = Options(draft=draft, ignore_format=1)
        return self.l.lar_grammar_open(c.byref(self.g), 0, text, c.c_size_t(len(text)), c.byref(o), None, c.byref(err)) == 0

    def accepts(self, data):
        text, err, at = json.dumps(data).encode(), Err(), c.c_size_t()
        return self.l.lar_grammar_check(self.g, text, c.c_size_t(len(text)), c.byref(at), c.byref(err)) == 1

    def close(self):
        self.l.lar_grammar_close(self.g)


class Llguidance:
    def __init__(self):
        import llguidance
        self.l, self.name = llguidance, "llguidance " + getattr(llguidance, "__version__", "as installed")

        class Bytes:
            eos_token_id, bos_token_id, is_tokenizer_wrapper, special_token_ids = 256, None, True, [256]
            tokens = [bytes([i]) for i in range(256)] + [b"</s>"]

            def __call__(self, text):
                return list(text if isinstance(text, bytes) else text.encode())

        self.tok = llguidance.LLTokenizer(Bytes(), n_vocab=257, eos_token=256)

    def compile(self, schema, draft):
        if isinstance(schema, dict) and "$schema" not in schema:
            schema = dict(schema, **{"$schema": URI[draft]})
        try:
            self.g = self.l.LLMatcher(self.tok, self.l.LLMatcher.grammar_from_json_schema(json.dumps(schema)), log_level=0)
        except ValueError:
            return False
        return not self.g.is_error()

    def accepts(self, data):
        m, text = self.g.deep_copy(), json.dumps(data).encode()
        return all(m.consume_token(b) for b in text) and m.is_accepting() and not m.is_error()

    def close(self):
        pass


def groups(path):
    raw = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as t:
        for m in t:
            part = m.name.split("/")
            if m.isfile() and m.name.endswith(".json") and "tests" in part[:-2] and part[-2] in DRAFTS:
                for g in json.load(t.extractfile(m)):
                    yield part[-2], g


def row(name, k):
    share = lambda a, b: "%.1f %%" % (100 * a / b) if b else "-"
    print("| %s | %s (%d of %d) | %s (%d of %d) | %d of %d |" % (
        name, share(k["compiled"], k["schemas"]), k["compiled"], k["schemas"], share(k["taken"], k["valid"]), k["taken"], k["valid"], k["wrong"], k["invalid"]))


def recorded(path):
    """llguidance's record keeps a word for each instance; which of them are valid it does not keep."""
    words = collections.Counter()

    def walk(x):
        for v in x.values():
            if isinstance(v, dict):
                walk(v)
            else:
                words[v] += 1
    with open(path) as f:
        walk(json.load(f))
    print("\nllguidance's record: " + ", ".join("%s %d" % kv for kv in words.most_common()))


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    engines = {"lar": Lar()}
    try:
        x = Llguidance()
        engines[x.name] = x
    except ImportError:
        print("llguidance is not installed: Lar alone", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sums = collections.defaultdict(collections.Counter)
    for draft, g in groups(sys.argv[1]):
        for name, e in engines.items():
            k, ok = sums[draft, name], e.compile(g["schema"], DRAFTS[draft])
            k["schemas"] += 1
            k["compiled"] += ok
            for t in g["tests"]:
                yes = ok and e.accepts(t["data"])
                k["valid" if t["valid"] else "invalid"] += 1
                k["taken" if t["valid"] else "wrong"] += yes
            if ok:
                e.close()
    print("| | schemas compiled | valid instances accepted | invalid ones accepted |\n|---|--:|--:|--:|")
    for name in engines:
        total = collections.Counter()
        for draft in DRAFTS:
            row("%s, %s" % (name, draft), sums[draft, name])
            total.update(sums[draft, name])
        row("%s, all" % name, total)
    if len(sys.argv) > 2:
        recorded(sys.argv[2])


if __name__ == "__main__":
    main()
