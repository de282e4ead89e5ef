"""What the environment says."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """The settings, from variables of these names."""

    database_url: str


settings = Settings()  # type: ignore[call-arg]
