/*
 * test_scram.c: exchanges of SCRAM-SHA-256 with the test's own client, and their verdicts.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "doubles.h"
#include "fake_host.h"
#include "hash/scram.h"
#include "sasl/mechanisms.h"

/* Made by Python's hashlib of these passwords; the first two have the salt of RFC 7677's example. */
#define PENCIL                                                                              \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4" \
    "qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define CRAYON                                                                              \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$0t5b4oF2tQeSKpSUzRoqnrGCIiYINpEXwahzgpe5R" \
    "Cc=:4U8zylKANWQGsA9e+VLOGsj4E77bo4erneYJu/UpIY0="
#define CRAYON_OTHER_SALT                                                                   \
    "SCRAM-SHA-256$4096:YW5vdGhlciBzYWx0IDE2Yg==$8FdyD+Iz/ZTaY92KSG+wF/O4ctvnkv8go2gYNjSsY" \
    "a4=:8amrV5KCa32ZeB0o0sSzqTkoqRDvzarIsnWpmAqvNao="
#define BCRYPT "$2y$04$VHw3P7/ijGPbAUxdVQk2GeRy6Be7aRcqNdHiUu8Xfd40SBVnirwJO"

static char id[] = "7";
static struct backend *backend;

static int set_up(void **state)
{
    (void)state;
    doubles_reset();
    fake_host_reset("smtpd");
    backend = double_backend();
    doubles_find_user(PENCIL);
    return 0;
}

#define TEST_SCRAM(name) TEST_WITH(name, set_up, NULL)

/* ---- the client ---- */

static void hmac(const uint8_t *key, const char *text, uint8_t out[32])
{
    unsigned len = 32;

    HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), out, &len);
}

struct client {
    struct fake_exchange exchange;
    const char *header; /* gs2-header */
    char bare[512];
    char challenge[1024];
    char nonce[512];
    char salt[256];
    unsigned iterations;
    uint8_t salted[32];
    char signed_text[4096];
};

/* Sends the first message and reads the challenge, if there is one. */
static int start(struct client *client, const char *header, const char *name)
{
    char message[512];

    client->exchange = fake_begin(&mech_scram, backend);
    client->header = header;
    snprintf(client->bare, sizeof client->bare, "n=%s,r=rOprNGfwEbeRWgbNEkqO", name);
    snprintf(message, sizeof message, "%s%s", header, client->bare);
    if (fake_say(&client->exchange, message) != SASL_CONTINUE)
        return client->exchange.code;
    snprintf(client->challenge, sizeof client->challenge, "%.*s", (int)client->exchange.out_len,
        client->exchange.out);
    assert_int_equal(sscanf(client->challenge, "r=%511[^,],s=%255[^,],i=%u", client->nonce,
                         client->salt, &client->iterations),
        3);
    return SASL_CONTINUE;
}

static void make_final(struct client *client, const char *password, char *message, size_t cap)
{
    uint8_t salt[16], key[32], stored[32], signature[32];
    char binding[64], proof[64];
    size_t header_len = strlen(client->header);
    char final[1024];

    assert_true(base64_decode(client->salt, strlen(client->salt), salt, sizeof salt));
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, sizeof salt, (int)client->iterations,
        EVP_sha256(), 32, client->salted);
    hmac(client->salted, "Client Key", key);
    EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL);
    base64_encode((const uint8_t *)client->header, header_len, binding);
    snprintf(final, sizeof final, "c=%s,r=%s", binding, client->nonce);
    snprintf(client->signed_text, sizeof client->signed_text, "%s,%s,%s", client->bare,
        client->challenge, final);
    hmac(stored, client->signed_text, signature);
    for (int i = 0; i < 32; i++)
        key[i] ^= signature[i];
    base64_encode(key, 32, proof);
    snprintf(message, cap, "%s,p=%s", final, proof);
}

/* True: the server's signature is the one that the client expects. */
static void expect_signature(struct client *client)
{
    uint8_t key[32], signature[32];
    char wanted[64] = "v=";

    hmac(client->salted, "Server Key", key);
    hmac(key, client->signed_text, signature);
    base64_encode(signature, 32, wanted + 2);
    assert_int_equal(client->exchange.out_len, strlen(wanted));
    assert_memory_equal(client->exchange.out, wanted, strlen(wanted));
}

