// SPDX-License-Identifier: Apache-2.0
// tests/grammar_ajv.js SCHEMA...: for each schema file the documents in the file of the same name with .docs behind it, one a line, against ajv
// (2020-12). A line for each document that ajv refuses; at the end how many it judged.
const fs = require('fs'), Ajv = require('ajv/dist/2020').default
let n = 0
for (const path of process.argv.slice(2)) {
    const check = new Ajv({strict: false, logger: false}).compile(JSON.parse(fs.readFileSync(path, 'utf8')))
    for (const line of fs.readFileSync(path + '.docs', 'utf8').split('\n')) {
        if (!line) continue
        n++
        if (!check(JSON.parse(line))) console.log('refused', path, line, JSON.stringify(check.errors[0].schemaPath))
    }
}
console.log('judged', n)
