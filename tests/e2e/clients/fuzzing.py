"""Hooks of schemathesis. A caller that waits only a millisecond is rightly told that its time is over. The requests made here
therefore wait at least as long as a healthy gateway ever needs, so that every 504 is a finding."""

import schemathesis

SHORTEST_MS = 10_000


@schemathesis.hook
def before_call(context, case, kwargs):
    deadline_ms = case.body.get("deadline_ms") if isinstance(case.body, dict) else None
    if type(deadline_ms) is int and 0 < deadline_ms < SHORTEST_MS:
        case.body["deadline_ms"] = SHORTEST_MS
