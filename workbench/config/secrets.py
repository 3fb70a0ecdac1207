"""Masking of secrets in text that is displayed or stored."""

from __future__ import annotations

import re

# A secret is recognised by its place in a URL, by the word before it, or by the prefix that a well-known service uses.
_SECRETS = (
    re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s/@]+(?=@)"),
    re.compile(
        r"(?i)(?P<before>\w*(?:password|passwd|secret|token|credential|api[_-]?key|access[_-]?key)\w*['\"]?\s*[:=]\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s&#,}\]]+)"
    ),
    re.compile(r"(?P<before>\b(?:gh[pousr]_|hf_|sk-|xox[a-z]-|AKIA|KGAT_))[\w-]{12,}"),
)


def mask_secrets(text: str) -> str:
    """Return `text` with `***` in place of everything that looks like a password, a token or a key."""
    for secret in _SECRETS:
        text = secret.sub(lambda match: f"{match['before']}***", text)
    return text
