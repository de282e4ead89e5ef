"""The extra `attachments`: buckets, browsers that write to them, and large files.

`make buckets` runs this.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from http.client import HTTPConnection
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from devtools.buckets import S3, Azure, Server
from devtools.databases import MissingError, give_up
from devtools.forwarder import Forwarder
from devtools.rendered import finish_script, imported, start_script, wait_until
from devtools.rendering import render, run, write

pytestmark = pytest.mark.buckets

TAKEN = (200, 201)
"""How a bucket answers to a file."""

TESTS = "tests/chat_store/test_chat_store_attachments.py"


@pytest.fixture(scope="session")
def project(template_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A render with attachments."""
    directory = tmp_path_factory.mktemp("projects") / "attachments"
    return render(template_files, directory, {"store_attachments": True})


@pytest.fixture
def suite(project: Path) -> Iterator[Any]:
    """The rendered tests, for what they consist of."""
    with (
        imported(project, "chat_store_tools") as tools,
        imported(project, "test_chat_store_attachments") as tests,
    ):
        yield tests
        tools.close_loop()


@pytest.fixture(scope="session", params=[S3, Azure])
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server with a bucket, for many tests."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(request.param())
        except MissingError as error:
            give_up(str(error))
        yield server


@pytest.fixture
def bucket(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, to which the environment leads."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


MakeSite = Callable[..., Any]


@pytest.fixture
def make_site(
    suite: Any, bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeSite]:
    """Start a server of the rendered tests, with options for its attachments, on the bucket."""
    monkeypatch.setattr(suite, "BUCKET", bucket.url)
    with ExitStack() as stack:

        def make(**options: Any) -> Any:
            site = suite.Site(suite.Probe(tmp_path), tmp_path)
            site.store = site.make_store(suite.Probe(tmp_path), **options)
            site.port = stack.enter_context(suite.serving(site.app()))
            return site

        yield make


def put(descriptor: Any, content: bytes, url: str | None = None) -> int:
    """Send a file to a bucket, with the headers that were asked for and no other.

    Args:
        descriptor: Where to send it, and how.
        content: The file.
        url: Where to send it instead.

    Returns:
        The status.
    """
    to = urlsplit(url or descriptor["url"])
    with closing(HTTPConnection(to.netloc, timeout=20)) as connection:
        path = f"{to.path}?{to.query}"
        connection.request(descriptor["method"], path, content, descriptor["headers"])
        return connection.getresponse().status


def send(suite: Any, site: Any, attachment_id: str) -> int:
    """Send a message with an attachment to a new thread; give the status."""
    thread_id = site.send()[0]["thread"]["id"]
    message = suite.user_input("look", attachment_id)
    client = suite.Client(site.port, "alice")
    about = {"thread_id": thread_id, "input": message}
    with client.request("threads.add_user_message", **about) as response:
        status: int = response.status
        return status


def rows(suite: Any, tmp_path: Path) -> list[str]:
    """Read the rows of attachments."""
    found = suite.Probe(tmp_path).query("SELECT data FROM chatkit_attachments")
    return [str(data) for (data,) in found]


def test_the_rendered_tests_pass_on_a_bucket(project: Path, bucket: Server) -> None:
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS),
        cwd=project,
        env={"PYTHONPATH": str(project / "src"), "CHAT_STORE_TEST_FILES": bucket.url},
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


# --- Straight to the bucket


