/*
 * test_scram_message.c: the two messages of a SCRAM client, well-formed and malformed.
 */
#include "test.h"

#include <string.h>

#include "sasl/scram_message.h"

static const struct {
    const char *what;
    const char *message;
    const char *name;
    const char *authzid;
    enum scram_binding binding;
    size_t header_len;
} right_firsts[] = {
    {"plain", "n,,n=app1,r=abc", "app1", "", SCRAM_BINDING_NONE, 3},
    {"y", "y,,n=app1,r=abc", "app1", "", SCRAM_BINDING_NOT_OFFERED, 3},
    {"authzid", "n,a=app1,n=app1,r=abc", "app1", "app1", SCRAM_BINDING_NONE, 9},
    {"binding", "p=tls-server-end-point,,n=app1,r=abc", "app1", "", SCRAM_BINDING_USED, 24},
    {"escapes", "n,a=a=2Cb=3D,n=a=2Cb=3D=3D2C,r=abc", "a,b==2C", "a,b=", SCRAM_BINDING_NONE, 13},
    {"UTF-8", "n,,n=zo\xc3\xab,r=abc", "zo\xc3\xab", "", SCRAM_BINDING_NONE, 3},
    {"extension", "n,,n=app1,r=abc,x=1,y=a=b", "app1", "", SCRAM_BINDING_NONE, 3},
    {"nonce of all that is printable", "n,,n=app1,r=!\"#$%&'()*+-./09:;<=>?@AZ[\\]^_`az{|}~",
        "app1", "", SCRAM_BINDING_NONE, 3},
};

static const struct {
    const char *what;
    const char *message;
    const char *fault;
    const char *shown;
} wrong_firsts[] = {
    {"empty", "", "message is empty", ""},
    {"no gs2-header", "n=app1,r=abc", "message does not begin with n, y or p=", ""},
    {"gs2-header without authzid's comma", "n,n=app1,r=abc", "gs2-header is malformed", ""},
    {"empty authzid", "n,a=,n=app1,r=abc", "authorization identity is empty", "app1"},
    {"empty binding", "p=,,n=app1,r=abc", "name of the channel binding is malformed", "app1"},
    {"odd binding", "p=a_b,,n=app1,r=abc", "name of the channel binding is malformed", "app1"},
    {"mandatory extension", "n,,m=x,n=app1,r=abc", "a mandatory extension is not supported",
        "app1"},
    {"no name", "n,,r=abc", "there is no user name", ""},
    {"empty name", "n,,n=,r=abc", "user name is empty", ""},
    {"no nonce", "n,,n=app1", "there is no nonce behind the user name", "app1"},
    {"empty nonce", "n,,n=app1,r=", "nonce is empty", "app1"},
    {"blank in the nonce", "n,,n=app1,r=a b", "nonce is not printable ASCII", "app1"},
    {"UTF-8 in the nonce", "n,,n=app1,r=\xc3\xab", "nonce is not printable ASCII", "app1"},
    {"lone =", "n,,n=a=b,r=abc", "an = in the user name is not followed by 2C or 3D", "a=b"},
    {"lower case escape", "n,,n=a=2c,r=abc", "an = in the user name is not followed by 2C or 3D",
        "a=2c"},
    {"escape cut short", "n,,n=a=3,r=abc", "an = in the user name is not followed by 2C or 3D",
        "a=3"},
    {"lone = in the authzid", "n,a=x=y,n=app1,r=abc",
        "an = in the authorization identity is not followed by 2C or 3D", "app1"},
    {"not UTF-8", "n,,n=caf\xe9,r=abc", "message is not UTF-8, or holds a NUL", "caf\\xe9"},
    {"extension without a value", "n,,n=app1,r=abc,x=", "an extension is malformed", "app1"},
    {"extension without a name", "n,,n=app1,r=abc,=1", "an extension is malformed", "app1"},
    {"comma at the end", "n,,n=app1,r=abc,", "an extension is malformed", "app1"},
};

static void expect_text(const char *what, struct scram_text text, const char *wanted)
{
    if (text.len != strlen(wanted) || memcmp(text.at, wanted, text.len) != 0)
        fail_msg("%s: %.*s, wanted %s", what, (int)text.len, text.at, wanted);
}

