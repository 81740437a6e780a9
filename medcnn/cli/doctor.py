"""``medcnn doctor``: what this installation can do, and what to install for the rest."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from medcnn import __version__
from medcnn.cli.checkup import Finding, checkup


@dataclass
class Doctor:
    """Say what this installation can do, and what to install for the rest.

    Exits 0 where everything needed works, though something optional may be missing; 2 where a part is broken or a
    package has a known hole.

    Attributes:
        format: ``text`` for people, ``json`` for programs.
    """

    format: Literal["text", "json"] = "text"

    def __call__(self) -> int:
        """Print the findings.

        Returns:
            0, or 2 where something is broken.
        """
        findings = list(checkup())
        print(as_json(findings) if self.format == "json" else as_text(findings))
        return 2 if any(finding.state == "broken" for finding in findings) else 0


def as_json(findings: list[Finding]) -> str:
    """One object: the version and a list of findings."""
    return json.dumps({"medcnn": __version__, "findings": [finding._asdict() for finding in findings]}, indent=2)


def as_text(findings: list[Finding]) -> str:
    """A line a finding under a heading a part, and a closing line that counts the states."""
    width = max(len(finding.name) for finding in findings)
    lines, part = [f"medcnn {__version__}"], ""
    for finding in findings:
        if finding.part != part:
            part = finding.part
            lines += ["", part]
        lines.append(f"  {finding.state:<8} {finding.name:<{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"  {'':<8} {'':<{width}}  -> {finding.advice}")
    states = Counter(finding.state for finding in findings)
    return "\n".join([*lines, "", ", ".join(f"{count} {state}" for state, count in states.items())])