def test_a_browser_sends_a_file_with_no_header_but_those_it_was_told(
    suite: Any, bucket: Server, make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create("a.png", "image/png")
    descriptor = announced["upload_descriptor"]
    assert (descriptor["method"], descriptor["headers"]) == ("PUT", bucket.headers)
    assert descriptor["url"].startswith(bucket.environment[bucket.endpoint])
    assert not [row for row in rows(suite, tmp_path) if "sig" in row.lower()]
    image = suite.an_image()
    assert put(descriptor, image) in TAKEN
    thread_id = site.send(announced["id"])[0]["thread"]["id"]
    [shown] = site.shown(thread_id)
    assert not shown.get("upload_descriptor")
    assert site.fetch(shown["preview_url"]).headers["content-type"] == "image/webp"
    alice = suite.make_context("alice", "a-request")
    download = site.store.attachments.download_url(announced["id"], alice)
    assert site.fetch(download).body == image
    assert len(site.stored) == 2  # the file and its preview; what has come was renamed


def test_the_bucket_refuses_a_url_that_is_forged_or_has_expired(make_site: MakeSite) -> None:
    site = make_site(straight_to_bucket=True, upload_lifetime=timedelta(seconds=3))
    mine, other = (site.create()["upload_descriptor"] for _ in range(2))
    url = mine["url"]
    forged = [url.replace(urlsplit(url).path, urlsplit(other["url"]).path)]
    for part in urlsplit(url).query.split("&"):
        forged.append(url.replace(part, part[:-1] + ("1" if part[-1] != "1" else "2")))
    assert {put(mine, b"forged", one) // 100 for one in forged} == {4}
    assert site.stored == []
    wait_until(lambda: put(mine, b"late") == 403)


@pytest.mark.parametrize(
    ("mime_type", "content", "status"),
    [
        ("text/plain", b"x" * 100_001, 413),
        ("image/png", b"<svg/>", 415),
        ("application/pdf", b"", 415),
    ],
)
def test_what_breaks_the_limits_is_refused_and_deleted_when_the_message_is_sent(
    suite: Any, make_site: MakeSite, tmp_path: Path, mime_type: str, content: bytes, status: int
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create("a", mime_type)
    assert put(announced["upload_descriptor"], content) in TAKEN
    assert send(suite, site, announced["id"]) == status
    assert site.stored == []
    assert rows(suite, tmp_path) == []


def test_a_message_is_refused_whose_file_has_not_come_to_the_bucket(
    suite: Any, make_site: MakeSite
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create()
    assert send(suite, site, announced["id"]) == 409
    assert put(announced["upload_descriptor"], b"hello") in TAKEN  # later is early enough
    assert send(suite, site, announced["id"]) == 200


def test_a_file_that_was_accepted_cannot_be_changed_by_its_url(
    suite: Any, make_site: MakeSite
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create()
    assert put(announced["upload_descriptor"], b"hello") in TAKEN
    assert send(suite, site, announced["id"]) == 200
    assert put(announced["upload_descriptor"], b"other") in TAKEN
    assert send(suite, site, announced["id"]) == 200
    alice = suite.make_context("alice", "a-request")
    download = site.store.attachments.download_url(announced["id"], alice)
    assert site.fetch(download).body == b"hello"
    suite.Client(site.port, "alice").ask("attachments.delete", attachment_id=announced["id"])
    assert site.stored == []


def test_a_url_for_google_cloud_storage_is_signed_without_asking_google(
    suite: Any, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = {
        "client_email": "tests@example.iam.gserviceaccount.com",
        "private_key": (certificates / "right.key").read_text("utf-8"),
        "private_key_id": "1",
    }
    write(tmp_path, {"account.json": json.dumps(account)})
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    monkeypatch.setattr(suite, "BUCKET", "gs://bucket")
    probe = suite.Probe(tmp_path)
    store = suite.Site(probe, tmp_path).make_store(probe, straight_to_bucket=True)
    asked = suite.AttachmentCreateParams(name="a.txt", mime_type="text/plain", size=5)
    alice = suite.make_context("alice", "a-request")
    attachment = suite.run_async(store.attachments.create_attachment(asked, alice))
    descriptor = attachment.upload_descriptor
    assert (descriptor.method, descriptor.headers) == ("PUT", {})
    url = urlsplit(str(descriptor.url))
    assert (url.scheme, url.netloc) == ("https", "storage.googleapis.com")
    assert url.path.startswith("/bucket/")
    assert url.path.endswith(f"/files/{attachment.metadata['place']}/incoming")
    query = parse_qs(url.query)
    assert query["X-Goog-SignedHeaders"] == ["host"]  # so that browsers need no other
    assert query["X-Goog-Expires"] == [str(24 * 60 * 60)]


def test_a_file_stays_when_two_messages_with_it_are_sent_at_the_same_time(
    suite: Any, make_site: MakeSite
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create()
    assert put(announced["upload_descriptor"], b"hello") in TAKEN
    attachments = site.store.attachments
    store_incoming = attachments.store_incoming

    async def overtaken(attachment: Any) -> Any:
        attachments.store_incoming = store_incoming
        stored = await store_incoming(attachment)
        assert await asyncio.to_thread(send, suite, site, announced["id"]) == 200
        return stored

    attachments.store_incoming = overtaken
    assert send(suite, site, announced["id"]) == 200
    alice = suite.make_context("alice", "a-request")
    download = attachments.download_url(announced["id"], alice)
    assert site.fetch(download).body == b"hello"
    assert site.stored == [b"hello"]


# --- A bucket that is away


def test_while_the_bucket_is_away_uploads_fail_and_no_row_looks_complete(
    suite: Any,
    bucket: Server,
    make_site: MakeSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint = bucket.environment[bucket.endpoint]
    with Forwarder(endpoint) as forwarder:
        monkeypatch.setenv(bucket.endpoint, forwarder.url(endpoint))
        site, straight = make_site(), make_site(straight_to_bucket=True)
        url = site.create()["upload_descriptor"]["url"]
        download = site.store.attachments.download_url(
            site.upload(b"kept")["id"], suite.make_context("alice", "a-request")
        )
        sent = straight.create()
        assert put(sent["upload_descriptor"], b"sent") in TAKEN
        forwarder.turn_to("http://127.0.0.1:1")
        answers = [site.post(url, b"hello"), site.fetch(download)]
        assert [answer.status for answer in answers] == [503, 503]
        assert send(suite, straight, sent["id"]) == 500
        told = caplog.text + "".join(answer.body.decode() for answer in answers)
        assert "cannot be used" in told
        for name in bucket.secrets:
            assert bucket.environment[name] not in told
        assert not re.search("sig(nature)?=", told, re.IGNORECASE)
        methods = [re.findall('"(?:POST|PUT)"', row) for row in rows(suite, tmp_path)]
        assert sorted(methods) == [[], ['"POST"'], ['"PUT"']]
        forwarder.turn_to(endpoint)
        assert site.post(url, b"hello").status == 200
        assert site.fetch(download).body == b"kept"
        assert send(suite, straight, sent["id"]) == 200


# --- Large files

SIZE = 300 * 2**20
MOST_MEMORY = 150 * 2**20

# Prints where to send a file, and after a line, by how many bytes its memory has grown at most.
SERVE = """
import re
from pathlib import Path

import test_chat_store_attachments as tests


def measure(name):
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(rf"^{name}:\\s+(\\d+) kB", status, re.MULTILINE)[1]) * 1024


directory = Path(url)
tests.MAX_BYTES = 2**40
site = tests.Site(tests.Probe(directory), directory)
with tests.serving(site.app()) as port:
    before = measure("VmRSS")
    direct = site.store.attachments.direct_upload_url(alice)
    print(direct.replace("https://chat.example.com", f"http://127.0.0.1:{port}"), flush=True)
    sys.stdin.readline()
    print(measure("VmHWM") - before)
"""


def growth_by_a_large_file(project: Path, directory: Path) -> int:
    """Send a file to a server; give by how many bytes the server's memory has grown."""
    before = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n"
    )
    after = b"\r\n--edge--\r\n"
    chunk = b"x" * 2**18
    headers = {
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(len(before) + SIZE + len(after)),
    }
    process = start_script(project, SERVE, directory)
    try:
        assert process.stdout is not None
        to = urlsplit(process.stdout.readline().strip())
        with closing(HTTPConnection(to.netloc, timeout=120)) as connection:
            body = chain([before], repeat(chunk, SIZE // len(chunk)), [after])
            connection.request("POST", to.path, body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
        return int(finish_script(process, "\n"))
    finally:
        process.kill()
        process.communicate()


def test_a_large_file_goes_to_disk_in_little_memory(project: Path, tmp_path: Path) -> None:
    assert growth_by_a_large_file(project, tmp_path) < MOST_MEMORY
    sizes = [path.stat().st_size for path in tmp_path.glob("files/*/*/*")]
    assert sizes == [SIZE]


def test_a_large_file_goes_to_a_bucket_in_little_memory(
    project: Path, bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_STORE_TEST_FILES", bucket.url)
    assert growth_by_a_large_file(project, tmp_path) < MOST_MEMORY
