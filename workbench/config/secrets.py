"""Masks secrets in texts that are shown or stored."""

from __future__ import annotations

import re

# A secret is recognised by its key, by its place in a URL, or by the form of well-known services' tokens.
_SECRETS = (
    re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s/@]+(?=@)"),
    re.compile(
        r"(?i)(?P<before>\w*(?:password|passwd|secret|token|credential|api[_-]?key|access[_-]?key)\w*['\"]?\s*[:=]\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s&#,}\]]+)"
    ),
    re.compile(r"(?P<before>\b(?:gh[pousr]_|hf_|sk-|xox[a-z]-|AKIA|KGAT_))[\w-]{12,}"),
)


def mask_secrets(text: str) -> str:
    """Return the text with everything that looks like a password, a token or a key replaced by stars."""
    for secret in _SECRETS:
        text = secret.sub(lambda found: f"{found['before']}***", text)
    return text
