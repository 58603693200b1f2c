"""Fetches a URL once, and answers from a key-value bucket after that.

The specification is in guests/README.md. The packages `wit_world` and `componentize_py_types` are generated from wit/.
"""

import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.job import Failure_InvalidInput, Failure_Other, Input, Output
from wit_world.imports import log, outgoing_handler, wasi_config_store, wasi_keyvalue_store
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import Fields, OutgoingRequest, Scheme_Http, Scheme_Https, http_error_code

URL = re.compile(r"(https?)://([!-\".$-.0->@-~]+)([/?][!-\"$-~]*)?(?:#[!-~]*)?")

# How many bytes of an answer are read at once.
CHUNK = 64 * 1024

INVALID = Failure_InvalidInput("the input is not an http or https URL")


class Job(exports.Job):
    """The exported interface `job`: what WIT calls `ok` is returned, and what WIT calls `err` is raised."""

    def run(self, input: Input) -> Output:
        url = input.body.decode("latin-1").strip(" \t\r\n\f")
        parts = URL.fullmatch(url)
        if parts is None:
            raise Err(INVALID)
        try:
            name = wasi_config_store.get("bucket")
            with wasi_keyvalue_store.open("cache" if name is None else name) as bucket:
                body = bucket.get(url)
                how = "miss" if body is None else "hit"
                if body is None:
                    body = fetch(*parts.groups(""))
                    bucket.set(url, body)
        except Err as error:
            raise Err(failure(error.value))
        log.log(log.Level.INFO, "fetch-cache", f"{how} {url}")
        return Output(body=body, content_type=None, attributes=[("cache", how)])


def fetch(scheme: str, authority: str, path: str) -> bytes:
    """Makes the request and reads the whole answer. How large it may be is for the policy to say."""
    request = OutgoingRequest(Fields())
    try:
        request.set_scheme(Scheme_Http() if scheme == "http" else Scheme_Https())
        request.set_authority(authority)
        request.set_path_with_query(path)
    except Err:
        raise Err(INVALID)
    future = outgoing_handler.handle(request, None)
    with future.subscribe() as ready:
        ready.block()
    # Two results in one another: whether the answer was taken before, and what came of the request.
    answer = future.get().value
    if isinstance(answer, Err):
        raise answer
    with answer.value as response:
        if response.status() != 200:
            raise Err(Failure_Other(f"status {response.status()}"))
        # A stream is a part of its body, and goes first.
        with response.consume() as body, body.stream() as stream:
            chunks = bytearray()
            try:
                while True:
                    chunks += stream.blocking_read(CHUNK)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return bytes(chunks)
                raise Err(http_error_code(error.value.value) or Failure_Other(error.value.value.to_debug_string()))


def failure(error: object) -> object:
    """The job's failure for an error of any of the interfaces."""
    module, name = type(error).__module__, type(error).__name__.split("_")[-1]
    if name in ("InvalidInput", "Other") and module.endswith(".job"):
        return error
    # `AccessDenied` is `access-denied` in WIT.
    text = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    if module.endswith("wasi_keyvalue_store"):
        return Failure_Other("key-value: " + (error.value if text == "other" else text))
    return Failure_Other(text)
