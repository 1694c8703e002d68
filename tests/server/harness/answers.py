"""What clients hear from each mail server, for the verdicts of docs/design.md."""

from dataclasses import dataclass

from .clients import Reply

TEMPORARY = ("backend_unavailable", "throttled", "unusable_hash")


@dataclass(frozen=True)
class Answers:
    """The replies of one mail server to AUTH."""

    accepted: Reply
    rejected: Reply
    not_authorized: Reply
    malformed: Reply
    later: Reply

    def to(self, reason):
        """The reply to an attempt that fails for this reason; None: to one that is accepted."""
        if reason is None:
            return self.accepted
        if reason in TEMPORARY:
            return self.later
        return {"ip_not_authorized": self.not_authorized, "malformed_response": self.malformed}.get(
            reason, self.rejected
        )


POSTFIX = Answers(
    accepted=Reply(235, "2.7.0 Authentication successful"),
    rejected=Reply(535, "5.7.8 Error: authentication failed: authentication failure"),
    not_authorized=Reply(535, "5.7.8 Error: authentication failed: authorization failure"),
    malformed=Reply(535, "5.7.8 Error: authentication failed: bad protocol / cancel"),
    later=Reply(454, "4.7.0 Temporary authentication failure: remote authentication server unavailable"),
)

EXIM = Answers(
    accepted=Reply(235, "Authentication succeeded"),
    rejected=Reply(535, "Incorrect authentication data"),
    not_authorized=Reply(535, "Incorrect authentication data"),
    malformed=Reply(535, "Incorrect authentication data"),
    later=Reply(435, "Unable to authenticate at present"),
)

# Most tests talk to Postfix.
ACCEPTED, REJECTED, NOT_AUTHORIZED, MALFORMED, LATER = vars(POSTFIX).values()
