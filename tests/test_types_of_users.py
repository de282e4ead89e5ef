"""What type checkers and editors tell the users of a render, in modules of their own."""

import inspect
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ForwardRef

import pytest

from devtools.checkers import expect_success, mypy, pyright
from devtools.combinations import EXTRAS, FLAVORS, each_once, merged
from devtools.rendered import import_rendered
from devtools.rendering import Render, render_beside_my_app, ways_to_answer, write

# How a user makes a context, for each choice, and what that takes.
MAKING = {
    "dataclass": ("", 'RequestContext(user_id="alice", request_id=None)'),
    "pydantic": ("", 'RequestContext(user_id="alice", request_id=None)'),
    "typeddict": ("", '{"user_id": "alice"}'),
    "dict": ("", '{"user_id": "alice", "roles": ["admin"]}'),
    "tenant": ("", 'RequestContext(tenant_id="acme", user_id="alice")'),
    "custom": (
        "from my_app.auth import Principal, RequestInfo, User\n",
        "RequestInfo(Principal(User(1)))",
    ),
}

# The checkers complain of a `type: ignore` that is not needed: there each has to find the error.
USERS_MODULE = '''"""A user's own module, which strict type checkers understand."""

from collections.abc import AsyncIterator
from typing import BinaryIO

from chat_store import ChatStore, RequestContext, owner_id
from chat_store.transfer import export_rows, import_rows
from chatkit.server import ChatKitServer
from chatkit.store import Store
from chatkit.types import (
    Attachment,
    Page,
    ThreadItem,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from typing_extensions import assert_type
{imports}

class Server(ChatKitServer[RequestContext]):
    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        assert_type(self.store, Store[RequestContext])
        page = await self.store.load_thread_items(thread.id, None, 20, "desc", context)
        assert_type(page, Page[ThreadItem])
        for event in list[ThreadStreamEvent]():
            yield event


class ServerOfAnother(ChatKitServer[int]):
    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: int
    ) -> AsyncIterator[ThreadStreamEvent]:
        for event in list[ThreadStreamEvent]():
            yield event


class OwnStore(ChatStore):
    async def load_thread(self, thread_id: str, context: RequestContext) -> ThreadMetadata:
        return await super().load_thread(thread_id, context)


async def use(
    thread: ThreadMetadata, item: ThreadItem, attachment: Attachment, file: BinaryIO
) -> None:
    context: RequestContext = {making}
    assert_type(owner_id(context), str)
    async with OwnStore() as own:
        assert_type(own, OwnStore)
    async with ChatStore(pool_size=3) as store:
        assert_type(store, ChatStore)
        Server(store)
        assert_type(await store.migrate(), list[str])
        assert_type((await store.status()).problem, str | None)
        assert_type(await export_rows(store, file), int)
        assert_type(await import_rows(store, file), int)
        assert_type(store.generate_thread_id(context), str)
        assert_type(store.generate_item_id("message", thread, context), str)
        assert_type(store.generate_attachment_id("text/plain", context), str)
        assert_type(await store.load_thread("thr_1", context), ThreadMetadata)
        assert_type(await store.load_threads(20, None, "asc", context), Page[ThreadMetadata])
        page = await store.load_thread_items("thr_1", None, 20, "asc", context)
        assert_type(page, Page[ThreadItem])
        assert_type(page.data, list[ThreadItem])
        assert_type(await store.load_item("thr_1", "msg_1", context), ThreadItem)
        assert_type(await store.load_attachment("atc_1", context), Attachment)
        await store.save_thread(thread, context)
        await store.add_thread_item("thr_1", item, context)
        await store.save_item("thr_1", item, context)
        await store.save_attachment(attachment, context)
        await store.delete_thread_item("thr_1", "msg_1", context)
        await store.delete_attachment("atc_1", context)
        await store.delete_thread("thr_1", context)


async def misuse(store: ChatStore, thread: ThreadMetadata) -> None:
    owner_id("alice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await store.load_thread("thr_1", "alice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await store.save_thread(thread, "alice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await store.load_threads(20, None, "asc", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ServerOfAnother(store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChatStore(no_such_option=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
'''


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory, template_files: Path) -> list[Render]:
    """Projects with each context and each flavor, and a module of the user's."""
    directory = tmp_path_factory.mktemp("projects")
    made: list[Render] = []
    factors = [ways_to_answer("store_context"), list(FLAVORS.values())]
    for number, row in enumerate(each_once(factors)):
        answers = {**merged(row), **dict.fromkeys(EXTRAS, True)}
        project = directory / f"r{number:02}"
        made.append(render_beside_my_app(template_files, project, answers))
        imports, making = MAKING[str(answers["store_context"])]
        text = USERS_MODULE.replace("{imports}", imports).replace("{making}", making)
        write(project, {"src/my_app/chat.py": text})
    return made


