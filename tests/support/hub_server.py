"""A small server on this machine that answers as the hub of models does, and notes what it was asked for."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Files by commit, and the commit that each branch or tag names."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    # Tokens that may read the files of a gated repository.
    tokens: set[str] = field(default_factory=set)

    def commit_of(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.names.get(revision)


@dataclass
class Hub:
    """The repositories served, the requests so far, and what goes wrong on purpose."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    # File -> bytes sent before the connection is dropped, and for how many requests.
    dropped: dict[str, tuple[int, int]] = field(default_factory=dict)
    # File -> bytes that are left of it, sent as though they were all.
    shortened: dict[str, int] = field(default_factory=dict)
    # Sent in answer to everything, where set.
    status: int | None = None
    page: bytes | None = None
    silent: threading.Event | None = None

    def add(self, model: str, files: Mapping[str, bytes], *, name: str = "main", gated: bool = False) -> str:
        """Add a commit to a repository, made if need be, and return its hash."""
        text = repr((model, sorted(files.items())))
        commit = hashlib.sha1(text.encode()).hexdigest()
        repository = self.repositories.setdefault(model, Repository(gated=gated))
        repository.commits[commit] = dict(files)
        repository.names[name] = commit
        return commit

    def fetched(self) -> list[str]:
        """Return the files that were downloaded, in order."""
        marks = [(method, path.partition("/resolve/")[2]) for method, path in self.requests]
        return [mark.partition("/")[2] for method, mark in marks if method == "GET" and mark]


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of a repository's description and files."""

    protocol_version = "HTTP/1.1"
    # Else the second packet of each answer waits for the client to acknowledge the first.
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the hub notes the requests itself."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append((self.command, path))
        if self.hub.silent is not None:
            self.hub.silent.wait(20)
            self.close_connection = True
        elif self.hub.status is not None:
            self.send(self.hub.status, b"")
        elif self.hub.page is not None:
            self.send(200, self.hub.page)
        elif path.startswith("api/models/"):
            model, _, revision = path.removeprefix("api/models/").partition("/revision/")
            self.describe(model, revision or "main")
        else:
            model, _, rest = path.partition("/resolve/")
            self.resolve(model, rest)

    def find(self, model: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.hub.repositories.get(model)
        if repository is None:
            # The hub does not tell strangers whether a repository is private or missing.
            self.send(404 if self.token() else 401, b"", **{"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.commit_of(revision)
        if commit is None:
            self.send(404, b"", **{"X-Error-Code": "RevisionNotFound"})
            return None
        return repository, commit

    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def describe(self, model: str, revision: str) -> None:
        found = self.find(model, revision)
        if found is not None:
            repository, commit = found
            siblings = [{"rfilename": file} for file in sorted(repository.commits[commit])]
            content = {"id": model, "sha": commit, "siblings": siblings, "gated": repository.gated, "private": False}
            self.send(200, json.dumps(content).encode(), **{"Content-Type": "application/json"})

    def resolve(self, model: str, rest: str) -> None:
        repository = self.hub.repositories.get(model)
        known = [*repository.commits, *repository.names] if repository else []
        revision = next((name for name in known if rest.startswith(f"{name}/")), rest.partition("/")[0])
        found = self.find(model, revision)
        if found is None:
            return
        repository, commit = found
        if repository.gated and self.token() not in repository.tokens:
            self.send(403 if self.token() else 401, b"", **{"X-Error-Code": "GatedRepo"})
            return
        file = rest.removeprefix(f"{revision}/")
        if file not in repository.commits[commit]:
            self.send(404, b"", **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        self.send_file(file, repository.commits[commit][file], commit)

    def send_file(self, file: str, content: bytes, commit: str) -> None:
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if file.endswith(".safetensors"):
            digest = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{digest}"'}
        if self.command == "GET" and file in self.hub.shortened:
            content = content[: self.hub.shortened[file]]
        status, whole, first = 200, len(content), 0
        if span := self.headers.get("Range"):
            first = int(span.removeprefix("bytes=").partition("-")[0])
            status, headers["Content-Range"] = 206, f"bytes {first}-{whole - 1}/{whole}"
        sent, times = self.hub.dropped.get(file, (0, 0))
        if self.command == "GET" and times:
            self.hub.dropped[file] = (sent, times - 1)
            self.send(status, content[first:], sent=sent, **headers)
            self.close_connection = True
        else:
            self.send(status, content[first:], **headers)

    def send(self, status: int, content: bytes, *, sent: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:sent])


class Server(ThreadingHTTPServer):
    """Ends without waiting for connections that clients keep open."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a hub without repositories on a free port."""
    hub = Hub()
    server = Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.silent is not None:
            hub.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()
