"""What the Store promises, rule by rule, and the table that ends a run of this suite.

A test's name begins with the number of the rule that it proves, so a failure says which
promise is broken; the table says it in words.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

PROMISES = {
    "R01": "a thread is loaded exactly as it was saved",
    "R02": "a missing row, or another owner's, is reported as not found",
    "R03": "saving a thread again updates it, without its items",
    "R04": "saving again never moves a row or changes its owner",
    "R05": "adding an item again updates it in its place",
    "R06": "the placeholder id of chat-completions models is never a key",
    "R07": "saving an item that does not exist adds it",
    "R08": "no item exists without its thread",
    "R09": "deleting what does not exist is not an error",
    "R10": "a deleted thread stays deleted, despite late writes",
    "R11": "any text of 1 to 255 characters is a valid id, and nothing else",
    "R12": "two owners may use the same ids",
    "R13": "the database itself ties an item to its thread's owner",
    "R14": "the items of a missing thread are an empty page",
    "R15": "every row has an owner, and no owner is shared by default",
    "R16": "two threads may use the same item id",
    "R17": "one total order, ties broken by insertion; desc reverses asc",
    "R18": "following `after` gives every item exactly once",
    "R19": "`has_more` and `after` are exact",
    "R20": "an unknown cursor is reported",
    "R21": "bad orders and limits are refused, and large limits are cut",
    "R22": "a page takes one round trip and one index range scan",
    "R23": "a read sees every write before it",
    "R24": "times are loaded as saved, with or without a time zone",
    "R25": "rows are ordered by time, in any time zone",
    "R26": "items of every type in the installed SDK are loaded unchanged",
    "R27": "any text, number and nesting is loaded unchanged",
    "R28": "what JSON cannot hold is refused, and nothing is stored",
    "R29": "an unreadable row does not hide the others",
    "R30": "attachments keep all of their fields",
    "R31": "a write finishes even if its caller is cancelled",
    "R32": "no call blocks the event loop",
    "R33": "the pool is bounded, and waiting for it has a timeout",
    "R34": "calls survive connections that die, and deadlocks",
    "R35": "acknowledged writes survive `kill -9`",
    "R36": "concurrent writers lose and duplicate nothing",
    "R37": "tables are migrated once, and must fit the code",
    "R38": "the signatures are the SDK's",
    "R39": "logs and errors contain no message text and no password",
    "R40": "closing waits for writes, and a closed Store raises an error",
    "R41": "saving a thread does not undo changes of others",
    "R42": "rows and pages have a maximum size in bytes",
    "R43": "no content takes much longer than plain text of its size",
    "R44": "one owner's calls do not block other owners",
}

KEPT, BROKEN, NOT_TESTED = "kept", "BROKEN", "not tested"

_TEST = re.compile(r"test_chat_store_\w+\.py::(test_(R\d\d)?.*)")


def table(stats: Mapping[str, Sequence[object]], *, in_full: bool) -> list[str]:
    """Say of each rule that was tested whether it is kept.

    Args:
        stats: pytest's reports, by outcome, as its terminal reporter collects them.
        in_full: Whether to list the rules that are kept, too.

    Returns:
        Lines to print; none if no test of a rule has run.
    """
    verdicts: dict[str, str] = {}
    failed: dict[str, list[str]] = defaultdict(list)
    for outcome, verdict in (
        ("skipped", NOT_TESTED),
        ("passed", KEPT),
        ("error", NOT_TESTED),
        ("failed", BROKEN),
    ):
        for report in stats.get(outcome, []):
            match = _TEST.search(getattr(report, "nodeid", ""))
            if match and match[2]:
                verdicts[match[2]] = verdict
            if match and verdict == BROKEN:
                failed[match[2]].append(match[1])
    if not verdicts:
        return []
    lines: list[str] = []
    for rule, promise in PROMISES.items():
        found = verdicts.get(rule)
        if found == BROKEN or (found and in_full):
            lines.append(f"{rule}  {promise:63} {found:>10}")
            lines += [f"     {test}" for test in failed[rule]]
    kept = list(verdicts.values()).count(KEPT)
    summary = [f"{kept} promise{'s'[: kept != 1]} kept"]
    for verdict in (BROKEN, NOT_TESTED):
        if rules := sorted(rule for rule in verdicts if verdicts[rule] == verdict):
            summary.append(f"{verdict}: {', '.join(rules)}")
    return [*lines, "; ".join(summary)]
