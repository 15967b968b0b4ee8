"""What looks like a credential is masked, at any size, once and for all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.text.redact import MASK, redact, redact_line
from tests.support.import_graph import Tree

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
SECRET = "hunter2hunter2XY"

HIDDEN = [
    "Authorization: Bearer {}",
    "authorization: basic {}",
    "Proxy-Authorization: Negotiate {} more of it",
    'curl -H "Authorization: Bearer {}" https://example.test',
    "sent Bearer {} to it",
    "token={}",
    "API_KEY={} next",
    "api-key: {}",
    "x-api-key: {}",
    "password = {}",
    'password="{}"',
    "PASSWORD='with space {}'",
    "client_secret: {}",
    "signingKey={}",
    "guardianBootstrapSecret: {}",
    "bootstrap: {}",
    "AWS_SECRET_ACCESS_KEY={}",
    '{{"accessToken": "{}"}}',
    '{{"refresh_token":"{}","x":1}}',
    '{{"a": "{{\\"token\\": \\"{}\\"}}"}}',
    "{{'secret': '{}'}}",
    "https://user:{}@example.test/x",
    "wss://{}@example.test/x",
    "https://example.test/?token={}&x=1",
    "https://example.test/?x=1&access_token={}",
    "https://example.test/?key={}",
    "https://example.test/?sig={}#frag",
    "--token {} --name x",
    "--password={}",
    "Cookie: session={}; other={}",
    "base64url.bearer.authorization.k8s.io.{}",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n{} cut off",
    "eyJ{}.eyJ{}.sig{}",
    "ghp_{}",
    "sk-{}",
]
SHOWN = [
    "The password is fine.",
    "tokens: 512, max_tokens=9, token_count=7",
    '{"token": null, "secret": false}',
    "accessTokenExpiresAt=17",
    "secretName: db, token_file=/run/x",
    "ssh://git@example.test/repo",
    "https://example.test/path?page=2",
    "key: value",
    "a :: b => c",
    "http://127.0.0.1:8080/",
    "basic usage of the bearer",
]


@pytest.mark.parametrize("shape", HIDDEN)
def test_secrets_are_masked(shape: str) -> None:
    text = shape.replace("{}", SECRET).replace("{{", "{").replace("}}", "}")
    masked = redact(text)
    assert SECRET not in masked
    assert MASK in masked
    assert redact(masked) == masked


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_what_surrounds_a_secret_stays() -> None:
    text = 'GET https://u:p@h/x?token=abc&page=2 {"token": "a\\"b", "count": 3} password=x; ok'
    expected = (
        'GET https://u:***@h/x?token=***&page=2 {"token": "***", "count": 3} password=***; ok'
    )
    assert redact(text) == expected


PIECES = st.sampled_from(
    [
        *("token", "=", ":", '"', "'", "\\", " ", "\n", "://", "@", "/", "a", "?", "&", "-", "--"),
        *("Authorization", "Bearer ", "eyJ", ".", "-----BEGIN ", "-----END ", "-----", "***", "*"),
        *("password", "{", "}", "api_key", "ghp_abcdefghijklmn", "secret", "abcdefgh", "null", ","),
    ]
)


@settings(deadline=None, max_examples=600)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_masking_what_is_masked_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(HIDDEN), st.text("abcXYZ 0={}[],.;", max_size=20))
def test_secrets_are_masked_wherever_they_stand(shape: str, before: str) -> None:
    text = shape.replace("{}", SECRET).replace("{{", "{").replace("}}", "}")
    assert SECRET not in redact(f"{before} {text}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ-", "eyJa.", "://", "://a:", "://a:b@", "token=", "token: ", '"token":"', "token=\\"),
        *("\\", '\\"', "a-", "--token ", "bearer ", "-----BEGIN ", "-----BEGIN x-----END ", " "),
        *("Aa", ":", "?key=", "'", "sk-", "ghp_", "Authorization: "),
    ],
)
def test_hostile_text_costs_time_in_proportion(piece: str) -> None:
    """Two million characters pass; anything quadratic would take hours."""
    redact(piece * (2_000_000 // len(piece)))


@pytest.mark.parametrize("limit", range(8, 60))
def test_a_cut_never_lets_half_a_secret_through(limit: int) -> None:
    line = redact_line(f"\x1b[31mopen https://u:{SECRET}@host/path for it\n", limit)
    assert SECRET[:4] not in line
    assert len(line) <= limit
    assert "\x1b" not in line


def test_a_line_that_fits_is_whole_and_a_longer_one_says_so() -> None:
    assert redact_line("a  b\tc", 5) == "a b c"
    assert redact_line("abcdef", 5) == "abcd…"
    assert len(redact_line("x" * 5000)) == 400


def test_nobody_sanitizes_and_redacts_by_hand() -> None:
    """In that order a cut may leave half a secret: `redact_line` is for this."""
    for name, text in Tree.read(ROOT).sources.items():
        for node in ast.walk(ast.parse(text)) if "redact" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "redact":
                first = ast.unparse(node.args[0])
                assert name == "services.text.redact" or not first.startswith("sanitize("), name
