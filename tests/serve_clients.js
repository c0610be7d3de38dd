// SPDX-License-Identifier: Apache-2.0
// tests/serve_clients.js URL KIND: the official npm packages against a running `lar serve` that has the demonstration model as "demo". KIND is
// openai, responses, ollama or anthropic. Prints "ok SENTENCE" or "not ok SENTENCE: why" a line; tests/serve_clients.t numbers them.
'use strict';
const [url, kind] = process.argv.slice(2);
const message = 'Hi, where is my order A-48213? Please answer asap!';
const messages = [{ role: 'user', content: message }];
const parameters = {
    type: 'object',
    properties: { order: { enum: ['A-1', 'B-2'] }, full: { type: 'boolean' } },
    required: ['order', 'full'],
    additionalProperties: false,
};
const about = { name: 'refund', description: 'Pays back', parameters };
const tool = { type: 'function', function: about };
const schema = {
    type: 'object',
    properties: { late: { type: 'boolean' }, who: { enum: ['me', 'you'] } },
    required: ['late', 'who'],
    additionalProperties: false,
};
const isAnswer = (text) => JSON.parse(text).order_id === 'A-48213';
const isRefund = (name, v) => name === 'refund' && ['A-1', 'B-2'].includes(v.order) && typeof v.full === 'boolean';
const follows = (text) => typeof JSON.parse(text).late === 'boolean' && ['me', 'you'].includes(JSON.parse(text).who);

async function check(sentence, f) {
    try {
        console.log(((await f()) ? 'ok ' : 'not ok ') + sentence + ' (npm)');
    } catch (e) {
        console.log('not ok ' + sentence + ' (npm): ' + String(e.stack).replace(/\n/g, ' | '));
    }
}

async function throws(f, name, words) {
    try {
        await f();
    } catch (e) {
        return e.constructor.name === name && String(e.message).includes(words);
    }
    return false;
}

async function all(stream) {
    const list = [];
    for await (const e of stream) list.push(e);
    return list;
}

function client() {
    const { OpenAI } = require('openai');
    return new OpenAI({ baseURL: url + '/v1', apiKey: 'none', maxRetries: 0 });
}

async function withOpenai() {
    const c = client(), chat = (x) => c.chat.completions.create({ model: 'demo', messages, temperature: 0, ...x });
    await check('openai: a chat', async () => isAnswer((await chat()).choices[0].message.content));
    await check('openai: a stream', async () => {
        const list = await all(await chat({ stream: true, stream_options: { include_usage: true } }));
        return isAnswer(list.map((e) => e.choices[0]?.delta.content ?? '').join('')) && list.at(-1).usage.completion_tokens > 10;
    });
    const form = { type: 'json_schema', json_schema: { name: 'late', strict: true, schema } };
    await check('openai: a schema', async () => follows((await chat({ response_format: form })).choices[0].message.content));
    const must = { tools: [tool], tool_choice: 'required', parallel_tool_calls: false };
    await check('openai: a tool, and what it gave', async () => {
        const m = (await chat(must)).choices[0].message, t = m.tool_calls[0];
        const back = [...messages, m, { role: 'tool', tool_call_id: t.id, content: 'done' }];
        const more = await chat({ messages: back, tools: [tool], max_tokens: 3 });
        return isRefund(t.function.name, JSON.parse(t.function.arguments)) && more.usage.completion_tokens > 0;
    });
    await check('openai: a tool in a stream', async () => {
        const s = c.chat.completions.stream({ model: 'demo', messages, temperature: 0, ...must });
        const t = (await s.finalChatCompletion()).choices[0].message.tool_calls[0];
        return isRefund(t.function.name, JSON.parse(t.function.arguments));
    });
    await check('openai: a text', async () => (await c.completions.create({ model: 'demo', prompt: 'Hi', max_tokens: 3 })).usage.completion_tokens <= 3);
    await check('openai: models', async () => (await all(await c.models.list())).some((m) => m.id === 'demo'));
    await check('openai: an unknown model', () => throws(() => chat({ model: 'no' }), 'NotFoundError', 'not found'));
    await check('openai: an unknown option', () => throws(() => chat({ frobnicate: 1 }), 'BadRequestError', 'frobnicate'));
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }] }];
    await check('openai: an image', () => throws(() => chat({ messages: image }), 'BadRequestError', 'image_url'));
    const embed = async (x) => (await c.embeddings.create({ model: 'embed', input: ['a kettle', 'a ship'], ...x })).data.map((d) => d.embedding);
    await check('openai: vectors, also in base64', async () => {
        const [plain, packed] = [await embed({ encoding_format: 'float' }), await embed()];
        return plain.length === 2 && plain.every((v, i) => v.every((x, k) => Math.abs(x - packed[i][k]) < 1e-6));
    });
    await check('openai: leaving a stream', async () => {
        const s = await chat({ stream: true });
        for await (const e of s) if (e) break;
        s.controller.abort();
        return isAnswer((await chat()).choices[0].message.content);
    });
}

