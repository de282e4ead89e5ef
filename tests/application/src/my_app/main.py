"""The application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from my_app.auth import current_user
from my_app.database import engine
from my_app.models import User


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/me")
async def me(user: Annotated[User, Depends(current_user)]) -> str:
    return user.email
