"""A form that is sent 100 MB: refused, and neither memory nor disk pay for it."""

import http.client
import re
from pathlib import Path

import psutil
import pytest

from tests.web.conftest import PASSWORD, Page

MIB = 1024**2


def _token(form: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert found, "no form"
    return found[1]


def _signed_in(page: Page) -> tuple[str, str]:
    """(cookie, token) of an owner."""
    cookie, token = "", ""
    for method, form in (("GET", ""), ("POST", f"code={page.code}&password={PASSWORD}&again={PASSWORD}")):
        line = http.client.HTTPConnection(page.url.removeprefix("http://"), timeout=30)
        body = f"{form}&csrf_token={token}".replace(" ", "+") if form else None
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        line.request(method, "/claim", body, headers)
        answer = line.getresponse()
        text = answer.read().decode()
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        token = token or _token(text)
    line.request("GET", "/add", headers={"Cookie": cookie})
    text = line.getresponse().read().decode()
    return cookie, _token(text)


@pytest.mark.parametrize("told", ["length", "chunks"])
def test_100_mb_to_the_add_form_are_refused_and_memory_stays_flat(tmp_path: Path, told: str) -> None:
    page = Page(tmp_path / "box")
    with page.box:
        page.start_web()
        try:
            cookie, token = _signed_in(page)
            web = psutil.Process(page.web.pid)
            before = web.memory_info().rss
            head = (
                f'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
                '--x\r\nContent-Disposition: form-data; name="files"; filename="a.torrent"\r\n\r\n'
            ).encode()
            line = http.client.HTTPConnection(page.url.removeprefix("http://"), timeout=60)
            line.putrequest("POST", "/add")
            line.putheader("Cookie", cookie)
            line.putheader("Content-Type", "multipart/form-data; boundary=x")
            if told == "length":
                line.putheader("Content-Length", str(len(head) + 100 * MIB))
            else:
                line.putheader("Transfer-Encoding", "chunked")
            line.endheaders()
            highest = before
            try:
                for block in (head, *([bytes(MIB)] * 100)):
                    line.send(block if told == "length" else b"%x\r\n%s\r\n" % (len(block), block))
                    highest = max(highest, web.memory_info().rss)
            except OSError:
                pass  # hung up on, which is an answer too
            else:
                if told == "chunks":
                    line.send(b"0\r\n\r\n")
                assert line.getresponse().status == 413
            assert highest - before < 24 * MIB
            line.close()
            again = http.client.HTTPConnection(page.url.removeprefix("http://"), timeout=30)
            again.request("GET", "/", headers={"Cookie": cookie})
            assert again.getresponse().status == 200
            # What waits in a file waits in one without a name, which ends with the request.
            held = [str(link.readlink()) for link in Path(f"/proc/{web.pid}/fd").iterdir()]
            assert not [name for name in held if "(deleted)" in name]
        finally:
            page.stop_web()
