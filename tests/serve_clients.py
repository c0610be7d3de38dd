# SPDX-License-Identifier: Apache-2.0
# tests/serve_clients.py URL KIND: the official Python packages against a running `lar serve` that has the demonstration model as "demo".
# KIND is openai, responses, ollama or anthropic. Prints "ok SENTENCE" or "not ok SENTENCE: why" a line; tests/serve_clients.t numbers them.
import json
import sys
import traceback

url, kind = sys.argv[1:3]
message = "Hi, where is my order A-48213? Please answer asap!"
messages = [{"role": "user", "content": message}]
tool = {
    "type": "function",
    "function": {
        "name": "refund",
        "description": "Pays back",
        "parameters": {
            "type": "object",
            "properties": {"order": {"enum": ["A-1", "B-2"]}, "full": {"type": "boolean"}},
            "required": ["order", "full"],
            "additionalProperties": False,
        },
    },
}
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


def is_refund(name, v):
    return name == "refund" and v["order"] in ("A-1", "B-2") and isinstance(v["full"], bool) and len(v) == 2


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
    case("openai: models", lambda: "demo" in [m.id for m in c.models.list()] and c.models.retrieve("demo").id == "demo")
    case("openai: an unknown model", lambda: raises(openai.NotFoundError, lambda: c.chat.completions.create(model="no", messages=messages)))
    bad = lambda: c.chat.completions.create(extra_body={"frobnicate": 1}, **ask)
    case("openai: an unknown option", lambda: raises(openai.BadRequestError, bad, "frobnicate"))
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    case("openai: an image", lambda: raises(openai.BadRequestError, lambda: c.chat.completions.create(model="demo", messages=image), "image_url"))

    def vectors(**x):
        return [d.embedding for d in c.embeddings.create(model="embed", input=["a kettle", "a ship"], **x).data]

    def same():
        plain, packed, ids = vectors(encoding_format="float"), vectors(), c.embeddings.create(model="embed", input=[[5, 6], [7]]).data
        return len(ids) == 2 and all(abs(a - b) < 1e-6 for v, w in zip(plain, packed) for a, b in zip(v, w))

    case("openai: vectors, also in base64", same)
    case("openai: shorter vectors", lambda: [len(v) for v in vectors(dimensions=4)] == [4, 4])
    bias = lambda: c.chat.completions.create(logit_bias={"65": 100}, max_tokens=3, **ask).choices[0].message.content
    case("openai: a bias", lambda: bias() == "AAA")

    def scored():
        x = c.completions.create(model="demo", prompt=["Hi there", [682, 32, 65]], echo=True, logprobs=1, max_tokens=0)
        a, b = x.choices
        return a.text == "Hi there" and b.text == "Order A" and len(b.logprobs.tokens) == 3 and b.logprobs.token_logprobs[0] is None

    case("openai: how probable a text is", scored)
    must = dict(tools=[tool], tool_choice="required", parallel_tool_calls=False)

    def call():
        x = c.chat.completions.create(**must, **ask).choices[0]
        f = x.message.tool_calls[0].function
        back = messages + [x.message, {"role": "tool", "tool_call_id": x.message.tool_calls[0].id, "content": "done"}]
        more = c.chat.completions.create(model="demo", messages=back, tools=[tool], max_tokens=3)
        return x.finish_reason == "tool_calls" and is_refund(f.name, json.loads(f.arguments)) and more.usage.completion_tokens > 0

    case("openai: a tool, and what it gave", call)

    def call_stream():
        name, args, ids, reason = "", "", set(), None
        for e in c.chat.completions.create(stream=True, **must, **ask):
            for t in e.choices[0].delta.tool_calls or []:
                name += t.function.name or ""
                args += t.function.arguments or ""
                ids.add((t.index, t.id))
            reason = e.choices[0].finish_reason or reason
        return is_refund(name, json.loads(args)) and reason == "tool_calls" and len([i for i in ids if i[1]]) == 1

    case("openai: a tool in a stream", call_stream)
    one = dict(tools=[tool], tool_choice={"type": "function", "function": {"name": "refund"}}, parallel_tool_calls=False)
    case("openai: the tool by its name", lambda: len(c.chat.completions.create(**one, **ask).choices[0].message.tool_calls) == 1)

    def leave():
        s = c.chat.completions.create(stream=True, **ask)
        next(iter(s))
        s.close()
        return is_answer(c.chat.completions.create(**ask).choices[0].message.content)

    case("openai: leaving a stream", leave)


