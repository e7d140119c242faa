"""Mails: what is written to a new user, in two variants, and when."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from examples.onboarding.people import User

Variant = Literal["A", "B"]

MORNING = time(9)
"""When mails arrive, on the user's own clock."""
SATURDAY = 5


@dataclass(frozen=True)
class Mail:
    """A mail of the sequence, sent *after_days*; ``subjects`` are those of variant A and B."""

    name: str
    after_days: int
    subjects: tuple[str, str]
    body: str

    def subject(self, variant: Variant) -> str:
        return self.subjects["AB".index(variant)]


WELCOME = Mail("welcome", 0, ("Welcome!", "Good to have you, {name}"), "Hello {name}, your account is ready.")
FIRST_STEPS = Mail("first-steps", 3, ("Three first steps", "{name}, try this next"), "Here is how others begin.")
STORIES = Mail("stories", 14, ("What others do with it", "Two weeks, {name}: what now?"), "Three stories of customers.")
OFFER = Mail("offer", 30, ("Your trial ends", "{name}, stay with us for half the price"), "The offer holds for a week.")


def variant_of(user_id: str) -> Variant:
    """The same for one user in every mail and on every machine; half of all users get either."""
    return "B" if hashlib.sha256(f"onboarding {user_id}".encode()).digest()[0] % 2 else "A"


def due_at(mail: Mail, user: User, signed_up: datetime) -> datetime:
    """Nine in the morning of the user's own day, so many days after they signed up; on a weekend, of the Monday."""
    day = user.local(signed_up).date() + timedelta(days=mail.after_days)
    if day.weekday() >= SATURDAY:
        day += timedelta(days=7 - day.weekday())
    return datetime.combine(day, MORNING, user.local(signed_up).tzinfo)
