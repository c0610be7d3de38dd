#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decoding with a schema beside decoding without: tokens of the answer a second, the same number of tokens, in turns.

  usage: tools/schema_speed.py [--threads 1,2] [--pairs N] [--tokens N] [--ways run,serve] [--state FILE] [--seconds S] MODEL...

Each case asks the same question with and without the schema, one after the other, first the one and then the other by turns; medians of N pairs, and the median
of the pairs' ratios. `run` is `lar run --json` (timings.tok_s: from the first token on), `serve` a `lar serve` of its own per number of threads (eval_count / eval_duration of
/api/chat). Both answer --tokens tokens at temperature 0; where a model ends its free answer before, the schema's is cut there. The mask's time for the same text is
`lar grammar bench`'s, beside the time of a token. --state keeps what was measured, --seconds stops early: the same command goes on."""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

QUESTION = "Hi, where is my order A-48213? Tell me all that you know of it, please."
WORDS = {"type": "object", "additionalProperties": False, "required": ["text"], "properties": {
    "text": {"type": "string", "minLength": 900, "maxLength": 4000}}}
ORDERS = {"type": "array", "minItems": 20, "maxItems": 40, "items": {
    "type": "object", "additionalProperties": False, "required": ["order_number", "price", "in_stock", "status"], "properties": {
        "order_number": {"type": "string", "pattern": "^[A-Z]-[0-9]{5}$"}, "price": {"type": "number", "minimum": 0, "maximum": 1000},
        "in_stock": {"type": "boolean"}, "status": {"enum": ["waiting", "on its way", "delivered", "returned"]}}}}
CASES = {"list of objects": (ORDERS, False), "list of objects, compact": (ORDERS, True), "string": (WORDS, False), "a list of any JSON": ({"type": "array", "minItems": 60}, False)}


class Run:
    def __init__(self, model, threads):
        self.args = ["build/lar", "run", model, "--json", "--temp", "0", "--no-think", "--threads", str(threads), QUESTION]

    def answer(self, tokens, schema, compact):
        extra = ["--max-tokens", str(tokens)]
        if schema is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as f:
                json.dump(schema, f)
            extra += ["--schema", f.name] + ["--compact"] * compact
        r = subprocess.run(self.args + extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        if schema is not None:
            os.unlink(f.name)
        j = json.loads(r.stdout)
        return len(j["tokens"]), j["timings"]["tok_s"], j["text"]

    def close(self):
        pass


class Serve:
    def __init__(self, model, threads):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        self.url = "http://127.0.0.1:" + port
        self.p = subprocess.Popen(["build/lar", "serve", model, "--port", port, "--threads", str(threads)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.model = json.load(urllib.request.urlopen(self.url + "/v1/models"))["data"][0]["id"]
                break
            except OSError:
                time.sleep(0.1)

    def answer(self, tokens, schema, compact):
        q = {"model": self.model, "stream": False, "think": False, "messages": [{"role": "user", "content": QUESTION}],
             "options": {"temperature": 0, "num_predict": tokens, "num_ctx": 2048}}
        if schema is not None:
            q["format"] = schema
        r = urllib.request.Request(self.url + "/api/chat", json.dumps(q).encode(), {"Content-Type": "application/json"})
        j = json.load(urllib.request.urlopen(r))
        return j["eval_count"], j["eval_count"] * 1e9 / j["eval_duration"], j["message"]["content"]

    def close(self):
        self.p.terminate()
        self.p.wait()


def mask_us(model, schema, text):
    """Mean over the masks before the tokens of this text, the first of each kind among them."""
    with tempfile.TemporaryDirectory() as d:
        for name, what in ("schema", json.dumps(schema)), ("text", text):
            with open(os.path.join(d, name), "w") as f:
                f.write(what)
        r = subprocess.run(["build/lar", "grammar", "bench", model, d + "/schema", d + "/text"], stdout=subprocess.PIPE, check=True)
        return json.loads(r.stdout.splitlines()[1])["mask"]["mean_us"]


def measure(way, case, tokens, turn):
    schema, compact = CASES[case]
    n, _, _ = (free := way.answer(tokens, None, False))
    held = way.answer(n, schema, compact)
    if turn % 2:
        free = way.answer(n, None, False)
    return {"free": free[1], "held": held[1], "tokens": [free[0], held[0]], "text": held[2]}


def table(state):
    print("| model | threads | by | schema | tokens | free, tok/s | with, tok/s | with / free | time a token, free / with | mask, share of it |\n|---|--:|---|---|--:|--:|--:|--:|--:|--:|")
    for key, v in state.items():
        model, threads, way, case = key.split("|")
        f, h = (statistics.median(x[k] for x in v) for k in ("free", "held"))
        print("| %s | %s | %s | %s | %s | %.1f | %.1f | %.3f | %.3f / %.3f ms | %.1f us, %.2f %% |" % (
            model, threads, way, case, v[-1]["tokens"][1], f, h, statistics.median(x["held"] / x["free"] for x in v), 1e3 / f, 1e3 / h,
            v[0]["mask_us"], v[0]["mask_us"] * h / 1e4))


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("models", nargs="+")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--pairs", type=int, default=7)
    p.add_argument("--tokens", type=int, default=32)
    p.add_argument("--ways", default="run,serve")
    p.add_argument("--state")
    p.add_argument("--seconds", type=float, default=1e9)
    o = p.parse_args()
    begin, state = time.time(), {}
    if o.state and os.path.exists(o.state):
        state = json.load(open(o.state))
    for model in o.models:
        for threads in o.threads.split(","):
            for name in o.ways.split(","):
                cases = [c for c in CASES if not (name == "serve" and CASES[c][1])]
                key = {c: "|".join((os.path.basename(model), threads, name, c)) for c in cases}
                if all(len(state.get(k, [])) >= o.pairs for k in key.values()):
                    continue
                way = {"run": Run, "serve": Serve}[name](model, threads)
                for turn in range(-1, o.pairs):
                    for c in cases:
                        if time.time() - begin > o.seconds:
                            way.close()
                            table(state)
                            sys.exit("stopped: the same command goes on")
                        if len(state.get(key[c], [])) > turn >= 0:
                            continue
                        if turn < 0 and key[c] in state:
                            continue
                        r = measure(way, c, o.tokens, turn)
                        if turn == 0:
                            r["mask_us"] = mask_us(model, CASES[c][0], r["text"])
                        if turn >= 0:  # the first of each is for warming up
                            state.setdefault(key[c], []).append(r)
                            if o.state:
                                json.dump(state, open(o.state, "w"))
                way.close()
    table(state)


if __name__ == "__main__":
    main()
