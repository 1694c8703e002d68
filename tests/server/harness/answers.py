"""The answers that clients hear from Postfix, for the verdicts of DESIGN's table."""

from harness.clients import Reply

ACCEPTED = Reply(235, "2.7.0 Authentication successful")
REJECTED = Reply(535, "5.7.8 Error: authentication failed: authentication failure")
NOT_AUTHORIZED = Reply(535, "5.7.8 Error: authentication failed: authorization failure")
MALFORMED = Reply(535, "5.7.8 Error: authentication failed: bad protocol / cancel")
LATER = Reply(454, "4.7.0 Temporary authentication failure: remote authentication server unavailable")
