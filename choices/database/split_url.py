def _split_url(
    url: str, schemes: tuple[str, ...], database: str, example: str
) -> SplitResult:
    # Errors never show the URL: it may hold a password.
    if not url:
        raise ValueError(
            "No database: pass a URL to ChatStore(url) or with --url, or set CHAT_STORE_URL, "
            f"for example {example}"
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"The URL cannot be read; write {example}") from None
    if parts.scheme not in schemes:
        given = f"a {parts.scheme!r} URL" if parts.scheme else "a URL without a scheme"
        raise ValueError(
            f"This ChatStore was rendered for {database} and cannot use {given}; "
            f"write {example}"
        )
    return parts
