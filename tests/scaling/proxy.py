"""nginx in a process, with the configuration that the docs have."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import PATIENCE

CONFIG = Path(__file__).parents[2] / "docs" / "nginx.conf"
PLACES = ("127.0.0.1:4001", "127.0.0.1:4002")
"""The processes in that file; a test has them on free ports."""

MAIN = """\
daemon off;
{user}pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def nginx() -> str:
    """Where nginx is."""
    found = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin")
    assert found, "nginx is not installed: `make test-scaling` installs it"
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(happened: Callable[[], bool], what: str) -> None:
    """Look until something has happened that nobody tells of."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


@dataclass
class Proxy:
    """nginx before some processes, told by their URLs."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    workers: Sequence[str]

    def take_out(self, *urls: str) -> None:
        """Send nothing new to these processes, and everything to the others; wait until it is so.

        It does what docs/scaling.md says: `down`, and a reload.
        """
        before = self._children()
        write_site(self.folder, self.url, self.workers, down=urls)
        subprocess.run(
            [nginx(), "-c", str(self.folder / "nginx.conf"), "-s", "reload"],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        until(
            lambda: (
                bool(self._children() - before) and all(self._is_leaving(child) for child in before)
            ),
            "the reload",
        )

    def _children(self) -> set[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(map(int, path.read_text(encoding="ascii").split()))

    @staticmethod
    def _is_leaving(child: int) -> bool:
        """Whether an nginx process takes no more requests. It says so in its title."""
        try:
            title = Path(f"/proc/{child}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return not title or b"shutting down" in title


def write_site(folder: Path, url: str, workers: Sequence[str], *, down: Collection[str]) -> None:
    """The docs' file, on the ports of this test, with some processes marked as down."""
    text = CONFIG.read_text(encoding="utf-8")
    port = url.rpartition(":")[2]
    text, found = re.subn(r"listen 4000;", f"listen 127.0.0.1:{port};", text)
    assert found == 1
    for place, worker in zip(PLACES, workers, strict=True):
        where = worker.removeprefix("http://")
        mark = " down" if worker in down else ""
        text, found = re.subn(rf"server {place}( [^;]*);", rf"server {where}\1{mark};", text)
        assert found == 1
    (folder / "site.conf").write_text(text, encoding="utf-8")


@contextmanager
def proxied(folder: Path, *workers: str) -> Generator[Proxy]:
    """nginx before these URLs, until the block is left."""
    url = f"http://127.0.0.1:{free_port()}"
    folder.mkdir()
    as_root = Path("/proc/self").stat().st_uid == 0
    main = MAIN.format(folder=folder, user="user root;\n" if as_root else "")
    (folder / "nginx.conf").write_text(main, encoding="utf-8")
    write_site(folder, url, workers, down=())
    command = [nginx(), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: _listens(url), "the start of nginx")
            yield Proxy(url, process, folder, workers)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
