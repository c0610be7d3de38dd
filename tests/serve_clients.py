# SPDX-License-Identifier: Apache-2.0
# tests/serve_clients.py URL KIND: the official Python packages against a running `lar serve` that has the demonstration model as "demo".
# KIND is openai, ollama or anthropic. Prints "ok SENTENCE" or "not ok SENTENCE: why" a line; tests/serve_clients.t numbers them.
import json
import sys
import traceback

url, kind = sys.argv[1:3]
message = "Hi, where is my order A-48213? Please answer asap!"
messages = [{"role": "user", "content": message}]
schema = {
    "type": "object",
    "properties": {"late": {"type": "boolean"}, "who": {"enum": ["me", "you"]}},
    "required": ["late", "who"],
    "additionalProperties": False,
}


def case(sentence, check):
    try:
        fine = check()
        print(("ok " if fine else "not ok ") + sentence)
    except Exception:
        print("not ok " + sentence + ": " + traceback.format_exc().replace("\n", " | "))


def raises(error, call, words=""):
    try:
        call()
    except error as e:
        return words in str(e)
    return False


def is_answer(text):
    return json.loads(text)["order_id"] == "A-48213"


def follows(text):
    v = json.loads(text)
    return isinstance(v["late"], bool) and v["who"] in ("me", "you") and len(v) == 2


def with_openai():
    import openai

    c = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    ask = dict(model="demo", messages=messages, temperature=0)
    case("openai: a chat", lambda: is_answer(c.chat.completions.create(**ask).choices[0].message.content))

    def stream():
        text, usage = "", None
        for e in c.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask):
            if e.choices:
                text += e.choices[0].delta.content or ""
            usage = e.usage or usage
        return is_answer(text) and usage.completion_tokens > 10

    case("openai: a stream", stream)
    case("openai: several answers", lambda: len(c.chat.completions.create(n=3, max_completion_tokens=4, **ask).choices) == 3)
    lp = lambda: c.chat.completions.create(logprobs=True, top_logprobs=2, max_tokens=3, **ask).choices[0].logprobs.content
    case("openai: logprobs", lambda: len(lp()) == 3 and len(lp()[0].top_logprobs) == 2)
    form = {"type": "json_schema", "json_schema": {"name": "late", "strict": True, "schema": schema}}
    case("openai: a schema", lambda: follows(c.chat.completions.create(response_format=form, **ask).choices[0].message.content))
    case("openai: a text", lambda: c.completions.create(model="demo", prompt="Hi", max_tokens=3).usage.completion_tokens <= 3)
    case("openai: models", lambda: [m.id for m in c.models.list()] == ["demo"] and c.models.retrieve("demo").id == "demo")
    case("openai: an unknown model", lambda: raises(openai.NotFoundError, lambda: c.chat.completions.create(model="no", messages=messages)))
    bad = lambda: c.chat.completions.create(extra_body={"frobnicate": 1}, **ask)
    case("openai: an unknown option", lambda: raises(openai.BadRequestError, bad, "frobnicate"))
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    case("openai: an image", lambda: raises(openai.BadRequestError, lambda: c.chat.completions.create(model="demo", messages=image), "image_url"))

    def leave():
        s = c.chat.completions.create(stream=True, **ask)
        next(iter(s))
        s.close()
        return is_answer(c.chat.completions.create(**ask).choices[0].message.content)

    case("openai: leaving a stream", leave)


def with_ollama():
    import ollama

    c = ollama.Client(host=url)
    ask = dict(model="demo", messages=messages, options={"temperature": 0})
    case("ollama: a chat", lambda: is_answer(c.chat(**ask).message.content))
    case("ollama: a stream", lambda: is_answer("".join(e.message.content for e in c.chat(stream=True, **ask))))
    case("ollama: generate", lambda: is_answer(c.generate(model="demo", prompt=message, options={"temperature": 0}).response))
    case("ollama: a schema", lambda: follows(c.chat(format=schema, **ask).message.content))
    case("ollama: its list", lambda: [m.model for m in c.list().models] == ["demo"])
    case("ollama: show", lambda: c.show("demo").details.family == "qwen3" and "completion" in c.show("demo").capabilities)
    case("ollama: ps", lambda: [m.model for m in c.ps().models] == ["demo"])
    case("ollama: an unknown model", lambda: raises(ollama.ResponseError, lambda: c.chat(model="no", messages=messages), "not found"))
    case("ollama: durations", lambda: c.chat(**ask).total_duration > 1000 and c.chat(**ask).eval_count > 10)


def with_anthropic():
    import anthropic

    c = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
    ask = dict(model="demo", messages=messages, max_tokens=300, extra_body={"temperature": 0})
    case("anthropic: a message", lambda: is_answer(c.messages.create(**ask).content[0].text))

    def stream():
        with c.messages.stream(**ask) as s:
            text = "".join(s.text_stream)
            return is_answer(text) and s.get_final_message().stop_reason == "end_turn"

    case("anthropic: a stream", stream)
    case("anthropic: a system prompt", lambda: c.messages.create(system="Be kind.", **ask).usage.output_tokens > 5)
    case("anthropic: counting", lambda: c.messages.count_tokens(model="demo", messages=messages).input_tokens > 10)
    stop = lambda: c.messages.create(stop_sequences=["urgency"], **ask)
    case("anthropic: a stop sequence", lambda: stop().stop_sequence == "urgency")
    form = {"format": {"type": "json_schema", "schema": schema}}
    case("anthropic: a schema", lambda: follows(c.messages.create(output_config=form, **ask).content[0].text))
    no = lambda: c.messages.create(model="no", messages=messages, max_tokens=3)
    case("anthropic: an unknown model", lambda: raises(anthropic.NotFoundError, no))


{"openai": with_openai, "ollama": with_ollama, "anthropic": with_anthropic}[kind]()
