#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/grammar_ajv.t: random documents of schemas (`lar grammar sample`: walks over bytes, and through the masks of a model's tokens), judged by a
# validator that is not ours: ajv, from npm, installed once below the build folder; skipped where there is no node or no network. The same of 1,000
# schemas that lie elsewhere, 100 documents each: tools/grammar_property.py.
. tests/sh.inc
[ -z "${LAR_SLOW-}" ] || { skip "ajv is asked where all runs at its own speed"; tap_done; }
ajv=$B/ajv
if [ ! -e "$ajv/node_modules/ajv-formats/package.json" ] && command -v node >/dev/null && command -v npm >/dev/null; then
    rm -rf "$ajv"
    mkdir -p "$ajv"
    timeout 100 npm install --prefix "$ajv" --no-audit --no-fund --silent ajv@8 ajv-draft-04 ajv-formats >"$ajv/log" 2>&1 || rm -rf "$ajv"
fi
[ -e "$ajv/node_modules/ajv-formats/package.json" ] || { skip "node's package ajv cannot be installed here"; tap_done; }
n=0
while read -r schema; do
    n=$((n + 1))
    printf '%s' "$schema" >"$TMP/$n.json"
    for model in '' --model=models/lar-demo-q8_0.gguf; do
        $LAR grammar sample -n 100 --seed $n $model "$TMP/$n.json" 2>>"$TMP/err" || echo "$schema" >>"$TMP/failed"
    done >"$TMP/$n.json.docs"
done <<'END'
true
{"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":999999,"multipleOf":4},"b":{"enum":["x","y",null,1.5]}},"required":["a"],"additionalProperties":false}
{"type":"object","minProperties":2,"maxProperties":3,"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":{"type":"string","maxLength":4}}
{"type":"array","uniqueItems":true,"minItems":2,"maxItems":4,"items":{"enum":["a",1,[2],{"b":null},true]}}
{"type":"array","prefixItems":[{"type":"string","pattern":"^[A-Z]{2}-\\d+$"},{"type":"boolean"}],"items":{"type":"number","exclusiveMaximum":10},"contains":{"minimum":3},"minContains":1}
{"oneOf":[{"type":"string","minLength":3},{"type":"string","maxLength":5},{"type":"number"}]}
{"if":{"properties":{"k":{"const":1}},"required":["k"]},"then":{"required":["v"]},"else":{"properties":{"v":false}},"type":"object","properties":{"k":{"type":"integer"},"v":{"type":"string"}}}
{"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"l":{"$ref":"#/$defs/t"},"r":{"$ref":"#/$defs/t"},"v":{"type":"integer"}},"required":["v"],"unevaluatedProperties":false}}}
{"type":"object","dependentRequired":{"a":["b"]},"propertyNames":{"pattern":"^[a-c]{1,2}$"},"not":{"required":["c"]},"minProperties":1}
{"type":"string","pattern":"^(?!.*://)(?=.{1,255}$)((.{1,63}\\.){1,127}(?![0-9]*$)[a-z0-9-]+\\.?)$"}
{"allOf":[{"type":"string","pattern":"a"},{"pattern":"b.*c"},{"not":{"pattern":"cc"}},{"maxLength":12}]}
{"type":"object","dependentSchemas":{"a":{"properties":{"b":{"type":"null"}},"required":["b"]}},"properties":{"a":{"type":"number","minimum":0.1,"maximum":0.35}},"required":["a"]}
{"type":"string","format":"date-time"}
{"type":"array","items":{"enum":[0,1],"type":"integer"},"prefixItems":[{"format":"date","type":"string"},{"format":"time","type":"string"},{"format":"duration","type":"string"}],"minItems":3}
{"type":"string","format":"email"}
{"type":"string","format":"hostname"}
{"type":"array","items":false,"prefixItems":[{"format":"ipv4","type":"string"},{"format":"ipv6","type":"string"},{"format":"uuid","type":"string"}],"minItems":3}
{"type":"string","format":"uri"}
{"type":"string","format":"uri-reference"}
{"type":"string","format":"uri-template"}
{"type":"string","format":"regex"}
{"type":"array","items":false,"prefixItems":[{"format":"json-pointer","type":"string"},{"format":"relative-json-pointer","type":"string"}],"minItems":2}
END
ok "every schema has documents" [ ! -s "$TMP/failed" ]
try "ajv compiles the schemas" env NODE_PATH="$ajv/node_modules" node tests/grammar_ajv.js "$TMP"/*.json
ok "it refuses none" not grep refused "$TMP/out"
ok "and judged them all" grep -qx "judged $((200 * n))" "$TMP/out"
tap_done
