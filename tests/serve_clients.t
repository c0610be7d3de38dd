#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_clients.t: the official packages of OpenAI, Ollama and Anthropic for Python and for Node against lar serve. They are installed
# once, below the build folder, and what cannot be installed is skipped.
. tests/sh.inc
. tests/serve.inc
[ -z "${LAR_SLOW-}" ] || { skip "the clients are tried where all runs at its own speed"; tap_done; }
clients=$B/clients
mkdir -p "$clients"
if [ ! -e "$clients/done" ]; then
    rm -rf "$clients/venv"
    { timeout 120 python3 -m venv "$clients/venv" && timeout 120 "$clients/venv/bin/pip" -q --disable-pip-version-check install openai ollama anthropic; } \
        > "$clients/log" 2>&1 && touch "$clients/done"
fi
if [ ! -e "$clients/npm-done" ]; then
    timeout 120 npm install --prefix "$clients/npm" --no-audit --no-fund openai ollama @anthropic-ai/sdk > "$clients/npm-log" 2>&1 && touch "$clients/npm-done"
fi
kinds='openai responses ollama anthropic'
serve --model demo=models/lar-demo-q8_0.gguf --model embed=tests/data/embed-mean.gguf

run() # NAME COMMAND...: its lines are tests
{
    name=$1
    shift
    timeout 100 "$@" > "$TMP/$name" 2>&1 || echo "not ok $name ends by itself" >> "$TMP/$name"
    while read -r line; do
        case $line in
        'ok '*) tap_say 0 "${line#ok }" ;;
        'not ok '*) tap_say 1 "${line#not ok }" ;;
        *) echo "# $line" ;;
        esac
    done < "$TMP/$name"
    ok "$name said something" grep -q '^ok' "$TMP/$name"
}

if [ -e "$clients/done" ]; then
    for kind in $kinds; do run "python-$kind" "$clients/venv/bin/python" tests/serve_clients.py "$url" $kind; done
else
    skip "the Python packages openai, ollama and anthropic cannot be installed here"
fi
if [ -e "$clients/npm-done" ]; then
    for kind in $kinds; do run "npm-$kind" env NODE_PATH="$clients/npm/node_modules" node tests/serve_clients.js "$url" $kind; done
else
    skip "the npm packages openai, ollama and @anthropic-ai/sdk cannot be installed here"
fi
serve_end
tap_done
