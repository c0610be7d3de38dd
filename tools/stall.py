#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/stall.py: what a long prompt does to those who are being answered.

    lar serve -m m=MODEL.gguf --ctx 12288 --port 8080 &
    tools/stall.py http://127.0.0.1:8080 --words 6000

Streams answers, takes the times between their tokens while nothing else happens, then sends one long prompt and takes them again until its first
token or for as long as --busy says. Prints both and their ratio; its exit status is 1 where p99 rises above --most times the quiet one.
"""
import argparse, http.client, json, random, sys, threading, time, urllib.parse

a = argparse.ArgumentParser()
a.add_argument("url")
a.add_argument("--streams", type=int, default=8)
a.add_argument("--words", type=int, default=6000, help="of the long prompt")
a.add_argument("--quiet", type=float, default=10, help="seconds before it")
a.add_argument("--busy", type=float, default=600, help="seconds of it, at most")
a.add_argument("--most", type=float, default=3)
a = a.parse_args()
host = urllib.parse.urlparse(a.url).netloc
gaps, over, first = [], threading.Event(), threading.Event()


def ask(prompt, tokens, on_piece):
    c = http.client.HTTPConnection(host, timeout=600)
    body = {"prompt": prompt, "max_tokens": tokens, "stream": True, "temperature": 1, "stream_options": {"include_usage": True}}
    c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        sys.exit(f"status {r.status}: {r.read(500).decode()}")
    for line in r:
        if over.is_set():
            break
        if line.startswith(b"data: {"):
            on_piece(time.monotonic(), json.loads(line[6:]))
    c.close()


def stream(i):
    last = [None]

    def piece(t, j):
        if not j["choices"]:
            return
        if last[0]:
            gaps.append((t, t - last[0]))
        last[0] = t

    while not over.is_set():
        ask(f"A story of {i} kettles begins so:", 400, piece)
        last[0] = None


def long_one():
    r = random.Random(7)
    text = " ".join(r.choice("kettle warm blue seven river under quickly paper".split()) for _ in range(a.words))
    took = []

    def piece(t, j):
        first.set()
        if j.get("usage"):
            took.append(j["usage"]["prompt_tokens"])

    began = time.monotonic()
    ask(text, 2, piece)
    if took:
        print(f"the prompt: {took[0]} tokens, first token after {time.monotonic() - began:.1f} s")


def percentile(v, p):
    v = sorted(v)
    return v[min(len(v) - 1, int(len(v) * p / 100))] * 1000


threads = [threading.Thread(target=stream, args=(i,), daemon=True) for i in range(a.streams)]
for t in threads:
    t.start()
time.sleep(3)
begin = time.monotonic()
time.sleep(a.quiet)
sent = time.monotonic()
threading.Thread(target=long_one, daemon=True).start()
first.wait(a.busy)
end = time.monotonic()
time.sleep(0.5)
over.set()
still = [g for t, g in list(gaps) if begin < t <= sent]
with_it = [g for t, g in list(gaps) if sent < t <= end]
if not still or not with_it:
    sys.exit("no tokens came")
for name, v in (("quiet", still), ("with the prompt", with_it)):
    print(f"{name}: {len(v)} times, p50 {percentile(v, 50):.0f} ms, p99 {percentile(v, 99):.0f} ms, longest {percentile(v, 100):.0f} ms")
ratio = percentile(with_it, 99) / percentile(still, 99)
print(f"p99: {ratio:.2f} times; the prompt {'was read' if first.is_set() else 'was still being read'} after {end - sent:.1f} s")
sys.exit(ratio > a.most)
