"""`Console`: the page at `/` and its two files, which nothing from elsewhere is loaded into."""

from __future__ import annotations

from importlib.resources import files

from clickwise.serving.app.http import Handler, Request, Response

_FILES = {
    "/": ("console.html", b"text/html; charset=utf-8"),
    "/console.css": ("console.css", b"text/css; charset=utf-8"),
    "/console.js": ("console.js", b"text/javascript; charset=utf-8"),
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
]


class Console:
    """Its files, read once. They hold nothing of any model: what they show comes from the routes, which ask for the
    key.
    """

    paths = tuple(_FILES)

    def __init__(self) -> None:
        folder = files("clickwise.serving.app") / "console"
        self._bodies = {path: (folder / name).read_bytes() for path, (name, _) in _FILES.items()}

    def routes(self) -> dict[str, dict[str, Handler]]:
        """`GET /`, `/console.css`, `/console.js`"""
        return {path: {"GET": self._file} for path in self.paths}

    async def _file(self, request: Request) -> Response:
        return Response(200, self._bodies[request.path], _FILES[request.path][1], list(_HEADERS))
