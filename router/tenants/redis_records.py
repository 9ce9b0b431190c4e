"""What the values in Redis mean, as the scripts write them. A record that is none is told by its generation 0."""

import json
import re
from collections.abc import Mapping

from router.tenants.store import AuditEntry, Observation, StoredPolicy
from services.shared.redis.commands import text

# no name of a tenant
GENERATION = ":generation"
# generation, time, token of the writer, author; then the policy
RECORD = re.compile(r"(\d+) (\d+) (\S*) ([^\n]*)\n(.*)", re.DOTALL)


def parse_record(tenant: str, record: bytes | str) -> StoredPolicy:
    """Of a value of the hash `policies`. One that no script wrote is all content, which then does not parse."""
    plain = record.decode(errors="surrogateescape") if isinstance(record, bytes) else record
    found = RECORD.fullmatch(plain)
    if found is None:
        return StoredPolicy(tenant, plain, 0, 0, "")
    generation, time_ms, _, author, content = found.groups()
    return StoredPolicy(tenant, content, int(generation), int(time_ms), author)


def parse_audit(number: bytes, fields: Mapping[bytes, bytes]) -> AuditEntry:
    """Of an entry of the stream `audit`."""
    known = {text(name): value.decode(errors="replace") for name, value in fields.items()}
    return AuditEntry(
        text(number),
        int(known["time_ms"]),
        known["author"],
        known["action"],
        known["tenant"],
        int(known["generation"]),
        known["before"],
        known["after"],
    )


def parse_observation(router: str, record: bytes) -> Observation:
    """Of a value of the hash `routers`."""
    time_ms, _, told = text(record).partition(" ")
    generation, source, problem = json.loads(told)
    return Observation(router, generation, source, problem, int(time_ms))
