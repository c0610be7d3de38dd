/* SPDX-License-Identifier: Apache-2.0
 * serve/metrics.c: see metrics.h. */
#include "serve/metrics.h"

static const double bounds[METRICS_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                               0.5,   1,      2.5,   5,    10,    30,   60,  300};

static const double counts[METRICS_BUCKETS] = {0,   5,   10,   25,   50,   100,   250,   500,
                                               1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 64e3, 128e3};

static void note(struct histogram *h, const double *bound, double v)
{
    h->n++;
    h->sum += v;
    for (int i = 0; i < METRICS_BUCKETS; i++)
        if (v <= bound[i]) {
            h->count[i]++;
            return;
        }
}

void metrics_note(struct histogram *h, double seconds) { note(h, bounds, seconds); }
void metrics_note_count(struct histogram *h, double n) { note(h, counts, n); }

void metrics_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_one(struct buf *b, const char *name, const char *type, const char *help, double v)
{
    metrics_head(b, name, type, help);
    buf_printf(b, "%s ", name);
    buf_json_num(b, v);
    buf_putc(b, '\n');
}

static void histogram(struct buf *b, const char *name, const char *help, const struct histogram *h, const double *bound)
{
    long sum = 0;
    metrics_head(b, name, "histogram", help);
    for (int i = 0; i < METRICS_BUCKETS; i++)
        buf_printf(b, "%s_bucket{le=\"%g\"} %ld\n", name, bound[i], sum += h->count[i]);
    buf_printf(b, "%s_bucket{le=\"+Inf\"} %ld\n%s_sum %.9g\n%s_count %ld\n", name, h->n, name,
               h->sum, name, h->n);
}

void metrics_write(struct buf *b, const struct metrics *m)
{
    metrics_head(b, "lar_requests_total", "counter", "Requests by how they ended.");
    buf_printf(b, "lar_requests_total{result=\"done\"} %ld\n", m->done);
    buf_printf(b, "lar_requests_total{result=\"failed\"} %ld\n", m->failed - m->gone);
    buf_printf(b, "lar_requests_total{result=\"gone\"} %ld\n", m->gone);
    buf_printf(b, "lar_requests_total{result=\"refused\"} %ld\n", m->refused);
    metrics_one(b, "lar_requests_running", "gauge", "Requests that wait or are being answered.",
        (double)m->running);
    metrics_one(b, "lar_rows_waiting", "gauge", "Answers that wait for a place.", (double)m->waiting);
    metrics_one(b, "lar_prompt_tokens_total", "counter", "Prompt tokens evaluated.",
        (double)m->prompt_tokens);
    metrics_one(b, "lar_prompt_tokens_reused_total", "counter", "Prompt tokens that were there already.",
        (double)m->reused_tokens);
    metrics_one(b, "lar_answer_tokens_total", "counter", "Tokens of answers.", (double)m->answer_tokens);
    metrics_one(b, "lar_guessed_tokens_total", "counter", "Tokens guessed, by lookup or a draft.",
                (double)m->guessed_tokens);
    metrics_one(b, "lar_guessed_right_tokens_total", "counter", "Guessed tokens that became an answer's.",
        (double)m->right_tokens);
    metrics_one(b, "lar_steps_total", "counter", "Steps of models.", (double)m->steps);
    metrics_one(b, "lar_step_seconds_total", "counter", "Time in steps.", m->step_s);
    metrics_one(b, "lar_prompt_step_seconds_total", "counter", "Time in steps that had prompts in them.",
        m->prompt_s);
    metrics_one(b, "lar_kv_reserved_bytes", "gauge", "Keys and values reserved by answers at work.",
        m->kv_bytes);
    metrics_one(b, "lar_kv_kept_bytes", "gauge",
        "Keys and values of kept beginnings, shared ones counted for each.", m->cache_bytes);
    metrics_one(b, "lar_kv_limit_bytes", "gauge", "Keys and values at most.", m->kv_limit);
    metrics_one(b, "lar_grammars_compiled_total", "counter", "Schemas, grammars and lists of tools compiled.",
        (double)m->compiled);
    metrics_one(b, "lar_grammars_reused_total", "counter", "Those that were there already.", (double)m->found);
    metrics_one(b, "lar_grammars_kept_bytes", "gauge", "Memory of compiled grammars that are kept.", m->compiled_bytes);
    histogram(b, "lar_first_token_seconds", "From arrival to the first token.", &m->first, bounds);
    histogram(b, "lar_between_tokens_seconds", "From one token of an answer to the next.", &m->between, bounds);
    histogram(b, "lar_queue_seconds", "From arrival until evaluation began.", &m->queue, bounds);
    histogram(b, "lar_prompt_tokens_per_second", "How fast prompts were read, reused tokens not counted.",
              &m->prompt_rate, counts);
    histogram(b, "lar_answer_tokens_per_second", "How fast answers were written.", &m->answer_rate, counts);
    histogram(b, "lar_cached_prompt_tokens", "Tokens of a prompt that were there already.", &m->cached, counts);
}
