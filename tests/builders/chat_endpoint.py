"""An endpoint that speaks OpenAI's chat protocol, and answers every question with one word."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

WORD = "neutral"


class _Answers(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path.endswith("/chat/completions") and asked["messages"], asked
        usage = {"prompt_tokens": 7, "completion_tokens": 1}
        data = json.dumps({"choices": [{"message": {"content": WORD}}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def chat_endpoint() -> Iterator[str]:
    """Host and port of an endpoint that answers until the block ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
