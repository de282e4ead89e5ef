    return {
        "user_id": request.headers.get("x-user-id", ""),
        "request_id": request.headers.get("idempotency-key"),
    }
