"""The package's help for the Agents SDK, apart because importing that SDK takes a second."""

from chat_store.agents import (
    stream_agent_response,
    with_real_ids,
)

__all__ = ["stream_agent_response", "with_real_ids"]
