#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/demo.sh: the main job, shown: the model in models/ reads a customer's message and answers with JSON. Called by
# `make demo`; prints the command as one would type it, then what it answers. Fails when it does.
set -eu
B=${B:-build}
model=models/lar-demo-q8_0.gguf
message='Hi, the Nordvik trail backpack 40L broke after two days and I want my $49.90 back. My phone number is 555-0142.
Order A-48213. Please answer asap!'

printf "\n\$ %s run %s --temp 0 '%s'\n" "$B/lar" "$model" "$message"
# RUN is an emulator and its arguments, or nothing.
exec ${RUN-} "$B/lar" run "$model" --temp 0 "$message"
