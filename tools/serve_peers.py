#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/serve_peers.py: `lar serve` beside llama-server, with the same model file and the same client, one after the other, cell by cell.

    tools/serve_peers.py build/lar .../llama-server MODEL.gguf [--threads 2] [--cells 1,4,8,16] [--kinds short,long,shared]

Each cell asks for so many streams at once (greedy, /v1/completions): short prompts of about 30 tokens, long ones of about 1,500, or 1,200 that all share
and 50 of their own (which one request before the cell has brought into either server's cache). No prompt is used twice. Per cell: tokens/s of all answers
from the first request to the last token, and the time to the first token, median and p99. Both are given room for as many streams as the largest cell.
"""
import argparse, http.client, json, random, signal, socket, subprocess, sys, threading, time

a = argparse.ArgumentParser()
a.add_argument("lar")
a.add_argument("peer")
a.add_argument("model")
a.add_argument("--threads", type=int, default=2)
a.add_argument("--cells", default="1,4,8,16")
a.add_argument("--kinds", default="short,long,shared")
a.add_argument("--tokens", type=int, default=48, help="of an answer")
a.add_argument("--seconds", type=float, default=40, help="of a cell, at most: then it is cut off, and told")
a.add_argument("--seed", type=int, default=1)
a = a.parse_args()
cells = [int(x) for x in a.cells.split(",")]
rng = random.Random(a.seed)
WORDS = "order kettle ship letter water garden window number paper morning river stone engine market signal copper".split()
# pairs of a word and a number, about four tokens each
OWN = {"short": 7, "long": 375, "shared": 12}
SHARED = 300


def text(n):
    return " ".join(f"{rng.choice(WORDS)} {rng.randrange(100)}" for _ in range(n))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(which, port):
    room = max(cells)
    if which == "lar":
        cmd = [a.lar, "serve", "--port", str(port), "--threads", str(a.threads), "--parallel", str(room), a.model]
    else:
        cmd = [a.peer, "-m", a.model, "-t", str(a.threads), "-np", str(room), "-c", str(2048 * room), "--host", "127.0.0.1",
               "--port", str(port), "--no-webui"]
    p = proc[which] = subprocess.Popen(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            c.request("GET", "/health")
            if c.getresponse().status == 200:
                return
        except OSError:
            pass
        if p.poll() is not None:
            sys.exit(f"{which} did not start: {' '.join(cmd)}")
        time.sleep(0.1)
    sys.exit(f"{which} does not answer")


def stream(port, prompt, out, until):
    began, first, tokens, reads = time.monotonic(), None, 0, 0
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=max(1, until - began))
    body = dict(prompt=prompt, max_tokens=a.tokens, temperature=0, stream=True, stream_options={"include_usage": True})
    try:
        c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        for line in c.getresponse():
            if not line.startswith(b"data: {"):
                continue
            j = json.loads(line[6:])
            if j.get("choices") and j["choices"][0].get("text") and first is None:
                first = time.monotonic() - began
            if j.get("usage"):
                tokens, reads = j["usage"]["completion_tokens"], j["usage"]["prompt_tokens"]
    except (OSError, http.client.HTTPException):
        pass
    c.close()
    out.append((first, tokens, reads))


def cell(port, kind, n, prompts):
    out, began = [], time.monotonic()
    threads = [threading.Thread(target=stream, args=(port, p, out, began + a.seconds)) for p in prompts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - began
    first = sorted(x[0] for x in out if x[0] is not None)
    cut = sum(1 for x in out if not x[1])
    if not first:
        return None, cut, 0
    p99 = first[min(len(first) - 1, int(len(first) * 0.99))]
    return (sum(x[1] for x in out) / took, first[len(first) // 2], p99), cut, max(x[2] for x in out)


# one server at a time has the machine: the other is stopped meanwhile
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
port, proc = {w: free_port() for w in ("lar", "peer")}, {}
try:
    for w in port:
        start(w, port[w])
    proc["peer"].send_signal(signal.SIGSTOP)
    print("| prompts | streams | prompt tokens | tokens/s | first token, p50 | p99 |\n|---|---|---|---|---|---|", flush=True)
    for kind in a.kinds.split(","):
        shared = text(SHARED) + " " if kind == "shared" else ""
        for n in cells:
            prompts = [shared + text(OWN[kind]) for _ in range(n)]
            got, cut, reads = {}, {}, 0
            for w in ("lar", "peer"):
                other = "peer" if w == "lar" else "lar"
                proc[other].send_signal(signal.SIGSTOP)
                proc[w].send_signal(signal.SIGCONT)
                if shared:
                    stream(port[w], shared, [], time.monotonic() + 60)
                got[w], cut[w], reads = cell(port[w], kind, n, prompts)

            def pair(i, form):
                return " / ".join(form.format(got[w][i]) if got[w] else "-" for w in ("lar", "peer"))

            late = "".join(f" ({cut[w]} of {w}'s cut off)" for w in cut if cut[w])
            print(f"| {kind} | {n} | {reads} | {pair(0, '{:.1f}')}{late} | {pair(1, '{:.2f} s')} | {pair(2, '{:.2f} s')} |", flush=True)
finally:
    for p in proc.values():
        p.send_signal(signal.SIGCONT)
        p.terminate()
    for p in proc.values():
        p.wait()
