#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Berkeley's function calls as conversations that tests can read: for each question of BFCL its functions as tools and a possible answer as calls.

  usage: tools/bfcl.py QUESTIONS ANSWERS [QUESTIONS ANSWERS ...] >FILE
         LAR_BFCL=FILE build/tests/test_calls
         LAR_BFCL=FILE LAR_BFCL_CALLS=CALLS build/tests/test_tools
         tools/bfcl.py --judge FILE CALLS

The first test renders each by every template beside the project and reads what it wrote; a line for each template says how many calls came back as they
were. The second walks, for each question in a fifth of the forms of calls, at random through the masks of an answer that must call, reads that back and writes the calls
down; --judge has Python's jsonschema say whether each names one of its question's tools and has arguments that its schema accepts.

QUESTIONS are BFCL_v4_simple_python.json, BFCL_v4_multiple.json and so on of berkeley-function-call-leaderboard/bfcl_eval/data in ShishirPatil/gorilla,
ANSWERS their namesakes in possible_answer/. Names of types are made JSON Schema's (dict is object, float number, tuple array; Java's and JavaScript's
likewise; any is no type). Of the answers that are allowed for an argument the first is taken; one that may be left out is. The question's words, which may come again in its
answer, give way to its name."""
import json
import sys

TYPES = {"dict": "object", "HashMap": "object", "float": "number", "double": "number", "long": "integer", "tuple": "array", "Array": "array",
         "ArrayList": "array", "String": "string", "char": "string", "Boolean": "boolean"}
KNOWN = {"object", "number", "integer", "array", "string", "boolean", "null"}
KEYS = ("description", "enum", "default", "required", "properties", "items", "format", "maximum", "minimum", "additionalProperties")


def schema(s):
    kind = TYPES.get(s.get("type"), s.get("type"))
    out = {"type": kind} if kind in KNOWN else {}
    for k in KEYS:
        if k not in s or (k == "required" and not s[k]):
            continue
        v = s[k]
        if k == "properties":
            v = {name: schema(x) for name, x in v.items()}
        elif k in ("items", "additionalProperties") and isinstance(v, dict):
            v = schema(v)
        elif k == "enum" and kind == "string":
            v = [str(x) for x in v]
        out[k] = v
    return out


def value(v):
    """Within an answer an object's members are lists of what is allowed, a list's items are values."""
    if isinstance(v, dict):
        return {k: value(x[0]) if isinstance(x, list) and x else x for k, x in v.items() if not (isinstance(x, list) and "" in x)}
    return [value(x) for x in v] if isinstance(v, list) else v


def call(answer):
    (name, args), = answer.items()
    return {"type": "function", "id": "call00001",
            "function": {"name": name, "arguments": {k: value(x[0]) for k, x in args.items() if x and "" not in x}}}


def judge(questions, calls):
    import collections
    import jsonschema
    with open(questions) as f:
        tools = {x["id"]: {t["function"]["name"]: jsonschema.Draft202012Validator(t["function"]["parameters"]) for t in x["tools"]}
                 for x in map(json.loads, f)}
    good, bad = collections.Counter(), 0
    with open(calls, encoding="utf-8") as f:
        for x in map(json.loads, f):
            v = tools[x["id"]].get(x["name"])
            why = "no such tool" if v is None else next((e.message for e in v.iter_errors(json.loads(x["arguments"]))), None)
            good[x["form"]] += not why
            if why:
                bad += 1
                print("%s, %s: %s %s: %s" % (x["form"], x["id"], x["name"], x["arguments"][:200], why[:200]))
    print("%d calls in %d forms: %d valid, %d not" % (sum(good.values()) + bad, len(good), sum(good.values()), bad))
    return bad != 0


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--judge":
        raise SystemExit(judge(*sys.argv[2:]))
    if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
        raise SystemExit(__doc__)
    for q, a in zip(sys.argv[1::2], sys.argv[2::2]):
        with open(a) as f:
            answers = {x["id"]: x["ground_truth"] for x in map(json.loads, f)}
        with open(q) as f:
            for x in map(json.loads, f):
                if x["id"] not in answers:
                    continue
                tools = [{"type": "function", "function": {"name": f["name"], "description": f.get("description", ""),
                                                           "parameters": schema(f["parameters"])}} for f in x["function"]]
                print(json.dumps({"id": x["id"], "tools": tools, "messages": [
                    {"role": "user", "content": "(%s)" % x["id"]},
                    {"role": "assistant", "content": "", "tool_calls": [call(c) for c in answers[x["id"]]]},
                    {"role": "tool", "tool_call_id": "call00001", "name": next(iter(answers[x["id"]][0])), "content": "{\"temp\": 21}"}],
                    "bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>", "unk_token": "<UNK>", "documents": None,
                    "add_generation_prompt": True, "functions": json.dumps(tools), "datetime": "2026-01-01"},
                    ensure_ascii=False))


if __name__ == "__main__":
    main()
