/*
 * What is C's own in the library: nulls, lengths, text that is none, functions of the caller's that fail, a second factor.
 *
 *     interface SERVER CA PASSWORD_FILE DEVICE'S_ACCOUNT DEVICE'S_SECRET RECOVERY_CODE
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

#define CHECK(what)                                                    \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what); \
            exit(1);                                                   \
        }                                                              \
    } while (0)

static const uint8_t TEXT[] = "at noon";

struct file {
    uint8_t bytes[1 << 16];
    size_t length;
};

static struct file read_file(const char *path)
{
    static struct file file;
    FILE *stream = fopen(path, "rb");
    CHECK(stream != NULL);
    file.length = fread(file.bytes, 1, sizeof file.bytes, stream);
    fclose(stream);
    return file;
}

static ptrdiff_t reads_nothing(void *context, uint8_t *out, size_t most)
{
    (void)context, (void)out, (void)most;
    return 0;
}

static ptrdiff_t cannot_read(void *context, uint8_t *out, size_t most)
{
    (void)context, (void)out, (void)most;
    return -1;
}

static ptrdiff_t reads_too_much(void *context, uint8_t *out, size_t most)
{
    (void)context, (void)out;
    return (ptrdiff_t)most + 1;
}

static int writes(void *context, const uint8_t *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)context += length;
    return 0;
}

static int cannot_write(void *context, const uint8_t *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    return 28;
}

static int cannot_read_range(void *context, uint64_t offset, uint8_t *out, size_t length)
{
    (void)context, (void)offset, (void)out, (void)length;
    return -1;
}

/* What cannot be is refused before anything is done, and leaves its outputs empty. */
static void nulls_and_lengths(const char *server, const struct file *ca)
{
    sr_client *client = (sr_client *)1;
    sr_error *error = NULL;
    sr_error *none = (sr_error *)1;

    CHECK(sr_client_new(NULL, ca->bytes, ca->length, &client, &error) == SR_KIND_INVALID);
    CHECK(client == NULL && error != NULL && error->kind == SR_KIND_INVALID);
    CHECK(strstr(error->message, "NULL") != NULL && error->rule == NULL && error->code == NULL && !error->safe_to_retry);
    sr_error_free(error);
    CHECK(sr_client_new(server, NULL, 10, &client, NULL) == SR_KIND_INVALID);
    CHECK(sr_client_new(server, ca->bytes, (size_t)-1, &client, NULL) == SR_KIND_INVALID);
    CHECK(sr_client_new(server, ca->bytes, ca->length, NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_client_new("https://\xff", ca->bytes, ca->length, &client, NULL) == SR_KIND_INVALID);
    CHECK(sr_client_new(server, ca->bytes, ca->length, &client, &none) == SR_KIND_OK);
    CHECK(client != NULL && none == NULL);
    CHECK(sr_client_or_at(client, "http://plain", NULL) == SR_KIND_INVALID);
    CHECK(sr_client_set_rounds(NULL, 1, NULL) == SR_KIND_INVALID);
    CHECK(sr_session_end(NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_second_factor_tries(NULL) == 0);
    sr_client_free(client);

    sr_client_free(NULL);
    sr_session_free(NULL);
    sr_second_factor_free(NULL);
    sr_object_free(NULL);
    sr_keys_free(NULL);
    sr_message_header_free(NULL);
    sr_sealed_free(NULL);
    sr_opened_free(NULL);
    sr_bytes_free(NULL);
    sr_text_free(NULL);
    sr_error_free(NULL);
    CHECK(strcmp(sr_kind_name(SR_KIND_REVOKED), "revoked") == 0);
    CHECK(strcmp(sr_kind_name(4711), "unknown") == 0);
}

static sr_session *second_factor(const sr_client *client, const struct file *password, const char *code)
{
    sr_session *session;
    sr_second_factor *needed;
    const char *name = "alice@example.com";

    CHECK(sr_sign_in(client, name, TEXT, sizeof TEXT, &session, &needed, NULL) == SR_KIND_SIGN_IN_REFUSED);
    CHECK(session == NULL && needed == NULL);
    CHECK(sr_sign_in(client, name, password->bytes, password->length, &session, NULL, NULL) == SR_KIND_SIGN_IN_REFUSED);
    CHECK(session == NULL);
    CHECK(sr_sign_in(client, name, password->bytes, password->length, &session, &needed, NULL) == SR_KIND_OK);
    CHECK(session == NULL && needed != NULL && sr_second_factor_tries(needed) > 1);
    CHECK(sr_second_factor_prove_totp(needed, "000000", &session, NULL) == SR_KIND_SIGN_IN_REFUSED);
    CHECK(session == NULL);
    CHECK(sr_second_factor_prove_recovery_code(needed, code, &session, NULL) == SR_KIND_OK);
    CHECK(session != NULL);
    sr_second_factor_free(needed);
    return session;
}

static void callers_functions(const sr_session *session)
{
    size_t written = 0;
    sr_object *object;
    char *key;

    CHECK(sr_protect(session, NULL, NULL, writes, &written, NULL, 0, NULL, NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_protect(session, cannot_read, NULL, writes, &written, NULL, 0, NULL, &key, NULL) == SR_KIND_DEVICE);
    CHECK(key == NULL);
    CHECK(sr_protect(session, reads_too_much, NULL, writes, &written, NULL, 0, NULL, NULL, NULL) == SR_KIND_DEVICE);
    CHECK(sr_protect(session, reads_nothing, NULL, cannot_write, NULL, NULL, 0, NULL, NULL, NULL) == SR_KIND_DEVICE);
    CHECK(sr_protect(session, reads_nothing, NULL, writes, &written, NULL, 0, NULL, &key, NULL) == SR_KIND_OK);
    CHECK(written > 0 && key != NULL);
    sr_text_free(key);
    CHECK(sr_open(session, reads_nothing, NULL, writes, &written, NULL, NULL) == SR_KIND_NOT_READABLE);
    CHECK(sr_object_open_at(session, 1000, cannot_read_range, NULL, &object, NULL) == SR_KIND_DEVICE);
    CHECK(object == NULL);
}

static void messages(const sr_session *session, const sr_session *device)
{
    sr_metadata unusable = {"note", NULL, "{\"keep_for\": \"long\"}"}, once = {"note", NULL, "{\"max_releases\": 1}"};
    const char *no_recipient[] = {NULL};
    sr_bytes envelope, plaintext, material;
    sr_error *error;
    char *key;

    CHECK(sr_seal_message(session, TEXT, 7, NULL, 0, &unusable, &envelope, NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_seal_message(session, TEXT, 7, no_recipient, 1, NULL, &envelope, NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_seal_message(NULL, TEXT, 7, NULL, 0, NULL, &envelope, NULL, NULL) == SR_KIND_INVALID);
    CHECK(envelope.data == NULL && envelope.length == 0);
    CHECK(sr_seal_message(session, TEXT, 7, NULL, 0, &once, &envelope, &key, NULL) == SR_KIND_OK);
    CHECK(sr_open_message(session, envelope.data, envelope.length, &plaintext, NULL, NULL) == SR_KIND_OK);
    CHECK(plaintext.length == 7 && memcmp(plaintext.data, TEXT, 7) == 0);
    sr_bytes_free(&plaintext);
    CHECK(plaintext.data == NULL);
    CHECK(sr_key_obtain(session, key, 0, &material, NULL, &error) == SR_KIND_REFUSED_BY_POLICY);
    CHECK(strcmp(error->rule, "policy:key:max-releases") == 0);
    CHECK(strcmp(error->code, "policy-releases-used-up") == 0);
    sr_error_free(error);

    /* A device can do less, and says so. */
    CHECK(sr_key_share(device, key, "alice@example.com", NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_open_message(device, envelope.data, envelope.length, &plaintext, NULL, NULL) == SR_KIND_NOT_FOUND);
    sr_bytes_free(&envelope);
    CHECK(sr_seal_message(device, TEXT, 7, NULL, 0, NULL, &envelope, NULL, NULL) == SR_KIND_OK);
    sr_bytes_free(&envelope);
    sr_text_free(key);
    CHECK(sr_key_destroy(session, "no identifier", NULL) == SR_KIND_INVALID);
    CHECK(sr_key_create(session, 7, NULL, 0, NULL, &key, NULL) == SR_KIND_INVALID);
    CHECK(sr_forget(session, NULL, NULL) == SR_KIND_OK);
}

int main(int argc, char **argv)
{
    struct file ca, password;
    sr_client *client;
    sr_session *session, *device;
    sr_bytes envelope;

    CHECK(argc == 7);
    ca = read_file(argv[2]);
    password = read_file(argv[3]);
    nulls_and_lengths(argv[1], &ca);
    CHECK(sr_client_new(argv[1], ca.bytes, ca.length, &client, NULL) == SR_KIND_OK);
    CHECK(sr_device_new(client, argv[4], "no secret", &device, NULL) == SR_KIND_INVALID);
    CHECK(sr_device_new(client, argv[4], argv[5], &device, NULL) == SR_KIND_OK);
    session = second_factor(client, &password, argv[6]);
    callers_functions(session);
    messages(session, device);
    CHECK(sr_session_end(session, NULL) == SR_KIND_OK);
    CHECK(sr_seal_message(session, TEXT, 7, NULL, 0, NULL, &envelope, NULL, NULL) == SR_KIND_NOT_SIGNED_IN);
    sr_session_free(session);
    sr_session_free(device);
    sr_client_free(client);
    return 0;
}
