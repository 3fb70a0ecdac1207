"""Secrets in what is shown or kept: stars in their place."""

import re

# What gives a secret away: a word before it, a place in a URL, or a form that keys of well-known services have.
_SECRETS = (
    re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s/@]+(?=@)"),
    re.compile(
        r"(?i)(?P<before>\w*(?:password|passwd|secret|token|credential|api[_-]?key|access[_-]?key)\w*['\"]?\s*[:=]\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s&#,}\]]+)"
    ),
    re.compile(r"(?P<before>\b(?:gh[pousr]_|hf_|sk-|xox[a-z]-|AKIA|KGAT_))[\w-]{12,}"),
)


def mask_secrets(text: str) -> str:
    """Return a text, as of a study file, with stars in the place of what looks like a password, a token or a key."""
    for secret in _SECRETS:
        text = secret.sub(lambda found: f"{found['before']}***", text)
    return text
