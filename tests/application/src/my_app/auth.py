"""Who asks."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from my_app.database import get_session
from my_app.models import User


async def current_user(
    session: Annotated[AsyncSession, Depends(get_session)],
    authorization: Annotated[str, Header()] = "",
) -> User:
    """Find the user whose token the request carries."""
    token = authorization.removeprefix("Bearer ")
    user = await session.scalar(select(User).where(User.token == token))
    if user is None:
        raise HTTPException(401)
    return user
