"""The extra `attachments` on buckets: the rendered tests, and browsers that write to the bucket."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.buckets import KEY, S3, SECRET
from devtools.databases import MissingError, give_up
from devtools.forwarder import Forwarder
from devtools.rendered import imported, wait_until
from devtools.rendering import render, run

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


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3]:
    """A running server with a bucket, for all tests."""
    try:
        server = S3()
    except MissingError as error:
        give_up(str(error))
    with server:
        yield server


@pytest.fixture
def s3(running_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, to which the environment leads."""
    for name, value in running_s3.environment.items():
        monkeypatch.setenv(name, value)
    return running_s3


MakeSite = Callable[..., Any]


@pytest.fixture
def make_site(
    suite: Any, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeSite]:
    """Start a server of the rendered tests, with options for its attachments, on the bucket."""
    monkeypatch.setattr(suite, "BUCKET", s3.url)
    with ExitStack() as stack:

        def make(**options: Any) -> Any:
            site = suite.Site(suite.Probe(tmp_path), tmp_path)
            site.store = site.make_store(suite.Probe(tmp_path), **options)
            site.port = stack.enter_context(suite.serving(site.app()))
            return site

        yield make


def put(url: str, content: bytes) -> int:
    """Send a file to a bucket, with no header but those that HTTP asks for; give the status."""
    to = urlsplit(url)
    assert to.hostname is not None
    with closing(HTTPConnection(to.hostname, to.port, timeout=20)) as connection:
        connection.request("PUT", f"{to.path}?{to.query}", content)
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


def test_the_rendered_tests_pass_on_a_bucket(project: Path, s3: S3) -> None:
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS),
        cwd=project,
        env={"PYTHONPATH": str(project / "src"), "CHAT_STORE_TEST_FILES": s3.url},
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


# --- Straight to the bucket


def test_a_browser_sends_a_file_to_the_bucket_without_a_header_of_its_own(
    suite: Any, s3: S3, make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create("a.png", "image/png")
    descriptor = announced["upload_descriptor"]
    assert (descriptor["method"], descriptor["headers"]) == ("PUT", {})
    assert descriptor["url"].startswith(s3.environment["AWS_ENDPOINT"])
    assert not [row for row in rows(suite, tmp_path) if "Signature" in row]
    image = suite.an_image()
    assert put(descriptor["url"], image) == 200
    thread_id = site.send(announced["id"])[0]["thread"]["id"]
    [shown] = site.shown(thread_id)
    assert not shown.get("upload_descriptor")
    assert site.fetch(shown["preview_url"]).headers["content-type"] == "image/webp"
    alice = suite.make_context("alice", "a-request")
    download = site.store.attachments.download_url(announced["id"], alice)
    assert site.fetch(download).body == image
    assert len(site.stored) == 2  # the file and its preview; what has come was renamed


def test_the_bucket_refuses_a_url_that_is_forged_or_has_expired(make_site: MakeSite) -> None:
    site = make_site(straight_to_bucket=True, upload_lifetime=timedelta(seconds=2))
    url, other = (site.create()["upload_descriptor"]["url"] for _ in range(2))
    path, query = urlsplit(other).path, urlsplit(url).query
    assert put(url.replace(urlsplit(url).path, path), b"of another") == 403
    forged = query.replace("X-Amz-Expires=2", "X-Amz-Expires=2000")
    assert forged != query
    assert put(url.replace(query, forged), b"forged") == 403
    assert site.stored == []
    wait_until(lambda: put(url, b"late") == 403)


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
    assert put(announced["upload_descriptor"]["url"], content) == 200
    assert send(suite, site, announced["id"]) == status
    assert site.stored == []
    assert rows(suite, tmp_path) == []


def test_a_message_is_refused_whose_file_has_not_come_to_the_bucket(
    suite: Any, make_site: MakeSite
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create()
    assert send(suite, site, announced["id"]) == 409
    assert put(announced["upload_descriptor"]["url"], b"hello") == 200  # later is early enough
    assert send(suite, site, announced["id"]) == 200


def test_a_file_that_was_accepted_cannot_be_changed_by_its_url(
    suite: Any, make_site: MakeSite
) -> None:
    site = make_site(straight_to_bucket=True)
    announced = site.create()
    url = announced["upload_descriptor"]["url"]
    assert put(url, b"hello") == 200
    assert send(suite, site, announced["id"]) == 200
    assert put(url, b"other") == 200
    assert send(suite, site, announced["id"]) == 200
    alice = suite.make_context("alice", "a-request")
    download = site.store.attachments.download_url(announced["id"], alice)
    assert site.fetch(download).body == b"hello"
    suite.Client(site.port, "alice").ask("attachments.delete", attachment_id=announced["id"])
    assert site.stored == []


# --- A bucket that is away


def test_while_the_bucket_is_away_uploads_fail_and_no_row_looks_complete(
    suite: Any,
    s3: S3,
    make_site: MakeSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint = s3.environment["AWS_ENDPOINT"]
    with Forwarder(endpoint) as forwarder:
        monkeypatch.setenv("AWS_ENDPOINT", forwarder.url(endpoint))
        site, straight = make_site(), make_site(straight_to_bucket=True)
        url = site.create()["upload_descriptor"]["url"]
        download = site.store.attachments.download_url(
            site.upload(b"kept")["id"], suite.make_context("alice", "a-request")
        )
        sent = straight.create()
        assert put(sent["upload_descriptor"]["url"], b"sent") == 200
        forwarder.turn_to("http://127.0.0.1:1")
        answers = [site.post(url, b"hello"), site.fetch(download)]
        assert [answer.status for answer in answers] == [503, 503]
        assert send(suite, straight, sent["id"]) == 500
        told = caplog.text + "".join(answer.body.decode() for answer in answers)
        assert "cannot be used" in told
        for private in (KEY, SECRET, "Signature"):
            assert private not in told
        methods = [re.findall('"(?:POST|PUT)"', row) for row in rows(suite, tmp_path)]
        assert sorted(methods) == [[], ['"POST"'], ['"PUT"']]
        forwarder.turn_to(endpoint)
        assert site.post(url, b"hello").status == 200
        assert site.fetch(download).body == b"kept"
        assert send(suite, straight, sent["id"]) == 200
