#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Gives every template of tests/data/templates.json the text or the error that the reference implementation gives it:
# Jinja2 3.1.6 under Python 3.11, in the environment that transformers builds for chat templates. To add a case, add
# {"template": "..."} to the file and run this; what is there already must not change.
#     python3 tools/template_cases.py tests/data/templates.json
import datetime
import json
import sys

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

assert jinja2.__version__ == "3.1.6" and sys.version_info[:2] == (3, 11)


class Generation(jinja2.ext.Extension):  # {% generation %}: the text passes through
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("passes"), [], [], body).set_lineno(line)

    def passes(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(form):
    return datetime.datetime(2026, 1, 2, 3, 4, 5).strftime(form)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                    extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)


def result(template, context):
    try:
        return {"text": env.from_string(template).render(**context)}
    except Exception as e:
        r = {"error": type(e).__name__}
        if type(e) is jinja2.exceptions.TemplateError:
            r["message"] = str(e)
        return r


path = sys.argv[1]
data = json.load(open(path, encoding="utf-8"))
for case in data["cases"]:
    new = {"template": case["template"], **result(case["template"], data["context"])}
    if len(case) > 1 and new != case:
        sys.exit(f"changed: {case} is now {new}")
    case.update(new)
with open(path, "w", encoding="utf-8") as f:
    f.write('{\n"context": ' + json.dumps(data["context"], ensure_ascii=False) + ',\n"cases": [\n')
    f.write(",\n".join(json.dumps(c, ensure_ascii=False) for c in data["cases"]))
    f.write("\n]\n}\n")
