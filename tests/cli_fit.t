#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_fit.t: the plan of memory: what `lar fit` foretells is what a process takes, and what does not fit is refused before it is loaded, by
# `lar run` and `lar serve` alike, with what would fit.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
mkdir -p "$HOME"
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
need() { look get "$TMP/fit" "int(\$j->{plans}[0]{total} * $1)"; }

# ---- foretold and measured: within 3 % -----------------------------------------------------------------
if [ -z "${LAR_SLOW-}" ]; then # emulators and sanitizers have memory of their own
    golden=../shared/golden/models
    close() { LAR=$LAR tools/memory.sh "$@" || tools/memory.sh "$@"; } # once more: another process may have been mapping the same pages
    for kv in f16 f32 q8_0; do ok "what the demonstration model takes is foretold, keys and values in $kv" close -k $kv $model; done
    n=0
    for name in apertus arcee deepseek2-lite exaone4 falcon-h1 gemma1 gemma3-text gemma3n-text gpt-oss gpt2 gptneox granite4-hybrid lfm2-moe \
        mamba2 mixtral phi2 phi3-long phi3-plain qwen2-moe qwen3-moe qwen3-next stablelm starcoder2; do
        [ -e $golden/$name/model-f32.gguf ] || continue
        n=$((n + 1))
        ok "  ... and what $name takes" close $golden/$name/model-f32.gguf
    done
    for name in bert-mean nomic-bert modernbert embedding-gemma; do
        [ -e $golden/../embed/$name/model.gguf ] || continue
        n=$((n + 1))
        ok "  ... and what $name takes to read" close -c 512 $golden/../embed/$name/model.gguf
    done
    [ $n -gt 0 ] || skip "no ../shared/golden"
    try "of a folder of safetensors too" $LAR fit tests/data/tiny-llama --ctx 64 --check
else
    skip "memory is not measured where all is slower"
fi

$LAR fit $model --ctx 512 --json > "$TMP/fit"
try "tells what eight sessions take" $LAR fit $model --ctx 512 --sessions 8 --json
ok "  ... keys and values of each, weights once" look json "$TMP/out" \
    "\$j->{plans}[0]{kv_bytes} == 8 * $(look get "$TMP/fit" '$j->{plans}[0]{kv_bytes}') && \$j->{weight_bytes} == $(look get "$TMP/fit" '$j->{weight_bytes}')"
ok "  ... with all of which they are together" look json "$TMP/out" '!grep { $_->{total} != $j->{weight_bytes} + $_->{kv_bytes} + $_->{work_bytes} } @{$j->{plans}}'

# ---- refused -----------------------------------------------------------------------------------------------------------------------------
try "says what fits" $LAR fit $model --json --ctx 512
cp "$TMP/out" "$TMP/fit"
ok "  ... also quantised, with exact bytes" look json "$TMP/fit" \
    '$j->{quantised}[0]{type} eq "Q6_K" && $j->{quantised}[0]{weight_bytes} < $j->{weight_bytes} && $j->{quantised}[0]{ctx_fits} == 512'
$LAR quantize $model "$TMP/q6.gguf" Q6_K > /dev/null 2>&1
$LAR show "$TMP/q6.gguf" --json > "$TMP/q6"
ok "  ... which are those of the file when it is made" look json "$TMP/fit" "\$j->{quantised}[0]{weight_bytes} == $(look get "$TMP/q6" '$j->{memory}{weights}')"
try "runs where there is just enough" $LAR run $model --memory "$(need 1)" --max-tokens 1 hi
$LAR fit $model --json --ctx 32 > "$TMP/fit"
try_status 1 "a model that does not fit is refused" $LAR run $model --ctx 32 --memory "$(need 0.7)" --max-tokens 1 hi
ok "  ... with its bytes" said "does not fit"
ok "  ... and what would" said "quantised to Q"
ok "  ... and nothing was said by it" test ! -s "$TMP/out"
$LAR fit $model --json --ctx 512 > "$TMP/fit"
try_status 1 "with a little too little" $LAR run $model --ctx 512 --memory "$(need 0.97)" --max-tokens 1 hi
ok "  ... smaller keys and values are named" said "--kv q8_0"
try "which then run" $LAR run $model --ctx 512 --kv q8_0 --memory "$(need 0.97)" --max-tokens 1 hi
try "--force runs it all the same" $LAR run $model --memory "$(need 0.5)" --force --max-tokens 1 hi
try_status 2 "no size" $LAR run $model --memory much hi
try "fit tells of other machines" $LAR fit $model --memory "$(need 0.5)"
ok "  ... where it does not fit" told "does not fit"
try_status 1 "a server refuses it too" $LAR serve --port 0 --memory "$(need 0.5)" $model
ok "  ... before it listens" said "does not fit"

# ---- the machine ----------------------------------------------------------------------------------------------------------------------------
ok "cores are of some kind" look json "$TMP/fit" '$j->{cores} >= 1 && ref $j->{core_kinds} && ref $j->{gpus}'
if [ -z "${LAR_SLOW-}" ] && [ "${CC:-gcc}" = gcc ] && command -v gcc > /dev/null; then
    # A driver's library as NVIDIA's manual describes it, with one processor of 8 GiB.
    cat > "$TMP/nvml.c" <<'END'
#include <string.h>
struct memory { unsigned long long total, free, used; };
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { return *n = 1, 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { static int it; return *d = &it, (int)i; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { return strncpy(s, "Test GPU", n), d == 0; }
int nvmlDeviceGetMemoryInfo(void *d, struct memory *m) { return *m = (struct memory){8ull << 30, 6ull << 30, 2ull << 30}, d == 0; }
END
    mkdir "$TMP/driver"
    gcc -shared -fPIC -o "$TMP/driver/libnvidia-ml.so.1" "$TMP/nvml.c" || exit 1
    try "tells graphics processors" env LD_LIBRARY_PATH="$TMP/driver" $LAR fit $model --json
    ok "  ... and their memory" look json "$TMP/out" '$j->{gpus}[0]{name} eq "Test GPU" && $j->{gpus}[0]{memory} == 2**33 && $j->{gpus}[0]{free} == 6 * 2**30'
else
    skip "no driver's library is made here"
fi
tap_done
