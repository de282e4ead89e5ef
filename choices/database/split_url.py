def _split_url(url: str, schemes: Sequence[str], example: str) -> SplitResult:
    # Errors never show the URL, which may contain a password.
    if not url:
        raise ValueError(
            "No database: pass a URL to ChatStore(url) or with --url, or set CHAT_STORE_URL, "
            f"for example {example}"
        )
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ValueError(f"The URL cannot be read; write {example}") from None
    if parts.scheme not in schemes:
        given = f"a {parts.scheme!r} URL" if parts.scheme else "a URL without a scheme"
        raise ValueError(
            f"This ChatStore was rendered for {schemes[-1]} and cannot use {given}; "
            f"write {example}"
        )
    if not url.strip()[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"The URL cannot be read; write {example}")
    return parts