static int prove(struct client *client, const char *password)
{
    char message[2048];

    make_final(client, password, message, sizeof message);
    return fake_say(&client->exchange, message);
}

/* A whole exchange; the code at its end. */
static int log_in(const char *name, const char *password)
{
    struct client client = {0};
    int code = start(&client, "n,,", name);

    if (code == SASL_CONTINUE)
        code = prove(&client, password);
    if (code == SASL_CONTINUE) {
        expect_signature(&client);
        assert_int_equal(double_audit.logins, 0); /* not before the client has the signature */
        code = fake_step(&client.exchange, "", 0);
        assert_null(client.exchange.out);
    }
    fake_end(&client.exchange);
    return code;
}

/* ---- the verdicts ---- */

static void expect_row(const char *what, enum reason reason, reason_set failed)
{
    if (double_audit.failures != 1 || double_audit.failure.reason != reason ||
        double_audit.failure.failed != (failed == 0 ? REASON_BIT(reason) : failed))
        fail_msg("%s: %d rows, %s, %x", what, double_audit.failures,
            reason_name(double_audit.failure.reason), double_audit.failure.failed);
    assert_int_equal(double_audit.logins, 0);
    assert_string_equal(double_audit.mechanism, "SCRAM-SHA-256");
}

TEST_SCRAM(the_right_password_is_accepted_and_noted)
{
    assert_int_equal(log_in("app1", "pencil"), SASL_OK);
    assert_int_equal(double_audit.failures, 0);
    assert_int_equal(double_audit.logins, 1);
    assert_int_equal(double_lookup.calls, 1);
    assert_string_equal(fake_canonical, "app1");
}

TEST_SCRAM(the_signature_goes_along_where_the_protocol_has_success_data)
{
    struct client client = {0};

    fake_sparams.flags = SASL_SUCCESS_DATA;
    assert_int_equal(start(&client, "n,,", "app1"), SASL_CONTINUE);
    assert_int_equal(prove(&client, "pencil"), SASL_OK);
    expect_signature(&client);
    fake_end(&client.exchange);
    assert_int_equal(double_audit.failures, 0);
    assert_int_equal(double_audit.logins, 1);
}

#define RETIRED(text_of_hash, in_grace)                                       \
    .retired_count = 1, .retired = {{.stored = (char[]){text_of_hash},        \
                            .retired_at = (char[]){"2026-01-31 12:00:00+00"}, \
                            .id = (char[]){"12"},                             \
                            .accepted = in_grace}}
#define LIVE(text_of_hash) \
    .found = true, .user_id = id, .enabled = true, .client_allowed = true, .hash.text = text_of_hash

