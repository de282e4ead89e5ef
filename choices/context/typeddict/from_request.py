    return {
        "user_id": request.headers.get("x-user-id", ""),
{% if store_id_format == "deterministic" %}
        "request_id": request_id(request.headers.get("idempotency-key"), body),
{% endif %}
    }
