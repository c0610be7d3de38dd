// SPDX-License-Identifier: Apache-2.0
// tests/grammar_ajv.js FILE...: documents against ajv, a validator that is not ours. A file NAME is a schema of draft 2020-12 with its documents in
// NAME.docs, one a line; a file NAME.jsonl (tools/grammar_property.py) has lines {"name", "schema", "draft", "docs": [text, ...], "tests": [{"data",
// "valid"}, ...]}. A line for each document that ajv refuses, for each schema that it cannot read, and for each of whose own tests it gets one
// wrong (it then has no say); at the end how many documents it judged.
const fs = require('fs')
const makers = {4: 'ajv-draft-04', 6: 'ajv', 7: 'ajv', 2019: 'ajv/dist/2019', 2020: 'ajv/dist/2020'}
const formats = ['date-time', 'date', 'time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uri-reference', 'uuid', 'regex', 'json-pointer',
    'relative-json-pointer', 'uri-template'] // those of JSON Schema; the package has others
let n = 0

function draftOf(schema, told) {
    const m = /draft-0([467])|draft\/(2019|2020)/.exec((schema && schema.$schema) || '')
    return m ? Number(m[1] || m[2]) : told || 2020
}

// Up to draft 7 whatever stands beside $ref is not read, which ajv leaves to us; the meta-schema's name is of no use to it.
function plain(s) {
    if (Array.isArray(s)) return s.map(plain)
    if (!s || typeof s != 'object') return s
    const out = {}, only = typeof s.$ref == 'string'
    for (const k in s)
        if (!only || k == '$ref' || k == 'definitions' || k == '$defs')
            out[k] = ['enum', 'const', 'default', 'examples'].includes(k) ? s[k] : plain(s[k])
    return out
}

function judge(name, schema, told, docs, tests) {
    const draft = draftOf(schema, told)
    let check
    try {
        const ajv = new (require(makers[draft]).default)({strict: false, logger: false, multipleOfPrecision: 9})
        require('ajv-formats').default(ajv, formats)
        if (draft < 2019) {
            schema = plain(schema)
            if (schema && schema.$schema) delete schema.$schema
        }
        check = ajv.compile(schema)
    } catch (e) {
        console.log('unread', name, e.message.slice(0, 150).replace(/\n/g, ' '))
        return
    }
    if ((tests || []).some(t => check(t.data) != t.valid)) {
        console.log('erring', name)
        return
    }
    for (const line of docs) {
        if (!line) continue
        n++
        if (!check(JSON.parse(line))) console.log('refused', name, line, JSON.stringify(check.errors[0].schemaPath))
    }
}

for (const path of process.argv.slice(2)) {
    const text = fs.readFileSync(path, 'utf8')
    if (!path.endsWith('.jsonl'))
        judge(path, JSON.parse(text), 0, fs.readFileSync(path + '.docs', 'utf8').split('\n'))
    else for (const line of text.split('\n').filter(x => x)) {
        const e = JSON.parse(line)
        judge(e.name, e.schema, e.draft, e.docs, e.tests)
    }
}
console.log('judged', n)
