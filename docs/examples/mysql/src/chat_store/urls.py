"""Reads the URL of a database, and never shows it: it may hold a password (R39)."""

from urllib.parse import SplitResult, urlsplit


def split_url(
    url: str, schemes: tuple[str, ...], database: str, example: str
) -> SplitResult:
    """Split a URL that must be one of a kind of database.

    Args:
        url: What the user gave, or "".
        schemes: The schemes to accept, such as ("sqlite",).
        database: What to call the database in an error.
        example: A URL to show in an error.

    Returns:
        The parts, as `urllib.parse` names them.

    Raises:
        ValueError: There is no URL, or it cannot be read, or has another scheme.
    """
    if not url:
        raise ValueError(
            "No database: pass a URL to ChatStore(url) or with --url, or set CHAT_STORE_URL, "
            f"for example {example}"
        )
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may quote the URL
        raise ValueError(f"The URL cannot be read; write {example}") from None
    if parts.scheme not in schemes:
        given = f"a {parts.scheme!r} URL" if parts.scheme else "a URL without a scheme"
        raise ValueError(
            f"This ChatStore was rendered for {database} and cannot use {given}; "
            f"write {example}"
        )
    return parts


def take_option(url: str, name: str, choices: tuple[str, ...]) -> tuple[str, str]:
    """Take an option of ours out of a URL's query.

    Args:
        url: The URL.
        name: The option.
        choices: What it may be, the default first.

    Returns:
        The URL without the option and otherwise as it was, and the option's value.

    Raises:
        ValueError: The value is none of the choices.
    """
    base, _, query = url.partition("?")
    value, rest = choices[0], list[str]()
    for pair in filter(None, query.split("&")):
        if pair.partition("=")[0] == name:
            value = pair.partition("=")[2].lower()
        else:
            rest.append(pair)
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(choices)}, not {value!r}")
    return "?".join([base, "&".join(rest)]) if rest else base, value
