#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_clients.t: the official packages of OpenAI, Ollama and Anthropic for Python against lar serve. They are installed once, below
# the build folder, and what cannot be installed is skipped.
. tests/sh.inc
. tests/serve.inc
[ -z "${LAR_SLOW-}" ] || { skip "the clients are tried where all runs at its own speed"; tap_done; }
clients=$B/clients
if [ ! -e "$clients/done" ]; then
    rm -rf "$clients"
    mkdir -p "$clients"
    { timeout 60 python3 -m venv "$clients/venv" && timeout 120 "$clients/venv/bin/pip" -q --disable-pip-version-check install openai ollama anthropic; } \
        > "$clients/log" 2>&1 && touch "$clients/done"
fi
[ -e "$clients/done" ] || { skip "the Python packages openai, ollama and anthropic cannot be installed here"; tap_done; }
serve --model demo=models/lar-demo-q8_0.gguf
for kind in openai responses ollama anthropic; do
    timeout 100 "$clients/venv/bin/python" tests/serve_clients.py "$url" $kind > "$TMP/$kind" 2>&1 || echo "not ok $kind ends by itself" >> "$TMP/$kind"
    while read -r line; do
        case $line in
        'ok '*) tap_say 0 "${line#ok }" ;;
        'not ok '*) tap_say 1 "${line#not ok }" ;;
        *) echo "# $line" ;;
        esac
    done < "$TMP/$kind"
done
ok "every package said something" sh -c 'cat "$1"/openai "$1"/responses "$1"/ollama "$1"/anthropic | grep -c "^ok" | grep -qx 5[0-9]' - "$TMP"
serve_end
tap_done
