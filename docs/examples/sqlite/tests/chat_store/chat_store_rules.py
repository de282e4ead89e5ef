"""What the Store promises, rule by rule, and the table that ends a run of this suite.

A test's name begins with the number of the rule that it proves, so a failure says which
promise is broken; the table says it in words.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

PROMISES = {
    "R01": "a thread is loaded exactly as it was saved",
    "R02": "what is absent, or another's, is reported as not found",
    "R03": "saving a thread again updates it, without its items",
    "R04": "saving again never moves a row, nor changes whose it is",
    "R05": "adding an item again updates it in its place",
    "R06": "the placeholder id of chat-completions models is no key",
    "R07": "saving an item that is not there adds it",
    "R08": "no item without its thread",
    "R09": "deleting what is not there is no error",
    "R10": "a deleted thread stays deleted, whatever comes late",
    "R11": "any text of 1 to 255 characters is an id, and nothing else",
    "R12": "owners with the same ids never meet",
    "R13": "the database itself ties an item to its thread's owner",
    "R14": "the items of a thread that is not there are an empty page",
    "R15": "no row without an owner, and no shared owner",
    "R16": "two threads may use the same item id",
    "R17": "one order, ties by insertion, desc the reverse of asc",
    "R18": "following `after` gives every item exactly once",
    "R19": "`has_more` and `after` are exact",
    "R20": "a cursor that is not there is reported",
    "R21": "bad orders and limits are refused, large limits cut",
    "R22": "a page is one round trip and a range of an index",
    "R23": "a read sees every write before it",
    "R24": "times come back naive or aware, as they were saved",
    "R25": "rows are ordered by the instant, in any time zone",
    "R26": "every item type of the installed SDK comes back equal",
    "R27": "any text, number and nesting comes back equal",
    "R28": "what JSON cannot hold is refused, and nothing is stored",
    "R29": "a row that cannot be read harms no other",
    "R30": "attachments keep all of their fields",
    "R31": "a write finishes although its caller is cancelled",
    "R32": "no call blocks the event loop",
    "R33": "the pool is bounded, and waits for it end",
    "R34": "calls survive connections that die, and deadlocks",
    "R35": "what was acknowledged survives `kill -9`",
    "R36": "concurrent writers lose and duplicate nothing",
    "R37": "tables are migrated once, and must suit the code",
    "R38": "the signatures are the SDK's",
    "R39": "no message text and no password in logs or errors",
    "R40": "closing waits for writes, and a closed Store says so",
    "R41": "a save of a thread undoes nobody else's changes",
    "R42": "rows and pages are bounded in bytes",
    "R43": "no content costs much more than plain text",
    "R44": "one owner's calls do not block the others'",
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
        ("error", NOT_TESTED),
        ("passed", KEPT),
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
