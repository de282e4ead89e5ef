    return RequestContext(
        tenant_id=request.headers.get("x-tenant-id", ""),
        user_id=request.headers.get("x-user-id", ""),
        request_id=request.headers.get("idempotency-key"),
    )
