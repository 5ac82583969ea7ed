"""An S3 server on the loopback, moto's, whose answers a test can delay, refuse or lose."""

import logging
import socket
import threading
import urllib.request

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

__all__ = ["Server"]


class Server:
    """The server, and `answer(method, path)`, which a test may set.

    `answer` is called for each request. It returns None to let the service answer; a status to
    refuse it with; or "lost" to carry it out and close the connection without an answer.
    """

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.answer = lambda method, path: None
        # moto looks and writes in two steps, as S3 does not.
        self._alone = threading.Lock()
        self._http = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self.url = f"http://127.0.0.1:{self._http.port}"
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def _respond(self, environ, start_response):
        said = self.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if isinstance(said, int):
            code = {403: "AccessDenied", 503: "SlowDown"}.get(said, "InternalError")
            body = f'<?xml version="1.0"?><Error><Code>{code}</Code></Error>'
            return Response(body, said)(environ, start_response)
        with self._alone:
            answer = list(self._moto(environ, start_response))
        if said == "lost":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        return answer

    def make_bucket(self, name):
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        with urllib.request.urlopen(request):
            pass

    def environment(self):
        return {
            "AWS_ENDPOINT": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def stop(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