def with_responses():
    import openai
    import pydantic

    c = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    ask = dict(model="demo", temperature=0)
    first = c.responses.create(input=message, **ask)
    case("responses: an answer", lambda: is_answer(first.output_text) and first.status == "completed" and first.usage.output_tokens > 10)
    case("responses: it is kept", lambda: c.responses.retrieve(first.id).output_text == first.output_text)
    again = c.responses.create(input="And B-1?", previous_response_id=first.id, instructions="Be kind.", **ask)
    case("responses: going on from it", lambda: again.usage.input_tokens > first.usage.total_tokens and again.previous_response_id == first.id)
    roles = lambda **x: [i.role for i in c.responses.input_items.list(again.id, **x)]
    case("responses: what it was asked", lambda: roles() == ["user", "assistant", "user"])
    case("responses: page by page", lambda: roles(limit=1, order="asc") == ["user", "assistant", "user"])
    items = [{"role": "user", "content": message}] + first.output + [{"role": "user", "content": [{"type": "input_text", "text": "And B-1?"}]}]
    same = c.responses.create(input=items, instructions="Be kind.", **ask)
    case("responses: the same by sending all", lambda: same.output_text == again.output_text and same.usage.input_tokens == again.usage.input_tokens)

    def stream():
        events = list(c.responses.create(input=message, stream=True, include=["message.output_text.logprobs"], **ask))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        probs = sum(len(e.logprobs) for e in events if e.type == "response.output_text.delta")
        done = events[-1].response.output[0].content[0]
        return is_answer(text) and [e.sequence_number for e in events] == list(range(len(events))) and len(done.logprobs) == probs > 10

    case("responses: a stream", stream)

    def helper():
        with c.responses.stream(input=message, **ask) as s:
            return is_answer(s.get_final_response().output_text)

    case("responses: the client's own stream", helper)

    class Late(pydantic.BaseModel):
        late: bool
        who: str

    case("responses: a schema", lambda: isinstance(c.responses.parse(input=message, text_format=Late, **ask).output_parsed, Late))
    f = tool["function"]
    flat = dict(type="function", name=f["name"], description=f["description"], parameters=f["parameters"], strict=True)
    use = dict(tools=[flat], tool_choice={"type": "function", "name": "refund"}, parallel_tool_calls=False)

    def call():
        r = c.responses.create(input=message, **use, **ask)
        t = r.output[0]
        back = [{"type": "function_call_output", "call_id": t.call_id, "output": "done"}]
        more = c.responses.create(previous_response_id=r.id, input=back, tools=[flat], max_output_tokens=3, **ask)
        return is_refund(t.name, json.loads(t.arguments)) and more.incomplete_details.reason == "max_output_tokens" and more.status == "incomplete"

    case("responses: a tool, and what it gave", call)

    def call_stream():
        events = list(c.responses.create(input=message, stream=True, **use, **ask))
        args = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
        last = events[-1].response.output[0]
        return is_refund(last.name, json.loads(args)) and last.arguments == args

    case("responses: a tool in a stream", call_stream)
    case("responses: counting", lambda: c.responses.input_tokens.count(model="demo", input=message).input_tokens == first.usage.input_tokens)
    gone = lambda r: raises(openai.NotFoundError, lambda: c.responses.retrieve(r.id))
    case("responses: not kept when told so", lambda: gone(c.responses.create(input="x", store=False, max_output_tokens=1, **ask)))
    c.responses.delete(first.id)
    case("responses: deleted", lambda: gone(first))
    case("responses: one that is gone", lambda: raises(openai.BadRequestError, lambda: c.responses.create(input="x", previous_response_id=first.id, **ask), first.id))
    no = lambda word, **x: raises(openai.BadRequestError, lambda: c.responses.create(**{"input": "x", **x}, **ask), word)
    case("responses: in the background", lambda: no("background", background=True))
    case("responses: a tool of OpenAI's own", lambda: no("web_search", tools=[{"type": "web_search"}]))
    image = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "auto"}]}]
    case("responses: an image", lambda: no("input_image", input=image))

    def leave():
        s = c.responses.create(input=message, stream=True, **ask)
        next(iter(s))
        s.close()
        return is_answer(c.responses.create(input=message, **ask).output_text)

    case("responses: leaving a stream", leave)


