"""Counts the lines and words of its input, and greets whom the configuration names.

The packages `wit_world` and `componentize_py_types` are generated from wit/; `make bindings` writes them for an editor.
What a module does when it is imported is done once, when the component is built.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.job import Failure_InvalidConfig, Input, Output
from wit_world.imports import config, log


class Job(exports.Job):
    """The exported interface `job`: what WIT calls `ok` is returned, and what WIT calls `err` is raised."""

    def run(self, input: Input) -> Output:
        name = config.get("name")
        if name is None:
            name = "world"
        if name == "":
            raise Err(Failure_InvalidConfig("`name` is empty"))
        lines, words = count(input.body)
        log.log(log.Level.INFO, "my-job", f"bytes={len(input.body)}")
        return Output(
            body=f"Hello, {name}! lines: {lines}, words: {words}\n".encode(),
            content_type="text/plain; charset=utf-8",
            attributes=[],
        )


def count(text: bytes) -> tuple[int, int]:
    """The lines, of which the last one need not end with a line feed, and the words, which have blanks between them."""
    is_open = text != b"" and not text.endswith(b"\n")
    return text.count(b"\n") + is_open, len(text.split())
