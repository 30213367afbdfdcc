"""What servers say when they refuse, in their own words, and what is made of it."""

from __future__ import annotations

import json

import pytest

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Completion, Reply
from thoughtgraph.models.status import other_limit, refused, unanswered
from thoughtgraph.models.waits import retry_after, seconds, wish

HERE = Endpoint("small", "http://h/v1")


def said(message: str, **more: object) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "parameter"),
    [
        (400, "Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        (400, "Unsupported value: 'temperature' does not support 0.2 with this model.", "temperature"),
        (400, "`temperature` is deprecated for this model.", "temperature"),
        (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "schema"),
        (400, "Invalid schema for response_format 'x': In context=(), 'required' is required", "schema"),
        (400, "Invalid parameter: 'response_format' must be one of 'json_object', 'text'.", "schema"),
        (400, "This model does not support response format `json_schema`. See supported models", "schema"),
        (400, "This response_format type is unavailable now", "schema"),
        (400, "The provided JSON schema contains features not supported by xgrammar.", "schema"),
        (400, "Failed to parse grammar", "schema"),
        (400, "JSON mode is not enabled for this model", "schema"),
        (403, "You are not allowed to request logprobs from this model", "logprobs"),
        (400, "Requested sample logprobs of 20, which is greater than max allowed: 5", "logprobs"),
        (400, "Unrecognized request argument supplied: seed", "seed"),
        (400, "Model grok-4 does not support parameter stop.", "stop"),
        (400, "stop sequences are not supported", "stop"),
        (400, "'n' : number must be at most 1", "n"),
        (400, "n must be 1 when using greedy sampling, got 3.", "n"),
        (500, "Only one completion choice is allowed", "n"),
        (400, "Multiple candidates is not enabled for this model", "n"),
        (400, "UnsupportedParamsError: ollama does not support parameters: ['n'], for model=x", "n"),
    ],
)
def test_a_setting_that_is_refused_is_named_as_a_request_names_it(status, message, parameter):
    error = refused(HERE, status, {}, said(message))
    assert isinstance(error, Unsupported)
    assert error.parameter == parameter
    assert message[:30] in str(error)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."),
        (400, "Unsupported parameter: 'reasoning_effort'. Supported parameters: temperature, seed, n"),
        (400, "image input is not supported by this model"),
        (400, "Unknown model: seed-oss-36b"),
        (403, "Your account is not allowed to use this model"),
        (500, "Server unavailable, please stop sending requests"),
        (503, "The model is temporarily unavailable"),
    ],
)
def test_what_is_something_else_is_not_taken_for_a_setting(status, message):
    """A setting that is dropped for no reason changes what was asked."""
    assert not isinstance(refused(HERE, status, {}, said(message)), Unsupported)


@pytest.mark.parametrize(
    ("param", "code", "parameter"),
    [
        ("temperature", "unsupported_value", "temperature"),
        ("response_format", "unsupported_parameter", "schema"),
        ("text.format.schema", "invalid_json_schema", "schema"),
        ("top_logprobs", "unsupported_parameter", "logprobs"),
        ("n", "unsupported_parameter", "n"),
    ],
)
def test_openai_names_the_parameter_in_a_field(param, code, parameter):
    error = refused(HERE, 400, {}, said("no", param=param, code=code))
    assert isinstance(error, Unsupported)
    assert error.parameter == parameter


def test_a_value_out_of_range_is_rejected_and_not_dropped():
    error = refused(HERE, 400, {}, said("expected <= 2", param="temperature", code="decimal_above_max_value"))
    assert (type(error), error.cause) == (ModelError, "rejected")


