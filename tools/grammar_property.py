#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random walks through masks, judged by ajv: of each of 1,000 schemas 100 documents.

  usage: tools/grammar_property.py [--model MODEL] [--schemas N] [--documents N] [--out FOLDER] [--seconds N] SOURCE...

SOURCE is a folder of files {"schema": ...} (maskbench/data of guidance-ai/jsonschemabench) or JSON-Schema-Test-Suite as .tar.zst; they take turns, each
in an order that is as good as drawn. Schemas that Lar refuses, that accept nothing, that ajv cannot read, or of which ajv gets one of the suite's own
instances wrong are counted and others taken in their place. The documents are made by `build/lar grammar sample --model MODEL` and judged by tests/grammar_ajv.js with the packages ajv,
ajv-draft-04 and ajv-formats, which `npm install --prefix build/ajv ajv@8 ajv-draft-04 ajv-formats` brings. What ajv refuses is then asked of Python's
jsonschema, where that is installed, with numbers as exact decimals, and listed: the two need not agree. --seconds stops early: the same command goes on."""
import argparse
import collections
import decimal
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time

DRAFTS = {"draft4": 4, "draft6": 6, "draft7": 7, "draft2019-09": 2019, "draft2020-12": 2020}


def order(items):
    return sorted(items, key=lambda x: hashlib.sha256(x[0].encode()).digest())


def of_folder(path):
    for name, _ in order([(f, 0) for f in os.listdir(path) if f.endswith(".json")]):
        with open(os.path.join(path, name)) as f:
            yield name, json.load(f)["schema"], 0, []


def of_suite(path):
    raw = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    found = []
    with tarfile.open(fileobj=io.BytesIO(raw)) as t:
        for m in t:
            part = m.name.split("/")
            draft = [d for d in part if d in DRAFTS]
            if m.isfile() and m.name.endswith(".json") and draft and "optional" not in part and "tests" in part:
                for i, group in enumerate(json.load(t.extractfile(m))):
                    found.append(("%s/%s#%d" % (draft[0], part[-1], i), group["schema"], DRAFTS[draft[0]], group["tests"]))
    for x in order(found):
        yield x


def in_turns(sources):
    while sources:
        for s in list(sources):
            x = next(s, None)
            if x is None:
                sources.remove(s)
            else:
                yield x


def documents(o, schema, draft, path):
    with open(path, "w") as f:
        json.dump(schema, f)
    cmd = ["build/lar", "grammar", "sample", "-n", str(o.documents), "--model", o.model, path]
    r = subprocess.run(cmd + (["--draft", str(draft)] if draft else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    err = r.stderr.decode("utf-8", "replace")
    if r.returncode == 0:
        return r.stdout.decode().split("\n")[:-1], None
    return None, "accept nothing" if "nothing is accepted" in err else "refused by lar" if r.returncode == 2 else "FAILED: " + err.strip()


def ajv(path):
    r = subprocess.run(["node", "tests/grammar_ajv.js", path], stdout=subprocess.PIPE, check=True,
                       env=dict(os.environ, NODE_PATH="build/ajv/node_modules"))
    lines = r.stdout.decode().splitlines()
    no = {l.split(" ")[1]: "not read by ajv" if l.startswith("unread ") else "of whose own tests ajv gets some wrong"
          for l in lines if l.startswith(("unread ", "erring "))}
    return [l for l in lines if l.startswith("refused ")], no


def second_opinion(schema, draft, text):
    try:
        import jsonschema
        kind = {4: "Draft4", 6: "Draft6", 7: "Draft7", 2019: "Draft201909", 2020: "Draft202012"}[draft or 2020] + "Validator"
        cls = jsonschema.validators.validator_for(schema, default=getattr(jsonschema, kind))
        exact = lambda s: int(decimal.Decimal(s)) if decimal.Decimal(s) == int(decimal.Decimal(s)) else decimal.Decimal(s)
        read = lambda t: json.loads(t, parse_float=exact)
        with decimal.localcontext() as c:
            c.prec = 5000
            ok = cls(read(json.dumps(schema)), format_checker=cls.FORMAT_CHECKER).is_valid(read(text))
        return "jsonschema takes it" if ok else "jsonschema refuses it too"
    except Exception as x:  # what it cannot decide is no opinion
        return "jsonschema: %s" % (str(x).split("\n")[0][:60] or type(x).__name__)


def piece(o, batch, path, result, schemas):
    with open(path, "w") as f:
        for b in batch:
            f.write(json.dumps(b) + "\n")
    bad, no = ajv(path)
    for b in batch:
        result["names"][b["name"]] = no.get(b["name"], "judged")
        if b["name"] not in no:
            result["documents"] += len(b["docs"])
    for l in bad:
        name, rest = l[8:].split(" ", 1)
        doc, where = rest.rsplit(" ", 1)
        say = second_opinion(schemas[name][0], schemas[name][1], doc)
        result["refused"].append([name, where, say, doc[:120]])


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("source", nargs="+")
    p.add_argument("--model", default="models/lar-demo-q8_0.gguf")
    p.add_argument("--schemas", type=int, default=1000)
    p.add_argument("--documents", type=int, default=100)
    p.add_argument("--out", default="build/property")
    p.add_argument("--seconds", type=float, default=1e9)
    o = p.parse_args()
    os.makedirs(o.out, exist_ok=True)
    state, begin = os.path.join(o.out, "state.json"), time.time()
    result = json.load(open(state)) if os.path.exists(state) else {"names": {}, "documents": 0, "refused": []}
    judged = lambda: sum(v == "judged" for v in result["names"].values())
    sources = [of_suite(s) if s.endswith(".zst") else of_folder(s) for s in o.source]
    batch, schemas = [], {}

    def flush():
        if batch:
            piece(o, batch, os.path.join(o.out, "piece.jsonl"), result, schemas)
            batch.clear()
        with open(state + ".new", "w") as f:
            json.dump(result, f)
        os.replace(state + ".new", state)

    for name, schema, draft, own in in_turns(sources):
        if name in result["names"]:
            continue
        if judged() + len(batch) >= o.schemas or time.time() - begin > o.seconds:
            flush()
            if judged() >= o.schemas or time.time() - begin > o.seconds:
                break
        docs, why = documents(o, schema, draft, os.path.join(o.out, "schema.json"))
        if why:
            result["names"][name] = why
            continue
        schemas[name] = schema, draft
        batch.append({"name": name, "schema": schema, "draft": draft, "docs": docs, "tests": own})
        if len(batch) == 50:
            flush()
    flush()
    for why, n in sorted(collections.Counter(result["names"].values()).items()):
        print("%5d schemas %s" % (n, why))
    print("%d documents judged by ajv, %d refused" % (result["documents"], len(result["refused"])))
    groups = collections.Counter((r[0], r[1], r[2]) for r in result["refused"])
    first = {(r[0], r[1], r[2]): r[3] for r in reversed(result["refused"])}
    for k, n in sorted(groups.items()):
        print("  %4d %s %s; %s; such as %s" % (n, k[0], k[1], k[2], first[k]))


if __name__ == "__main__":
    main()
