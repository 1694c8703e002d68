"""The clients that people use, on the services of contrib/postfix."""

from dataclasses import replace

import pytest
from harness.answers import ACCEPTED, REJECTED
from harness.clients import CLIENTS, MECHANISMS, Smtp
from harness.postfix import LogMark


@pytest.mark.parametrize("service_name", ["submission", "submissions", "plain"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("client", CLIENTS)
def test_log_in_and_send(service, postfix, user, client, mechanism, service_name):
    """Logs in, sends a message that is accepted, and Postfix names the user in its log."""
    log = LogMark(postfix)
    login = CLIENTS[client](service[service_name], user.name, user.password, mechanism, postfix.certificate)
    assert login.reply == ACCEPTED, login.transcript
    assert login.accepted is not None, login.transcript
    log.wait_for(rf"sasl_method={mechanism}, sasl_username={user.name}$")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("client", CLIENTS)
def test_wrong_password(service, postfix, desk, user, client, mechanism):
    """Every client gets the same answer and leaves one row; clients that try twice leave two."""
    outcome = desk.attempt(CLIENTS[client], service["submission"], user.name, "wrong", mechanism, postfix.certificate)
    assert outcome.reply.reply == REJECTED, outcome.reply.transcript
    assert {(row.username, row.reason, row.mechanism) for row in outcome.rows} == {
        (user.name, "wrong_password", mechanism)
    }


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_no_login_before_tls(service, mechanism):
    """The sample's smtpd_tls_auth_only: AUTH is neither offered nor accepted in clear."""
    with Smtp(replace(service["submission"], tls="none")) as smtp:
        assert smtp.mechanisms() == []
        assert smtp.command(b"AUTH " + mechanism.encode()).code in (503, 530, 538)