static const struct {
    const char *what;
    const char *name;
    const char *password;
    struct user user;
    int code;
    enum reason reason;
    reason_set failed;
} rows[] = {
    {"right", "app1", "pencil", {LIVE(PENCIL)}, SASL_OK, REASON_ACCEPTED, 0},
    {"wrong", "app1", "crayon", {LIVE(PENCIL)}, SASL_BADAUTH, REASON_WRONG_PASSWORD, 0},
    {"unknown", "nobody", "pencil", {.found = false}, SASL_BADAUTH, REASON_UNKNOWN_USER, 0},
    {"deleted", "app1", "pencil", {.deleted = true}, SASL_BADAUTH, REASON_DELETED_USER, 0},
    {"e-mail address", "app1@example.com", "pencil", {.found = false}, SASL_BADAUTH,
        REASON_USERNAME_HAS_AT, 0},
    {"blank at the end", "app1 ", "pencil", {LIVE(PENCIL)}, SASL_BADAUTH,
        REASON_USERNAME_WHITESPACE, 0},
    {"no verifier", "app1", "correct horse", {LIVE(BCRYPT)}, SASL_BADAUTH, REASON_NO_SCRAM_VERIFIER,
        0},
    {"no usable hash", "app1", "pencil", {LIVE("")}, SASL_UNAVAIL, REASON_UNUSABLE_HASH, 0},
    {"suspended", "app1", "pencil", {LIVE(PENCIL), .standing = STANDING_SUSPENDED}, SASL_BADAUTH,
        REASON_ACCOUNT_SUSPENDED, 0},
    {"suspended, wrong", "app1", "crayon", {LIVE(PENCIL), .standing = STANDING_SUSPENDED},
        SASL_BADAUTH, REASON_ACCOUNT_SUSPENDED,
        REASON_BIT(REASON_ACCOUNT_SUSPENDED) | REASON_BIT(REASON_WRONG_PASSWORD)},
    {"suspended, no verifier", "app1", "x", {LIVE(BCRYPT), .standing = STANDING_SUSPENDED},
        SASL_BADAUTH, REASON_ACCOUNT_SUSPENDED,
        REASON_BIT(REASON_ACCOUNT_SUSPENDED) | REASON_BIT(REASON_NO_SCRAM_VERIFIER)},
    {"standing is no known word", "app1", "pencil", {LIVE(PENCIL), .standing = STANDING_UNKNOWN},
        SASL_UNAVAIL, REASON_BACKEND_UNAVAILABLE, 0},
    {"expired", "app1", "pencil", {LIVE(PENCIL), .expired = true}, SASL_BADAUTH,
        REASON_EXPIRED_USER, 0},
    {"retired, in its grace", "app1", "crayon", {LIVE(PENCIL), RETIRED(CRAYON, true)}, SASL_OK,
        REASON_ACCEPTED, 0},
    {"retired, after its grace", "app1", "crayon", {LIVE(PENCIL), RETIRED(CRAYON, false)},
        SASL_BADAUTH, REASON_STALE_PASSWORD, 0},
    {"retired with another salt, in its grace", "app1", "crayon",
        {LIVE(PENCIL), RETIRED(CRAYON_OTHER_SALT, true)}, SASL_BADAUTH, REASON_WRONG_PASSWORD, 0},
    {"retired of another scheme", "app1", "correct horse", {LIVE(PENCIL), RETIRED(BCRYPT, true)},
        SASL_BADAUTH, REASON_WRONG_PASSWORD, 0},
    {"retired verifier, current hash none", "app1", "crayon", {LIVE(BCRYPT), RETIRED(CRAYON, true)},
        SASL_BADAUTH, REASON_NO_SCRAM_VERIFIER, 0},
    {"retired, in its grace, suspended", "app1", "crayon",
        {LIVE(PENCIL), RETIRED(CRAYON, true), .standing = STANDING_SUSPENDED}, SASL_BADAUTH,
        REASON_ACCOUNT_SUSPENDED, 0},
    {"throttled", "app1", "pencil", {LIVE(PENCIL), .throttled = true}, SASL_UNAVAIL,
        REASON_THROTTLED, 0},
};

TEST_SCRAM(each_look_up_comes_to_its_verdict)
{
    for (size_t i = 0; i < ROWS(rows); i++) {
        int code;

        set_up(NULL);
        double_lookup.row = rows[i].user;
        code = log_in(rows[i].name, rows[i].password);
        if (code != rows[i].code)
            fail_msg("%s: code %d, wanted %d", rows[i].what, code, rows[i].code);
        if (code != SASL_OK)
            expect_row(rows[i].what, rows[i].reason, rows[i].failed);
        else
            assert_int_equal(double_audit.failures, 0);
        if (code != SASL_OK)
            assert_string_equal(double_audit.username, rows[i].name);
    }
}

TEST_SCRAM(an_address_that_is_not_allowed_is_told_after_the_proof)
{
    double_lookup.row.client_allowed = false;
    assert_int_equal(log_in("app1", "pencil"), SASL_NOAUTHZ);
    expect_row("right", REASON_IP_NOT_AUTHORIZED, 0);
    set_up(NULL);
    double_lookup.row.client_allowed = false;
    assert_int_equal(log_in("app1", "crayon"), SASL_BADAUTH);
    expect_row("wrong", REASON_WRONG_PASSWORD,
        REASON_BIT(REASON_WRONG_PASSWORD) | REASON_BIT(REASON_IP_NOT_AUTHORIZED));
}

TEST_SCRAM(a_login_with_a_retired_password_says_which)
{
    double_lookup.row = (struct user){LIVE(PENCIL), RETIRED(CRAYON, true)};
    assert_int_equal(log_in("app1", "crayon"), SASL_OK);
    assert_string_equal(double_audit.login_retired_id, "12");
}

