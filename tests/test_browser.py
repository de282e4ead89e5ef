"""The extra `attachments` in a browser, which sends files and shows them as ChatKit's client does.

`make buckets` runs this.
"""

import asyncio
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.databases import give_up
from devtools.rendered import imported
from devtools.rendering import render, run

pytestmark = pytest.mark.buckets

# The page and its requests to the server come from 127.0.0.1; the files are at another origin.
PAGE = """<!doctype html>
<style>body { font: 16px sans-serif } img { border: 1px solid; margin: 8px; height: 120px }</style>
<pre id="report">The script has not come to its end.</pre>
<img hidden src="/done">
<script type="module">
function ask(type, params) {
  const headers = { "x-user-id": "alice", "idempotency-key": crypto.randomUUID() };
  return fetch("/chatkit", { method: "POST", headers, body: JSON.stringify({ type, params }) });
}

async function send(descriptor, blob, name) {
  const body = new FormData();
  body.append("file", blob, name);
  const answer = await fetch(descriptor.url, { method: descriptor.method, body });
  return answer.json();
}

async function show(title, attachments) {
  document.body.append(title, document.createElement("br"));
  for (const { preview_url: src } of attachments) {
    const image = document.createElement("img");
    image.crossOrigin = "anonymous";
    image.src = src;
    document.body.append(image);
    await image.decode();
    widths.push(image.naturalWidth);
  }
  document.body.append(document.createElement("br"));
}

function picture(color) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1600, height: 900 });
  const context = canvas.getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1600, 900);
  context.fillStyle = "white";
  context.arc(800, 450, 300, 0, 7);
  context.fill();
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const widths = [];
const report = { widths };
try {
  const first = await picture("navy");
  const about = { name: "first.png", mime_type: "image/png", size: first.size };
  const created = await (await ask("attachments.create", about)).json();
  const sent = [
    await send(created.upload_descriptor, first, "first.png"),
    await send({ url: "DIRECT", method: "POST" }, await picture("teal"), "second.png"),
  ];
  await show("Sent, in two phases and directly:", sent);
  const input = {
    content: [{ type: "input_text", text: "look" }],
    attachments: sent.map(({ id }) => id),
    inference_options: {},
  };
  const events = await (await ask("threads.create", { input })).text();
  const { thread } = JSON.parse(events.match(/data: (.*)/)[1]);
  let old;
  for (let tries = 0; tries < 20000 && old?.status !== 403; tries++)
    old = await fetch(sent[1].preview_url, { cache: "no-store" });
  report.old = old.status;
  const loaded = await (await ask("threads.get_by_id", { thread_id: thread.id })).json();
  const { attachments } = loaded.items.data.find((item) => item.attachments?.length);
  await show(`Loaded again when the old URL answers ${old.status}:`, attachments);
} catch (error) {
  report.error = String(error);
}
const body = JSON.stringify(report);
document.getElementById("report").textContent = body;
fetch("/report", { method: "POST", body });
</script>
"""


def test_a_browser_sends_pictures_both_ways_and_still_shows_them_when_their_urls_have_expired(
    template_files: Path, tmp_path: Path
) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        give_up("Chromium is missing: apt-get install chromium")
    project = render(template_files, tmp_path / "project", {"store_attachments": True})
    with (
        imported(project, "chat_store_tools") as tools,
        imported(project, "test_chat_store_attachments") as suite,
    ):
        urls: Any = sys.modules[suite.file_routes.__module__.replace("routes", "urls")]
        urls._STEP = 1
        probe = suite.Probe(tmp_path)
        site = suite.Site(probe, tmp_path)
        app = site.app()
        reports: list[object] = []
        is_done = asyncio.Event()

        async def page(request: Any) -> Any:
            alice = suite.make_context("alice", "a-request")
            direct = site.store.attachments.direct_upload_url(alice)
            return suite.Response(PAGE.replace("DIRECT", direct), media_type="text/html")

        async def report(request: Any) -> Any:
            reports.append(await request.json())
            is_done.set()
            return suite.Response()

        async def done(request: Any) -> Any:
            await asyncio.wait_for(is_done.wait(), 120)
            return suite.Response()

        app.routes.append(suite.Route("/", page))
        app.routes.append(suite.Route("/report", report, methods=["POST"]))
        app.routes.append(suite.Route("/done", done))
        with suite.serving(app) as port:
            site.store.attachments.urls = site.make_store(
                probe,
                public_url=f"http://localhost:{port}/files",
                view_lifetime=timedelta(seconds=5),
            ).attachments.urls
            ended = run(
                *(program, "--headless", "--no-sandbox", "--disable-gpu", "--screenshot=page.png"),
                *("--window-size=800,600", f"--user-data-dir={tmp_path / 'browser'}"),
                f"http://127.0.0.1:{port}/",  # the picture is taken when all of it has come
                cwd=tmp_path,
            )
        tools.close_loop()
    print(ended.stdout)
    assert reports == [{"widths": [512] * 4, "old": 403}]
