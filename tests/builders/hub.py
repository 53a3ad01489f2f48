"""A hub on this machine that takes models as the Hugging Face Hub does, and remembers them."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FakeHub(http.server.ThreadingHTTPServer):
    """The hub: ``files`` it was given, ``made`` repositories, and a ``status`` with which it refuses."""

    def __init__(self, status: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = status
        self.files: dict[str, bytes] = {}
        self.made: list[dict] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(http.server.BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        if self.server.status is not None:
            self._say({"error": "refused"}, self.server.status)
        elif self.path.endswith("/repos/create"):
            asked = json.loads(body)
            self.server.made.append(asked)
            self._say({"url": f"{self.server.address}/{asked.get('organization', 'someone')}/{asked['name']}"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self._say({"files": files})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            repository = "/".join(self.path.split("/")[3:5])
            address = f"{self.server.address}/{repository}/commit/{'b' * 40}"
            self._say({"commitOid": "b" * 40, "commitUrl": address, "success": True})
        else:
            self._say({"errors": [], "warnings": []})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _say(self, answer: dict, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_hub(status: int | None = None) -> Iterator[FakeHub]:
    """A hub that runs in the block; with a status it refuses everything."""
    with FakeHub(status) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