TEST(each_right_first_message_is_read)
{
    for (size_t i = 0; i < ROWS(right_firsts); i++) {
        const char *message = right_firsts[i].message;
        struct credentials credentials;
        struct scram_first first;
        const char *fault = scram_parse_first(message, strlen(message), &first, &credentials);

        if (fault != NULL)
            fail_msg("%s: %s", right_firsts[i].what, fault);
        assert_string_equal(credentials.authcid, right_firsts[i].name);
        assert_string_equal(credentials.display_name, right_firsts[i].name);
        assert_string_equal(credentials.authzid, right_firsts[i].authzid);
        assert_int_equal(credentials.authcid_len, strlen(credentials.authcid));
        assert_int_equal(credentials.authzid_len, strlen(credentials.authzid));
        assert_int_equal(credentials.password_len, 0);
        assert_int_equal(first.binding, right_firsts[i].binding);
        assert_int_equal(first.header.len, right_firsts[i].header_len);
        assert_ptr_equal(first.header.at, message);
        expect_text(right_firsts[i].what, first.bare, message + right_firsts[i].header_len);
    }
}

TEST(each_wrong_first_message_is_refused)
{
    for (size_t i = 0; i < ROWS(wrong_firsts); i++) {
        const char *message = wrong_firsts[i].message;
        struct credentials credentials;
        struct scram_first first;
        const char *fault = scram_parse_first(message, strlen(message), &first, &credentials);

        if (fault == NULL || strcmp(fault, wrong_firsts[i].fault) != 0)
            fail_msg("%s: %s", wrong_firsts[i].what, fault == NULL ? "no fault" : fault);
        if (strcmp(credentials.display_name, wrong_firsts[i].shown) != 0)
            fail_msg("%s: shown as %s", wrong_firsts[i].what, credentials.display_name);
        assert_ptr_equal(credentials.fault, fault);
        assert_int_equal(credentials.authcid_len, 0);
        assert_int_equal(credentials.authzid_len, 0);
        assert_string_equal(credentials.authcid, "");
        assert_string_equal(credentials.authzid, "");
    }
}

/* A message with a field of this many x. */
static size_t make_long(char *out, const char *before, size_t count, const char *after)
{
    size_t len = strlen(before);

    memcpy(out, before, len);
    memset(out + len, 'x', count);
    len += count;
    memcpy(out + len, after, strlen(after));
    return len + strlen(after);
}

TEST(lengths_are_judged_at_their_bounds)
{
    static const struct {
        const char *before;
        const char *after;
        size_t most;
        const char *fault;
    } fields[] = {
        {"n,,n=", ",r=abc", 255, "user name is longer than 255 octets"},
        {"n,,n=app1,r=", "", 256, "nonce is longer than 256 octets"},
        {"n,a=", ",n=app1,r=abc", 255, "authorization identity is longer than 255 octets"},
        {"n,,n=app1,r=abc,x=", "", 2030, "message is longer than 2048 octets"},
    };
    char message[4096];
    struct credentials credentials;
    struct scram_first first;

    for (size_t i = 0; i < ROWS(fields); i++) {
        size_t len = make_long(message, fields[i].before, fields[i].most, fields[i].after);

        assert_null(scram_parse_first(message, len, &first, &credentials));
        len = make_long(message, fields[i].before, fields[i].most + 1, fields[i].after);
        assert_string_equal(scram_parse_first(message, len, &first, &credentials), fields[i].fault);
    }
}

TEST(a_length_that_cannot_be_is_judged_before_a_byte_is_read)
{
    const struct scram_expected expected = {{"n,,", 3}, {NULL, 0}, {"abc", 3}};
    struct credentials credentials;
    struct scram_first first;
    struct scram_final final;

    assert_string_equal(scram_parse_first("n", 4294967293U, &first, &credentials),
        "message is longer than 2048 octets");
    assert_string_equal(credentials.display_name, "");
    assert_string_equal(scram_parse_final("c", 4294967293U, &expected, &final),
        "message is longer than 2048 octets");
}