async function withResponses() {
    const c = client(), ask = (x) => c.responses.create({ model: 'demo', input: message, temperature: 0, ...x });
    const first = await ask();
    await check('responses: an answer', () => isAnswer(first.output_text) && first.status === 'completed');
    await check('responses: it is kept', async () => (await c.responses.retrieve(first.id)).output_text === first.output_text);
    await check('responses: going on from it', async () => {
        const r = await ask({ input: 'And B-1?', previous_response_id: first.id });
        const items = await all(c.responses.inputItems.list(r.id, { order: 'asc', limit: 1 }));
        return r.usage.input_tokens > first.usage.total_tokens && items.map((i) => i.role).join() === 'user,assistant,user';
    });
    await check('responses: a stream', async () => {
        const list = await all(await ask({ stream: true }));
        const text = list.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join('');
        return isAnswer(text) && list.every((e, i) => e.sequence_number === i) && list.at(-1).type === 'response.completed';
    });
    await check("responses: the client's own stream", async () =>
        isAnswer((await c.responses.stream({ model: 'demo', input: message, temperature: 0 }).finalResponse()).output_text));
    const text = { format: { type: 'json_schema', name: 'late', strict: true, schema } };
    await check('responses: a schema', async () => follows((await ask({ text })).output_text));
    const flat = { type: 'function', strict: true, ...about };
    await check('responses: a tool, and what it gave', async () => {
        const r = await ask({ tools: [flat], tool_choice: 'required', parallel_tool_calls: false }), t = r.output[0];
        const input = [{ type: 'function_call_output', call_id: t.call_id, output: 'done' }];
        const more = await ask({ previous_response_id: r.id, input, tools: [flat], max_output_tokens: 3 });
        return isRefund(t.name, JSON.parse(t.arguments)) && more.incomplete_details.reason === 'max_output_tokens';
    });
    await check('responses: a tool in a stream', async () => {
        const s = c.responses.stream({ model: 'demo', input: message, tools: [flat], tool_choice: 'required', parallel_tool_calls: false });
        const t = (await s.finalResponse()).output[0];
        return isRefund(t.name, JSON.parse(t.arguments));
    });
    await check('responses: deleted', async () => {
        await c.responses.delete(first.id);
        return throws(() => c.responses.retrieve(first.id), 'NotFoundError', first.id);
    });
    await check('responses: in the background', () => throws(() => ask({ background: true }), 'BadRequestError', 'background'));
}

async function withOllama() {
    const { Ollama } = require('ollama');
    const c = new Ollama({ host: url }), chat = (x) => c.chat({ model: 'demo', messages, options: { temperature: 0 }, ...x });
    await check('ollama: a chat', async () => isAnswer((await chat()).message.content));
    await check('ollama: a stream', async () => isAnswer((await all(await chat({ stream: true }))).map((e) => e.message.content).join('')));
    await check('ollama: generate', async () =>
        isAnswer((await c.generate({ model: 'demo', prompt: message, options: { temperature: 0 } })).response));
    await check('ollama: a schema', async () => follows((await chat({ format: schema })).message.content));
    await check('ollama: tools that are not needed', async () => (await chat({ tools: [tool] })).message.content.length > 0);
    await check('ollama: its list, show, ps', async () =>
        (await c.list()).models.some((m) => m.model === 'demo') && (await c.show({ model: 'demo' })).details.family === 'qwen3' &&
        (await c.ps()).models.length >= 1);
    const image = [{ role: 'user', content: 'x', images: ['AA=='] }];
    await check('ollama: an image', () => throws(() => chat({ messages: image }), 'ResponseError', 'images'));
    await check('ollama: an unknown model', () => throws(() => chat({ model: 'no' }), 'ResponseError', 'not found'));
    await check('ollama: vectors', async () => (await c.embed({ model: 'embed', input: ['a', 'b'] })).embeddings.length === 2);
    await check('ollama: leaving a stream', async () => {
        const s = await chat({ stream: true });
        try {
            for await (const e of s) s.abort(e);
        } catch (e) {
            return e.name === 'AbortError' && isAnswer((await chat()).message.content);
        }
        return false;
    });
}

async function withAnthropic() {
    const { Anthropic } = require('@anthropic-ai/sdk');
    const c = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
    const base = { model: 'demo', messages, max_tokens: 300, temperature: 0 }, ask = (x) => c.messages.create({ ...base, ...x });
    await check('anthropic: a message', async () => isAnswer((await ask()).content[0].text));
    await check('anthropic: a stream', async () => {
        const m = await c.messages.stream(base).finalMessage();
        return isAnswer(m.content[0].text) && m.stop_reason === 'end_turn';
    });
    const form = { format: { type: 'json_schema', schema } };
    await check('anthropic: a schema', async () => follows((await ask({ output_config: form })).content[0].text));
    const use = { tools: [{ name: 'refund', description: 'Pays back', input_schema: parameters }], tool_choice: { type: 'any', disable_parallel_tool_use: true } };
    await check('anthropic: a tool, and what it gave', async () => {
        const m = await ask(use), t = m.content[0];
        const back = [...messages, { role: 'assistant', content: m.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: t.id, content: 'done' }] }];
        return isRefund(t.name, t.input) && (await ask({ messages: back, tools: use.tools, max_tokens: 3 })).usage.output_tokens > 0;
    });
    await check('anthropic: a tool in a stream', async () => {
        const t = (await c.messages.stream({ ...base, ...use }).finalMessage()).content[0];
        return isRefund(t.name, t.input);
    });
    await check('anthropic: counting', async () => (await c.messages.countTokens({ model: 'demo', messages })).input_tokens > 10);
    const image = [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA==' } }] }];
    await check('anthropic: an image', () => throws(() => ask({ messages: image }), 'BadRequestError', 'image'));
    await check('anthropic: an unknown model', () => throws(() => ask({ model: 'no' }), 'NotFoundError', 'not found'));
    await check('anthropic: leaving a stream', async () => {
        const s = await ask({ stream: true });
        for await (const e of s) if (e.type === 'content_block_delta') break;
        return isAnswer((await ask()).content[0].text);
    });
}

({ openai: withOpenai, responses: withResponses, ollama: withOllama, anthropic: withAnthropic })[kind]();
