    raise NotImplementedError("Make your {{ store_context_class.split(":")[1] }} from the request here.")
