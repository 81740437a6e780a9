"""Access to MLflow's pages: for the browser that opened the printed address, and for nobody else on the machine.

The loopback interface keeps other machines out, not other users of this one, nor a page that the same browser has open
from another port. MLflow itself asks nobody who they are.
"""

import re
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Query parameter of the printed address.
TOKEN_PARAMETER = "token"  # noqa: S105
_SAFE = ("GET", "HEAD", "OPTIONS")
_DAY_S = 86400
# Pages of runs, metrics, artifacts and models. Not here: gateways, webhooks, jobs, prompts, presigned addresses, and
# the bare artifact store; each of them reads files, connects elsewhere or runs something on somebody's request.
_API_2 = (
    "artifacts/list|upload-artifact|get-trace-artifact|metrics/.+|experiments/.+|runs/(?!create-promptlab-run).+"
    "|logged-models(?:/.+)?|model-versions/.+|registered-models/.+|traces"
)
_API_3 = (
    "server-info|ui-telemetry|workspaces|datasets/search|get-trace-artifact|traces/(?:search|metrics|get|batchGet.*)"
    "|traces/[^/]+|scorers/list|label-schemas/list|gateway/endpoints/list|issues/search"
)
_ROUTES = re.compile(
    r"/|/health|/version|/graphql|/get-artifact|/model-versions/get-artifact|/static-files/.+|/favicon\.ico"
    rf"|/(?:ajax-)?api/2\.0/mlflow/(?:{_API_2})|/(?:ajax-)?api/3\.0/mlflow/(?:{_API_3})"
)


def cookie_name(port: int) -> str:
    """Name the cookie by port, since a browser sends the cookies of every port of a host to all of them."""
    return f"medcnn_ui_{port}"


class AccessControl:
    """ASGI middleware that answers 403 to every request without the token, or from another page.

    With the token, what MLflow offers beyond pages of runs and models is answered with 404.

    Args:
        app: What to protect.
        token: The secret of this start. As a query parameter it is exchanged for a cookie and disappears from the
            address.
        port: Where the server listens; requests for another host name or port are refused (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self._token = token.encode()
        self._cookie = cookie_name(port)
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            answer = self._refusal_or_redirect(scope, Headers(scope=scope))
            if answer is None:
                await self.app(scope, receive, _without_cors(send))
            else:
                await answer(scope, receive, send)

    def _refusal_or_redirect(self, scope: Scope, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return _refuse("this server answers to 127.0.0.1 and localhost at its own port only")
        given = parse_qs(scope["query_string"].decode("latin-1")).get(TOKEN_PARAMETER, [])
        if scope["method"] == "GET" and scope["path"] == "/" and self._is_token(given):
            return self._grant()
        if not self._is_token(_cookies(headers, self._cookie)):
            return _refuse("open the address that `medcnn ui` printed: it holds the token of this start")
        if not self._same_origin(scope["method"], headers, f"http://{hosts[0].lower()}"):
            return _refuse("requests from other pages are refused")
        if ".." in scope["path"].split("/") or not _ROUTES.fullmatch(scope["path"]):
            return _refuse("medcnn does not serve this part of MLflow", 404)
        return None

    def _is_token(self, given: Iterable[str]) -> bool:
        return any(secrets.compare_digest(one.encode("utf-8", "surrogateescape"), self._token) for one in given)

    def _grant(self) -> Response:
        # Without a fragment of its own, the browser keeps the one of the printed address.
        answer = RedirectResponse("/", 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        answer.set_cookie(self._cookie, self._token.decode(), max_age=7 * _DAY_S, httponly=True, samesite="strict")
        return answer

    @staticmethod
    def _same_origin(method: str, headers: Headers, own: str) -> bool:
        """Compare what a browser reports about the page that asks; other programs report nothing.

        Ports share cookies and count as the same site, so neither SameSite nor the cookie itself tells pages apart.
        """
        if any(origin.lower() != own for origin in headers.getlist("origin")):
            return False
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            # A link may lead here, as long as nothing changes and the page that holds it cannot read the answer.
            opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            return opened and method in _SAFE
        if method not in _SAFE and "origin" not in headers and (referer := headers.get("referer")):
            parts = urlsplit(referer)
            return f"{parts.scheme}://{parts.netloc}".lower() == own
        return True


def _cookies(headers: Headers, name: str) -> list[str]:
    found = []
    for line in headers.getlist("cookie"):
        try:
            morsel = SimpleCookie(line).get(name)
        except CookieError:
            continue
        found += [morsel.value] if morsel is not None else []
    return found


def _refuse(reason: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{reason}\n", status, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _without_cors(send: Send) -> Send:
    """Drop what would let another origin read the answer: MLflow allows every port of this machine."""

    async def filtered(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": [*kept, (b"referrer-policy", b"same-origin")]}
        await send(message)

    return filtered