def test_every_context_is_tried() -> None:
    assert set(MAKING) == {way["store_context"] for way in ways_to_answer("store_context")}


def test_mypy_knows_what_the_methods_take_and_give(
    projects: list[Render], tool: Callable[[str], str], mypy_cache: Path
) -> None:
    for one in projects:
        root = one.path / one.root
        target = f"{one.root}/my_app/chat.py"
        expect_success(mypy(tool("mypy"), one.path, [root], [target], mypy_cache))


def test_pyright_knows_what_the_methods_take_and_give(
    projects: list[Render], tool: Callable[[str], str]
) -> None:
    include = [f"{one.path.name}/{one.root}/my_app/chat.py" for one in projects]
    roots = {one.path.name: [one.root] for one in projects}
    directory = projects[0].path.parent
    settings = {"enableTypeIgnoreComments": False, "reportUnnecessaryTypeIgnoreComment": True}
    expect_success(pyright(tool, directory, roots, include, **settings))


def test_no_public_signature_has_any_in_it(projects: list[Render]) -> None:
    for one in projects:
        package = import_rendered(one.path, "chat_store")
        found = {where for where, hint in public_hints(package) if has_any(hint)}
        # What a row is, and the driver's own connection and pool.
        freedom = {"DatabaseOptions.pool", "DriverOptions.pool", "Database.read.return"}
        freedom |= {
            "Connection.__init__.raw",
            "Connection.fetch.return",
            "Connections.__init__.pool",
        }
        if one.answers["store_context"] == "dict":  # its keys are the user's own
            freedom |= {where for where, hint in public_hints(package) if hint == dict[str, Any]}
        assert found <= freedom, one.answers


def test_every_public_method_is_described(projects: list[Render]) -> None:
    store = import_rendered(projects[0].path, "chat_store").ChatStore
    own = {name: function for name, function in vars(store).items() if is_public(name, function)}
    sdk = store.__mro__[1]
    assert {name for name, function in vars(sdk).items() if is_public(name, function)} < set(own)
    assert all(function.__doc__ for function in own.values())


def is_public(name: str, value: object) -> bool:
    """Tell whether an attribute of a class is a method for users."""
    return inspect.isfunction(value) and not name.startswith("_")


def public_hints(package: ModuleType) -> Iterator[tuple[str, object]]:
    """Give the type of each parameter, result and attribute of what a package exports.

    That includes what these types are made of, as far as the package defines it.
    """
    waiting = [getattr(package, name) for name in package.__all__]
    seen: list[object] = []
    for value in waiting:
        if value in seen or not str(getattr(value, "__module__", "")).startswith("chat_store"):
            continue
        seen.append(value)
        parts = [value]
        if inspect.isclass(value):
            parts += [
                getattr(it, "fget", it)
                for name, it in vars(value).items()
                if name == "__init__" or not name.startswith("_")
            ]
        for part in parts:
            if inspect.isclass(part) or inspect.isfunction(part):
                for name, hint in inspect.get_annotations(part).items():
                    yield f"{part.__qualname__}.{name}", hint
                    waiting += [hint, *typing.get_args(hint)]


def has_any(hint: object) -> bool:
    """Tell whether a type is, or is made of, Any."""
    if isinstance(hint, list):  # the parameters of a Callable
        return any(map(has_any, hint))
    if isinstance(hint, (str, ForwardRef)):
        return "Any" in str(hint)
    return hint is Any or any(map(has_any, typing.get_args(hint)))
