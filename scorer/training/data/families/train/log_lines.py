"""Lookup in the lines of a log."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer

EVENTS = ("accepted from", "rejected by", "queued at", "finished on", "retried by", "moved to")
LEVELS = ("INFO", "WARN", "ERROR", "DEBUG")


@dataclass(frozen=True)
class LogLines:
    """A line for each job; where it went or when it was written is asked for and stands in the job's line."""

    lines: tuple[str, ...] = (
        "{time} {level} job {job} {event} {host} code={code}",
        "[{time}] {level}: {event} {host}, job={job}, code {code}",
        "{level} {job} {time} {host} {event} ({code})",
    )
    questions: tuple[tuple[str, str], ...] = (
        ("code", "Which code was logged for job {job}?"),
        ("time", "At what time was job {job} logged?"),
        ("host", "Which host is named in the line of job {job}?"),
        ("level", "What is the level of the line about job {job}?"),
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        line = rng.choice(self.lines)
        jobs = words.unique(rng, rng.choice((words.number, words.coined, words.code)))
        entries = (self._entry(rng, i, job) for i, job in enumerate(jobs))
        taken = take_tokens(entries, target_tokens, count_tokens, lambda entry: line.format(**entry))
        entry = rng.choice(taken)
        field, question = rng.choice(self.questions)
        log = "\n".join(line.format(**entry) for entry in taken)
        return Task(log, question.format(job=entry["job"]), Answer((entry[field],)))

    def _entry(self, rng: Random, i: int, job: str) -> dict[str, str]:
        seconds = 11 * i + rng.randrange(11)
        return {
            "job": job,
            "time": f"{6 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
            "level": rng.choice(LEVELS),
            "event": rng.choice(EVENTS),
            "host": f"{rng.choice(words.NOUNS)}{words.number(rng, 2)}",
            "code": words.number(rng, 3),
        }
