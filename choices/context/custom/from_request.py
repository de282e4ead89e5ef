    raise NotImplementedError("Create your {{ store_context_class.split(":")[1] }} from the request here.")