def with_ollama():
    import ollama

    c = ollama.Client(host=url)
    ask = dict(model="demo", messages=messages, options={"temperature": 0})
    case("ollama: a chat", lambda: is_answer(c.chat(**ask).message.content))
    case("ollama: a stream", lambda: is_answer("".join(e.message.content for e in c.chat(stream=True, **ask))))
    case("ollama: generate", lambda: is_answer(c.generate(model="demo", prompt=message, options={"temperature": 0}).response))
    case("ollama: a schema", lambda: follows(c.chat(format=schema, **ask).message.content))
    case("ollama: its list", lambda: "demo" in [m.model for m in c.list().models])
    case("ollama: show", lambda: c.show("demo").details.family == "qwen3" and "completion" in c.show("demo").capabilities)
    case("ollama: ps", lambda: "demo" in [m.model for m in c.ps().models])
    case("ollama: an unknown model", lambda: raises(ollama.ResponseError, lambda: c.chat(model="no", messages=messages), "not found"))
    case("ollama: vectors", lambda: len(c.embed(model="embed", input=["a", "b"]).embeddings) == 2)
    case("ollama: an image", lambda: raises(ollama.ResponseError, lambda: c.chat(model="demo", messages=[dict(messages[0], images=["AA=="])]), "images"))

    def leave():
        next(iter(c.chat(stream=True, **ask)))
        return is_answer(c.chat(**ask).message.content)

    case("ollama: leaving a stream", leave)

    def create():
        digest = c.create_blob("models/lar-demo-q8_0.gguf")
        made = c.create(model="clerk", files={"demo.gguf": digest}, parameters={"num_predict": 5}).status == "success"
        count = c.chat(model="clerk", messages=messages).eval_count
        c.copy("clerk", "other")
        names = sorted(m.model for m in c.list().models)
        c.delete("clerk"), c.delete("other")
        return made and count == 5 and "clerk:latest" in names and "other:latest" in names

    case("ollama: a model of its own", create)
    free = lambda: c.chat(tools=[tool], **ask)
    case("ollama: tools that are not needed", lambda: free().message.content and not free().message.tool_calls)
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
    f = tool["function"]
    use = dict(tools=[{"name": f["name"], "description": f["description"], "input_schema": f["parameters"]}])
    use["tool_choice"] = {"type": "any", "disable_parallel_tool_use": True}

    def call():
        m = c.messages.create(**use, **ask)
        t = m.content[0]
        result = {"type": "tool_result", "tool_use_id": t.id, "content": "done"}
        back = messages + [{"role": "assistant", "content": m.content}, {"role": "user", "content": [result]}]
        more = c.messages.create(model="demo", max_tokens=3, messages=back, tools=use["tools"])
        return m.stop_reason == "tool_use" and is_refund(t.name, t.input) and more.usage.output_tokens > 0

    case("anthropic: a tool, and what it gave", call)

    def call_stream():
        with c.messages.stream(**use, **ask) as s:
            m = s.get_final_message()
            return m.stop_reason == "tool_use" and is_refund(m.content[0].name, m.content[0].input)

    case("anthropic: a tool in a stream", call_stream)
    image = [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]}]
    case("anthropic: an image", lambda: raises(anthropic.BadRequestError, lambda: c.messages.create(model="demo", max_tokens=3, messages=image), "image"))

    def leave():
        with c.messages.stream(**ask) as s:
            next(iter(s.text_stream))
        return is_answer(c.messages.create(**ask).content[0].text)

    case("anthropic: leaving a stream", leave)
    no = lambda: c.messages.create(model="no", messages=messages, max_tokens=3)
    case("anthropic: an unknown model", lambda: raises(anthropic.NotFoundError, no))


{"openai": with_openai, "responses": with_responses, "ollama": with_ollama, "anthropic": with_anthropic}[kind]()