TEST_SCRAM(without_diagnosis_a_stale_password_is_wrong)
{
    backend->options.diagnose = false;
    double_lookup.row = (struct user){LIVE(PENCIL), RETIRED(CRAYON, false)};
    assert_int_equal(log_in("app1", "crayon"), SASL_BADAUTH);
    expect_row("stale", REASON_WRONG_PASSWORD, 0);
}

TEST_SCRAM(an_outage_is_told_at_once)
{
    double_lookup.result = LOOKUP_UNAVAILABLE;
    assert_int_equal(log_in("app1", "pencil"), SASL_UNAVAIL);
    expect_row("outage", REASON_BACKEND_UNAVAILABLE, 0);
    assert_string_equal(fake_canonical, "app1"); /* without a name Exim would answer 535 */
}

TEST_SCRAM(a_name_that_the_host_refuses_is_never_accepted)
{
    fake_refuses_names = true;
    assert_int_equal(log_in("app1", "pencil"), SASL_UNAVAIL);
    expect_row("name", REASON_BACKEND_UNAVAILABLE, 0);
}

TEST_SCRAM(an_authorization_identity_must_be_the_name)
{
    struct client client = {0};

    assert_int_equal(start(&client, "n,a=app1,", "app1"), SASL_CONTINUE);
    assert_int_equal(prove(&client, "pencil"), SASL_CONTINUE);
    assert_int_equal(fake_step(&client.exchange, NULL, 0), SASL_OK);
    fake_end(&client.exchange);
    assert_int_equal(start(&client, "n,a=root,", "app1"), SASL_CONTINUE);
    assert_int_equal(prove(&client, "pencil"), SASL_BADAUTH);
    fake_end(&client.exchange);
    assert_int_equal(double_audit.logins, 1);
    assert_int_equal(double_audit.failures, 1);
    assert_int_equal(double_audit.failure.reason, REASON_AUTHZID_MISMATCH);
}

/* ---- malformed and tampered messages ---- */

TEST_SCRAM(a_malformed_first_message_is_not_looked_up)
{
    struct fake_exchange exchange = fake_begin(&mech_scram, backend);

    assert_int_equal(fake_say(&exchange, "n,,n=app1"), SASL_BADPROT);
    fake_end(&exchange);
    expect_row("first", REASON_MALFORMED_RESPONSE, 0);
    assert_string_equal(double_audit.username, "app1");
    assert_int_equal(double_lookup.calls, 0);
}

TEST_SCRAM(a_tampered_final_message_is_malformed)
{
    static const struct {
        const char *find;
        const char *put;
    } changes[] = {{"c=biws", "c=eSws"}, {",r=r", ",r=s"}};

    for (size_t i = 0; i < ROWS(changes); i++) {
        struct client client = {0};
        char message[2048];

        set_up(NULL);
        assert_int_equal(start(&client, "n,,", "app1"), SASL_CONTINUE);
        make_final(&client, "pencil", message, sizeof message);
        memcpy(strstr(message, changes[i].find), changes[i].put, strlen(changes[i].put));
        assert_int_equal(fake_say(&client.exchange, message), SASL_BADPROT);
        fake_end(&client.exchange);
        expect_row(changes[i].find, REASON_MALFORMED_RESPONSE, 0);
    }
}

TEST_SCRAM(a_final_message_of_an_earlier_exchange_is_refused)
{
    struct client first = {0}, second = {0};
    char message[2048];

    assert_int_equal(start(&first, "n,,", "app1"), SASL_CONTINUE);
    make_final(&first, "pencil", message, sizeof message);
    assert_int_equal(fake_say(&first.exchange, message), SASL_CONTINUE);
    assert_int_equal(fake_step(&first.exchange, "", 0), SASL_OK);
    assert_int_equal(start(&second, "n,,", "app1"), SASL_CONTINUE);
    assert_string_not_equal(first.nonce, second.nonce);
    assert_int_equal(fake_say(&second.exchange, message), SASL_BADPROT);
    fake_end(&first.exchange);
    fake_end(&second.exchange);
    assert_int_equal(double_audit.failure.reason, REASON_MALFORMED_RESPONSE);
    assert_string_equal(double_audit.detail, "nonce is not that of this exchange");
}

