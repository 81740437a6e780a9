"""The pages answer to the browser that opened the printed address."""

import asyncio
from typing import Any

import pytest

from medcnn.tracking.access import AccessControl, cookie_name

TOKEN, PORT = "s3cret-token", 5000
HOST = f"127.0.0.1:{PORT}"
API = "/ajax-api/2.0/mlflow/experiments/search"


def ask(
    method: str = "GET", path: str = "/", query: str = "", token: str | None = TOKEN, **headers: str
) -> tuple[int, dict[str, str]]:
    """Send a request through the access control to an application that answers 200 with MLflow's CORS header."""
    sent: list[dict[str, Any]] = []
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        given["cookie"] = f"other=1; {cookie_name(PORT)}={token}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({
            "type": "http.response.start", "status": 200,
            "headers": [(b"Access-Control-Allow-Origin", b"http://localhost:9999")],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }  # fmt: skip
    asyncio.run(AccessControl(app, TOKEN, PORT)(scope, receive, send))
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("path", [
    "/", "/health", "/version", "/static-files/main.js", "/graphql", "/get-artifact", API, API.replace("ajax-", ""),
    "/api/3.0/mlflow/server-info", "/ajax-api/2.0/mlflow/upload-artifact", "/gateway/x", "/v1/traces", "/nowhere",
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_no_route_answers_without_the_token(path: str, method: str) -> None:
    for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x", "ümlaut"):
        assert ask(method, path, token=token)[0] == 403


def test_the_printed_address_leads_to_a_clean_one_with_a_cookie() -> None:
    status, headers = ask(query=f"token={TOKEN}", token=None)
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert ask(query="token=wrong", token=None)[0] == 403
    assert ask("POST", query=f"token={TOKEN}", token=None)[0] == 403


def test_the_cookie_opens_pages_without_cors() -> None:
    for path in ("/", "/health", API, "/get-artifact", "/static-files/main.js"):
        status, headers = ask(path=path)
        assert status == 200
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:5000", "127.0.0.1", "127.0.0.1:5001", "localhost.evil.com:5000", ""]
)
def test_another_host_name_is_refused(host: str) -> None:
    assert ask(host=host)[0] == 403


@pytest.mark.parametrize("headers", [
    {"origin": "http://localhost:9999"}, {"origin": "null"}, {"origin": "http://evil.com"},
    {"origin": f"https://{HOST}"}, {"referer": "http://127.0.0.1:9999/x"}, {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
])  # fmt: skip
def test_another_page_changes_nothing_even_with_the_cookie(headers: dict[str, str]) -> None:
    assert ask("POST", API, **headers)[0] == 403


def test_the_own_page_may_change_things() -> None:
    assert ask("POST", API, origin=f"http://{HOST}", sec_fetch_site="same-origin")[0] == 200
    assert ask("POST", API, referer=f"http://{HOST}/#/experiments/1")[0] == 200


def test_another_page_reads_nothing_and_may_link_here() -> None:
    assert ask(path=API, origin="http://localhost:9999")[0] == 403
    assert ask(path="/get-artifact", sec_fetch_site="same-site", sec_fetch_dest="image")[0] == 403
    assert ask(sec_fetch_site="same-site", sec_fetch_mode="navigate", sec_fetch_dest="document")[0] == 200


@pytest.mark.parametrize("path", [
    "/ajax-api/2.0/mlflow/webhooks", "/api/2.0/mlflow/gateway-proxy", "/api/2.0/mlflow/runs/create-promptlab-run",
    "/api/2.0/mlflow-artifacts/artifacts/x", "/api/2.0/mlflow/artifacts/presigned-upload-url", "/v1/traces",
    "/ajax-api/3.0/mlflow/jobs/1", "/ajax-api/3.0/mlflow/gateway/secrets/create", "/ajax-api/3.0/mlflow/scorer/invoke",
    "/api/2.0/mlflow/experiments/../webhooks", "//api/2.0/mlflow/webhooks", "/ajax-api/3.0/mlflow/demo/generate",
    "/gateway/chat/mlflow/invocations", "/static-files/../x",
])  # fmt: skip
def test_what_reaches_beyond_the_store_is_not_served(path: str) -> None:
    assert ask("POST", path, origin=f"http://{HOST}")[0] == 404
