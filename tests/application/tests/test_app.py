"""The application's own tests."""

from my_app.main import app


async def test_there_is_a_page_for_users() -> None:
    assert "/me" in app.openapi()["paths"]