TEST_SCRAM(the_response_to_the_signature_is_empty)
{
    struct client client = {0};

    assert_int_equal(start(&client, "n,,", "app1"), SASL_CONTINUE);
    assert_int_equal(prove(&client, "pencil"), SASL_CONTINUE);
    assert_int_equal(fake_say(&client.exchange, "x"), SASL_BADPROT);
    fake_end(&client.exchange);
    expect_row("last", REASON_MALFORMED_RESPONSE, 0);
}

TEST_SCRAM(a_server_s_nonce_has_18_random_bytes)
{
    struct client client = {0};

    assert_int_equal(start(&client, "n,,", "app1"), SASL_CONTINUE);
    assert_memory_equal(client.nonce, "rOprNGfwEbeRWgbNEkqO", 20);
    assert_int_equal(strlen(client.nonce), 20 + BASE64_CHARS(18));
    fake_end(&client.exchange);
}

/* ---- channel bindings ---- */

TEST_SCRAM(channel_bindings_are_verified_where_the_host_has_one)
{
    static const unsigned char data[] = {1, 2, 3, 4};
    static const sasl_channel_binding_t binding = {"tls-exporter", 0, sizeof data, data};
    struct fake_exchange exchange = fake_begin(&mech_scram, backend);

    assert_int_equal(fake_say(&exchange, "p=tls-exporter,,n=app1,r=abc"), SASL_BADPROT);
    fake_end(&exchange);
    expect_row("not supported", REASON_MALFORMED_RESPONSE, 0);
    set_up(NULL);
    fake_sparams.cbinding = &binding;
    exchange = fake_begin(&mech_scram, backend);
    assert_int_equal(fake_say(&exchange, "y,,n=app1,r=abc"), SASL_BADPROT);
    fake_end(&exchange);
    expect_row("downgrade", REASON_MALFORMED_RESPONSE, 0);
    set_up(NULL);
    fake_sparams.cbinding = &binding;
    exchange = fake_begin(&mech_scram, backend);
    assert_int_equal(fake_say(&exchange, "p=tls-unique,,n=app1,r=abc"), SASL_BADPROT);
    fake_end(&exchange);
    expect_row("another", REASON_MALFORMED_RESPONSE, 0);
    set_up(NULL);
    fake_sparams.cbinding = &binding;
    exchange = fake_begin(&mech_scram, backend);
    assert_int_equal(fake_say(&exchange, "p=tls-exporter,,n=app1,r=abc"), SASL_CONTINUE);
    fake_end(&exchange);
}

/* ---- challenges of names without a verifier ---- */

static void challenge_of(const char *name, struct client *client)
{
    memset(client, 0, sizeof *client);
    assert_int_equal(start(client, "n,,", name), SASL_CONTINUE);
    fake_end(&client->exchange);
}

TEST_SCRAM(a_name_without_a_verifier_has_a_salt_of_its_own_each_time_the_same)
{
    static char key[] = "a random key of the installation", other_key[] = "another";
    struct client unknown, again, deleted, hashed, another, elsewhere;

    double_lookup.row = (struct user){.decoy_key = key};
    challenge_of("app1", &unknown);
    challenge_of("app1", &again);
    challenge_of("app2", &another);
    double_lookup.row = (struct user){.deleted = true, .decoy_key = key};
    challenge_of("app1", &deleted);
    double_lookup.row = (struct user){LIVE(BCRYPT), .decoy_key = key};
    challenge_of("app1", &hashed);
    double_lookup.row = (struct user){.decoy_key = other_key};
    challenge_of("app1", &elsewhere);
    assert_int_equal(strlen(unknown.salt), BASE64_CHARS(16));
    assert_int_equal(unknown.iterations, 4096);
    assert_string_equal(unknown.salt, again.salt);
    assert_string_equal(unknown.salt, deleted.salt);
    assert_string_equal(unknown.salt, hashed.salt);
    assert_string_not_equal(unknown.salt, another.salt);
    assert_string_not_equal(unknown.salt, elsewhere.salt);
}