#define PROOF "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct {
    const char *what;
    const char *message;
    const char *fault;
} finals[] = {
    {"right", "c=biws,r=abcXYZ,p=" PROOF, NULL},
    {"extension", "c=biws,r=abcXYZ,x=1,p=" PROOF, NULL},
    {"empty", "", "message is empty"},
    {"no c=", "r=abcXYZ,p=" PROOF, "message does not begin with c="},
    {"another header", "c=eSws,r=abcXYZ,p=" PROOF, "c= is not the gs2-header of the first message"},
    {"padding missing", "c=biw,r=abcXYZ,p=" PROOF, "c= is not the gs2-header of the first message"},
    {"longer header", "c=biwsbiws,r=abcXYZ,p=" PROOF,
        "c= is not the gs2-header of the first message"},
    {"the client's nonce alone", "c=biws,r=abc,p=" PROOF, "nonce is not that of this exchange"},
    {"another nonce", "c=biws,r=abcXYz,p=" PROOF, "nonce is not that of this exchange"},
    {"more nonce", "c=biws,r=abcXYZ0,p=" PROOF, "nonce is not that of this exchange"},
    {"no proof", "c=biws,r=abcXYZ", "there is no proof at the end, or an extension is malformed"},
    {"something behind the proof", "c=biws,r=abcXYZ,p=" PROOF ",x=1",
        "there is no proof at the end, or an extension is malformed"},
    {"mandatory extension", "c=biws,r=abcXYZ,m=1,p=" PROOF,
        "there is no proof at the end, or an extension is malformed"},
    {"empty proof", "c=biws,r=abcXYZ,p=", "proof is not the base64 of 32 octets"},
    {"proof cut short", "c=biws,r=abcXYZ,p=AAEC", "proof is not the base64 of 32 octets"},
    {"proof too long", "c=biws,r=abcXYZ,p=" PROOF "AAEC", "proof is not the base64 of 32 octets"},
    {"bits left over in the proof",
        "c=biws,r=abcXYZ,p=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
        "proof is not the base64 of 32 octets"},
    {"blank in the proof", "c=biws,r=abcXYZ,p= AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "proof is not the base64 of 32 octets"},
};

TEST(each_final_message_is_read_or_refused)
{
    const struct scram_expected expected = {{"n,,", 3}, {NULL, 0}, {"abcXYZ", 6}};

    for (size_t i = 0; i < ROWS(finals); i++) {
        const char *message = finals[i].message;
        struct scram_final final;
        const char *fault = scram_parse_final(message, strlen(message), &expected, &final);

        if ((fault == NULL) != (finals[i].fault == NULL) ||
            (fault != NULL && strcmp(fault, finals[i].fault) != 0))
            fail_msg("%s: %s", finals[i].what, fault == NULL ? "no fault" : fault);
        if (fault != NULL)
            continue;
        assert_int_equal(final.without_proof.len, strstr(message, ",p=") - message);
        for (uint8_t k = 0; k < SCRAM_PROOF_BYTES; k++)
            assert_int_equal(final.proof[k], k);
    }
}

TEST(the_data_of_a_channel_binding_is_part_of_c)
{
    /* base64 of "p=x,," and of the bytes 00 ff */
    static const char message[] = "c=cD14LCwA/w==,r=abc,p=" PROOF;
    struct scram_expected expected = {{"p=x,,", 5}, {"\0\xff", 2}, {"abc", 3}};
    struct scram_final final;

    assert_null(scram_parse_final(message, strlen(message), &expected, &final));
    expected.binding_data.at = "\0\xfe";
    assert_string_equal(scram_parse_final(message, strlen(message), &expected, &final),
        "c= is not the gs2-header of the first message");
}

TEST(a_name_is_found_in_the_first_message_of_any_scram_mechanism)
{
    static const struct {
        const char *message;
        const char *name;
    } cases[] = {
        {"n,,n=app1,r=abc", "app1"},
        {"p=tls-unique,a=x,n=a=2Cb,r=abc", "a,b"},
        {"n,,n=app1", "app1"},
        {"n,,n=", ""},
        {"n,,x=app1", ""},
        {"n,n=app1,r=abc", ""},
        {"", ""},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        char name[8];
        size_t len;
        bool found =
            scram_find_name(cases[i].message, strlen(cases[i].message), name, sizeof name, &len);

        assert_int_equal(found, *cases[i].name != '\0');
        assert_int_equal(len, strlen(cases[i].name));
        assert_memory_equal(name, cases[i].name, len);
    }
}

RUN_TESTS(NULL, NULL)
