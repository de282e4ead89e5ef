# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Signed URLs, for browsers that send no authentication.

A signed URL names the owner and the purpose, and expires. Keep these URLs out of logs,
like session cookies.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from itsdangerous import (
    BadSignature,
    SignatureExpired,
    TimestampSigner,
    URLSafeTimedSerializer,
)
from pydantic import AnyUrl

from ..errors import ChatStoreError
from ..keys import show

Action: TypeAlias = Literal["upload", "direct", "preview", "download"]

_SECRET_LENGTH = 32
_STEP = 600  # seconds
_SKEW = 60  # seconds by which another machine's clock may lag


class UrlError(ChatStoreError):
    """A URL was not signed by this application, or has expired."""


class SignedUrls:
    """Creates and verifies signed URLs.

    Args:
        base: The URL of `file_routes`: "https://chat.example.com/files".
        secret: At least 32 characters, the same in all processes. If there are several,
            the last one signs, and all are accepted.
        upload_lifetime: How long an upload can be started with its URL. URLs are valid
            up to eleven minutes longer, to allow for caching and clock differences.
        view_lifetime: The same for viewing a file.

    Raises:
        ValueError: The URL or the secret is invalid.
    """

    def __init__(
        self,
        base: str,
        secret: str | Sequence[str],
        upload_lifetime: timedelta,
        view_lifetime: timedelta,
    ) -> None:
        parts = urlsplit(base)
        is_web = parts.scheme in ("http", "https") and parts.hostname
        if not is_web or parts.query or parts.fragment:
            raise ValueError(
                f"public_url must be the URL of file_routes, such as "
                f"https://chat.example.com/files, not {show(base)}"
            )
        self._secrets = [secret] if isinstance(secret, str) else list(secret)
        if min(map(len, self._secrets), default=0) < _SECRET_LENGTH:
            raise ValueError(
                f"secret must have at least {_SECRET_LENGTH} characters. Generate one: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        self.base = str(AnyUrl(base)).rstrip("/")  # as attachments contain it
        self._lifetimes: dict[Action, timedelta] = {
            "upload": upload_lifetime,
            "direct": upload_lifetime,
            "preview": view_lifetime,
            "download": view_lifetime,
        }

    def make(self, action: Action, *subject: str) -> str:
        """Return a URL, which is the same for ten minutes so that browsers can cache.

        Args:
            action: The action that it permits.
            subject: The owner, and the attachment's id if there is one.
        """
        token = self._serializer(action, _RoundedSigner).dumps(subject)
        return f"{self.base}/{action}/{token}"

    def read(self, action: Action, token: str) -> list[str]:
        """Verify a URL, and return its subject.

        Raises:
            UrlError: It was not signed for this action, or has expired.
        """
        lifetime = int(self._lifetimes[action].total_seconds()) + _SKEW + _STEP
        try:
            serializer = self._serializer(action, TimestampSigner)
            subject: list[str] = serializer.loads(token, lifetime)
        except SignatureExpired:
            raise UrlError("This URL has expired. Load the page again.") from None
        except BadSignature:
            raise UrlError("This URL is not valid.") from None
        return subject

    def _serializer(
        self, action: Action, signer: type[TimestampSigner]
    ) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._secrets,
            salt=f"{__package__}.{action}",
            signer=signer,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )


class _RoundedSigner(TimestampSigner):
    def get_timestamp(self) -> int:
        return (super().get_timestamp() - _SKEW) // _STEP * _STEP