def test_a_list_of_what_is_wrong_is_read_without_the_prompt_in_it():
    """FastAPI's servers send the whole request back."""
    wrong = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}
    error = refused(HERE, 422, {}, json.dumps({"detail": [{**wrong, "input": "my secret prompt"}]}).encode())
    assert isinstance(error, Unsupported)
    assert error.parameter == "seed"
    assert "secret prompt" not in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",  # OpenAI, vLLM
        "Your input exceeds the context window of this model. Please adjust your input and try again.",  # OpenAI
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",  # vLLM
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",  # SGLang
        "the request exceeds the available context size, try increasing it",  # llama.cpp
        "the input length exceeds the context length",  # Ollama
        "prompt is too long: 250000 tokens > 200000 maximum",  # Anthropic
        "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000",  # Anthropic
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",  # Gemini
        "Input is too long for requested model.",  # Bedrock
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",  # TGI
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",  # xAI
    ],
)
def test_too_long_a_prompt_is_told_in_many_words(message):
    assert refused(HERE, 400, {}, said(message)).cause == "context too long"


@pytest.mark.parametrize(
    "message", ["max_tokens is too large: 50000. This model supports at most 16384", "the context is odd"]
)
def test_other_complaints_are_no_long_prompt(message):
    assert refused(HERE, 400, {}, said(message)).cause == "rejected"


def test_a_prompt_that_was_filtered_is_a_refused_draw():
    """One thought's words were to blame: the run goes on, and what it cost nobody said."""
    raw = said("The prompt triggered the content management policy", code="content_filter")
    got = unanswered(HERE, 400, {}, raw)
    reply = Reply("The prompt triggered the content management policy", "content_filter")
    assert got == Completion((reply,), prompt_tokens=None, completion_tokens=0)


def test_what_was_not_filtered_is_an_error():
    with pytest.raises(ModelError, match="answered 400: no"):
        unanswered(HERE, 400, {}, said("no"))


def test_a_model_that_is_not_there_is_told_with_the_nearest_that_is():
    error = refused(HERE, 404, {}, said("no such model"), near="smaller")
    assert isinstance(error, Unauthorized)
    assert "'small' (did you mean 'smaller'?)" in str(error)


def test_a_body_in_a_list_is_read_too():
    """Google's servers answer so."""
    raw = b'[{"error": {"code": 429, "message": "slow down", "details": [{"retryDelay": "13s"}]}}]'
    error = refused(HERE, 429, {}, raw)
    assert isinstance(error, Unavailable)
    assert (error.cause, error.retry_after) == ("429", 13)
    assert "slow down" in str(error)


def test_the_newer_name_of_the_bound_is_heard():
    use = said("Unsupported parameter: 'max_tokens' ... Use 'max_completion_tokens' instead.", param="max_tokens")
    assert other_limit(use, "max_tokens")
    assert not other_limit(use, "max_completion_tokens")
    assert not other_limit(said("max_tokens is too large"), "max_tokens")


# -- waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "wait"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("10", 10), ("7.66s", 7.66), ("soon", None)],
)
def test_spans_of_time_are_read(span, wait):
    assert seconds(span) == wait


def test_the_reset_of_a_rate_limit_counts_where_there_is_no_wish():
    headers = {"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}
    spent = {**headers, "x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "0"}
    assert retry_after(spent, rates=True) == 360
    assert retry_after(headers, rates=True) == 1
    assert retry_after({**spent, "retry-after": "3"}, rates=True) == 3


def test_rate_limits_say_nothing_about_other_failures():
    headers = {"x-ratelimit-reset-requests": "60s"}
    for status, wait in ((429, 60), (503, None)):
        error = refused(HERE, status, headers, b"")
        assert isinstance(error, Unavailable)
        assert error.retry_after == wait


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("Rate limit reached. Please try again in 6m0s. Visit", 360),
        ("Please retry in 13.5s.", 13.5),
        ("try again in a while", None),
        ('{"retryDelay": "13s"}', 13),
    ],
)
def test_a_wish_in_words_is_heard(text, wait):
    assert wish(text.encode()) == wait


def test_a_wish_in_a_header_wins_over_words():
    error = refused(HERE, 429, {"retry-after": "2"}, said("Please try again in 20s"))
    assert isinstance(error, Unavailable)
    assert error.retry_after == 2