TEST_SCRAM(without_a_key_in_the_row_the_connection_string_makes_one)
{
    static char other[] = "host=db.example password=y";
    struct client unknown, again, elsewhere;

    double_lookup.row = (struct user){.found = false};
    challenge_of("app1", &unknown);
    challenge_of("app1", &again);
    backend->options.conninfo = other;
    challenge_of("app1", &elsewhere);
    assert_string_equal(unknown.salt, again.salt);
    assert_string_not_equal(unknown.salt, elsewhere.salt);
}

TEST_SCRAM(the_count_of_such_a_name_is_the_row_s)
{
    struct client client;

    double_lookup.row = (struct user){.scram_iterations = 10000};
    challenge_of("app1", &client);
    assert_int_equal(client.iterations, 10000);
}

/* ---- exchanges without an end ---- */

TEST_SCRAM(an_exchange_that_is_left_is_abandoned_wherever_it_is)
{
    struct client client = {0};

    client.exchange = fake_begin(&mech_scram, backend);
    fake_end(&client.exchange);
    expect_row("before the name", REASON_ABANDONED_EXCHANGE, 0);
    assert_string_equal(double_audit.username, "");

    set_up(NULL);
    start(&client, "n,,", "app1");
    fake_end(&client.exchange);
    expect_row("after the name", REASON_ABANDONED_EXCHANGE, 0);
    assert_string_equal(double_audit.username, "app1");
    assert_string_equal(double_audit.user_id, "7");

    set_up(NULL);
    start(&client, "n,,", "app1");
    assert_int_equal(prove(&client, "pencil"), SASL_CONTINUE);
    fake_end(&client.exchange);
    expect_row("before the verdict", REASON_ABANDONED_EXCHANGE, 0);
}

TEST_SCRAM(an_empty_response_under_exim_is_a_hang_up)
{
    struct client client = {0};

    fake_host_reset("exim");
    client.exchange = fake_begin(&mech_scram, backend);
    assert_int_equal(fake_step(&client.exchange, "", 0), SASL_BADAUTH);
    fake_end(&client.exchange);
    expect_row("before the name", REASON_ABANDONED_EXCHANGE, 0);

    set_up(NULL);
    fake_host_reset("exim");
    start(&client, "n,,", "app1");
    assert_int_equal(fake_step(&client.exchange, "", 0), SASL_BADAUTH);
    fake_end(&client.exchange);
    expect_row("before the proof", REASON_ABANDONED_EXCHANGE, 0);
}

/* ---- the proof alone ---- */

TEST(the_example_of_rfc_7677)
{
    static const char message[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"
        "hNlF$k0";
    uint8_t proof[32], signature[32], wanted[32];
    struct hash pencil, crayon;

    assert_true(hash_parse(PENCIL, &pencil) && hash_parse(CRAYON, &crayon));
    assert_true(base64_decode(BYTES("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), proof, 32));
    assert_true(base64_decode(BYTES("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), wanted, 32));
    assert_int_equal(
        scram_check_proof(&pencil, message, strlen(message), proof, signature), HASH_MATCH);
    assert_memory_equal(signature, wanted, 32);
    assert_int_equal(
        scram_check_proof(&crayon, message, strlen(message), proof, signature), HASH_MISMATCH);
    assert_int_equal(
        scram_check_proof(NULL, message, strlen(message), proof, signature), HASH_MISMATCH);
    proof[31] ^= 1;
    assert_int_equal(
        scram_check_proof(&pencil, message, strlen(message), proof, signature), HASH_MISMATCH);
}

TEST(only_verifiers_are_verifiers)
{
    static const char dovecot[] =
        "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    struct hash pencil, of_dovecot, bcrypt, none;

    assert_true(hash_parse(PENCIL, &pencil) && hash_parse(dovecot, &of_dovecot));
    assert_true(hash_parse(BCRYPT, &bcrypt));
    assert_false(hash_parse("", &none));
    assert_true(scram_is_verifier(&pencil) && scram_is_verifier(&of_dovecot));
    assert_false(scram_is_verifier(&bcrypt) || scram_is_verifier(&none));
    assert_true(scram_same_challenge(&pencil, &of_dovecot));
    assert_false(scram_same_challenge(&pencil, &bcrypt));
    assert_false(scram_same_challenge(&none, &none));
}

RUN_TESTS(NULL, NULL)
