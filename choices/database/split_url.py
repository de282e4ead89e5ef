def _split_url(
    url: str,
    schemes: tuple[str, ...],
    drivers: tuple[str, ...],
    database: str,
    example: str,
) -> SplitResult:
    # Errors never show the URL: it may hold a password.
    if not url:
        raise ValueError(
            "No database: pass a URL to ChatStore(url) or with --url, or set CHAT_STORE_URL, "
            f"for example {example}"
        )
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ValueError(f"The URL cannot be read; write {example}") from None
    scheme, _, driver = parts.scheme.partition("+")  # as SQLAlchemy writes them
    if scheme not in schemes:
        given = f"a {parts.scheme!r} URL" if parts.scheme else "a URL without a scheme"
        raise ValueError(
            f"This ChatStore was rendered for {database} and cannot use {given}; "
            f"write {example}"
        )
    if driver and driver not in drivers:
        raise ValueError(
            f"The URL names the driver {driver}, and this ChatStore was rendered for "
            f"{drivers[0]}; write {example}"
        )
    return parts._replace(scheme=scheme)
