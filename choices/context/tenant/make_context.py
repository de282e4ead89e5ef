"""Creates request contexts for the tests of the chat store."""

from typing import Any

from chat_store_under_test import RequestContext

OWNER = "tenant_id"
IS_FROZEN = True


def make_context(owner: Any, request_id: str | None = None) -> RequestContext:
    """Return a context with an owner; with None or "", one without an owner."""
    return RequestContext(tenant_id=owner, user_id="user", request_id=request_id)


def make_lookalikes() -> list[RequestContext]:
    """Return contexts of different owners that are easy to confuse."""
{% if store_tenant_scope == "user" %}
    pairs = [
        *(("a", "b"), ("a", "c"), ("a:b", "c"), ("a", "b:c")),
        *(("a%3Ab", "c"), ("a:", "b:c"), ("c", "a:b")),
    ]
    return [RequestContext(tenant_id=tenant, user_id=user) for tenant, user in pairs]
{% else %}
    tenants = ["a", "A", "a ", " a", "a:user", "1", "01"]
    return [RequestContext(tenant_id=tenant, user_id="user") for tenant in tenants]
{% endif %}
