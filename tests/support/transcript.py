"""Commands of a tool and what they answered: recorded at RabbitMQ, compared with what this broker makes of them."""

import difflib
from collections.abc import Callable
from pathlib import Path


def play(commands: str, run: Callable[[str], tuple[int, str]]) -> str:
    """Run every command, a line each; below each its exit code and what it printed."""
    played = []
    for line in commands.strip().splitlines():
        code, output = run(line)
        lines = [each.rstrip() for each in output.splitlines()]
        played.append(f"$ {line}\n{code}\n" + "\n".join(lines).rstrip())
    return "".join(f"{each.rstrip()}\n" for each in played)


def compare(recorded: Path, answered: str, differences: dict[str, str]) -> int:
    """Return 1 if an answer differs that is not to differ, or one does not that is; say which."""
    pairs = zip(_steps(recorded.read_text()), _steps(answered), strict=True)
    found = [(ours[0], theirs[1], ours[1]) for theirs, ours in pairs if theirs != ours]
    unexpected = [each for each in found if each[0] not in differences]
    for command, theirs, ours in unexpected:
        print(f"$ {command}")
        print("".join(difflib.ndiff(theirs.splitlines(True), ours.splitlines(True))))
    gone = differences.keys() - {command for command, _, _ in found}
    for command in gone:
        print(f"$ {command}\n  is answered as by RabbitMQ: take it off the list of differences")
    count = len(_steps(answered))
    print(f"{count} commands, {len(found)} answered differently, as is known: {len(differences)}")
    return 1 if unexpected or gone else 0


def _steps(text: str) -> list[tuple[str, str]]:
    """A transcript's commands and answers."""
    steps = []
    for line in text.splitlines(True):
        if line.startswith("$ "):
            steps.append((line[2:].rstrip("\n"), ""))
        else:
            command, answer = steps[-1]
            steps[-1] = (command, answer + line)
    return steps
