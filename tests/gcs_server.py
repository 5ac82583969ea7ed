"""A Google Cloud Storage of its XML API on the loopback, in memory: objects, generations, lists.

No emulator of PyPI's has that API's lists and preconditions; this one has what obstore asks for.
"""

import itertools
import json
import logging
import threading
from xml.sax.saxutils import escape

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

__all__ = ["GoogleServer"]

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
ACCOUNT = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}


class GoogleServer:
    """The server; `objects` maps each path to its bytes and its generation."""

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.objects = {}
        self._generations = itertools.count(1)
        self._alone = threading.Lock()
        self._http = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def environment(self, folder):
        """Variables that lead obstore here, by an account's file in a folder."""
        file = folder / "account.json"
        url = f"http://127.0.0.1:{self._http.port}"
        file.write_text(json.dumps({"gcs_base_url": url, **ACCOUNT}))
        return {"GOOGLE_SERVICE_ACCOUNT": str(file)}

    def stop(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _respond(self, environ, start_response):
        with self._alone:
            return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request):
        path = request.path.lstrip("/")
        if "list-type" in request.args:
            return self._list(path, request.args.get("prefix", ""))
        content, generation = self.objects.get(path, (None, 0))
        wanted = request.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != generation:
            return Response("<Error><Code>PreconditionFailed</Code></Error>", 412)
        if request.method == "PUT":
            content, generation = request.get_data(), next(self._generations)
            self.objects[path] = content, generation
            return Response("", 200, _described(generation))
        if content is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        if request.method == "DELETE":
            del self.objects[path]
            return Response("", 204)
        return Response(content, 200, _described(generation))

    def _list(self, bucket, prefix):
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>2024-01-01T00:00:00Z</LastModified>"
            f'<ETag>"{generation}"</ETag><Size>{len(content)}</Size></Contents>'
            for path, (content, generation) in sorted(self.objects.items())
            if (name := path.removeprefix(f"{bucket}/")).startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        return Response(body, 200, {"Content-Type": "application/xml"})


def _described(generation):
    return {"ETag": f'"{generation}"', "x-goog-generation": generation, "Last-Modified": DATE}
