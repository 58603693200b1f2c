"""Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.

The specification is in guests/README.md. This module is the component's side: it takes the configuration from the
host, has the input redacted, and sends the counts to the host's log. The packages `wit_world` and
`componentize_py_types` are generated from wit/.

What a module does when it is imported is done once, when the component is built. That is why the patterns in `match`
cost nothing at run time.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.job import Failure_InvalidConfig, Input, Output
from wit_world.imports import config, log

from redact import Redactor, parse_mask


class Job(exports.Job):
    """The exported interface `job`: what WIT calls `ok` is returned, and what WIT calls `err` is raised."""

    def run(self, input: Input) -> Output:
        mask = config.get("mask")
        template = config.get("replacement")
        try:
            masked = parse_mask("email,card,ipv4,ipv6,token" if mask is None else mask)
        except ValueError as error:
            raise Err(Failure_InvalidConfig(str(error)))
        redactor = Redactor(masked, "[{kind}]" if template is None else template)
        body = redactor.redact(input.body)
        log.log(log.Level.INFO, "redact", " ".join(f"{kind}={count}" for kind, count in redactor.counts.items()))
        return Output(body=body, content_type=input.content_type, attributes=[])
