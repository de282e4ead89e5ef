# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""URLs that carry their own permission, for browsers that send no header of yours.

A URL names its owner and what it is for, and is signed; it is valid for some time. So
keep it out of logs, as you do a session's cookie.
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
_SKEW = 60  # seconds by which the clock of another machine may be behind


class UrlError(ChatStoreError):
    """A URL was not signed by this application, or it has expired."""


class SignedUrls:
    """Makes and reads signed URLs.

    Args:
        base: Where `file_routes` is mounted: "https://chat.example.com/files".
        secret: At least 32 characters, the same in all processes. Of several, the last
            one signs, and all are accepted.
        upload_lifetime: How long an upload can be started with its URL. The URL stays
            valid up to eleven minutes longer, so that it can be cached, and since clocks
            differ.
        view_lifetime: The same for looking at a file.

    Raises:
        ValueError: The URL or the secret cannot be used.
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
                f"public_url must be where browsers find the files, such as "
                f"https://chat.example.com/files, not {show(base)}"
            )
        self._secrets = [secret] if isinstance(secret, str) else list(secret)
        if min(map(len, self._secrets), default=0) < _SECRET_LENGTH:
            raise ValueError(
                f"secret must have at least {_SECRET_LENGTH} characters. Make one: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        self.base = str(AnyUrl(base)).rstrip("/")  # as it stands in attachments
        self._lifetimes: dict[Action, timedelta] = {
            "upload": upload_lifetime,
            "direct": upload_lifetime,
            "preview": view_lifetime,
            "download": view_lifetime,
        }

    def make(self, action: Action, *subject: str) -> str:
        """Make a URL.

        Args:
            action: What it allows.
            subject: The owner, and the attachment's id where there is one.

        Returns:
            The URL. Within ten minutes it is the same, so that browsers can cache.
        """
        token = self._serializer(action, _RoundedSigner).dumps(subject)
        return f"{self.base}/{action}/{token}"

    def read(self, action: Action, token: str) -> list[str]:
        """Return the subject of a URL that was made for an action.

        Raises:
            UrlError: It was not made here for this action, or has expired.
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
