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
    sr_public_key_free(NULL);
    CHECK(sr_public_key_version(NULL) == 0 && sr_public_key_algorithm(NULL) == -1);
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
    sr_new_key no_algorithm = {.algorithm = 4711};
    sr_new_key nobody = {.algorithm = SR_AES_256, .recipients = no_recipient, .recipients_count = 1};
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
    CHECK(sr_key_create(session, &no_algorithm, &key, NULL) == SR_KIND_INVALID);
    CHECK(sr_key_create(session, NULL, &key, NULL) == SR_KIND_INVALID);
    CHECK(sr_key_create(session, &nobody, &key, NULL) == SR_KIND_INVALID);
    CHECK(key == NULL);
    CHECK(sr_forget(session, NULL, NULL) == SR_KIND_OK);
}

/* Keys that stay in the appliance, used by a session and a device alike. */
static void encryption(const sr_session *who)
{
    sr_metadata metadata = {"stays there", NULL, NULL};
    sr_new_key new_key = {.algorithm = SR_AES_192, .no_release = 1, .metadata = &metadata};
    sr_key_query query = {"stays there", NULL, NULL, NULL};
    sr_bytes ciphertext, iv, plaintext, material;
    sr_keys *keys;
    char *key;

    CHECK(sr_key_create(who, &new_key, &key, NULL) == SR_KIND_OK);
    CHECK(sr_keys_find(who, &query, &keys, NULL) == SR_KIND_OK && keys->count == 1);
    CHECK(keys->keys[0].algorithm == SR_AES_192 && keys->keys[0].no_release);
    sr_keys_free(keys);
    CHECK(sr_key_obtain(who, key, 0, &material, NULL, NULL) == SR_KIND_REFUSED_BY_POLICY);
    CHECK(sr_encrypt(who, key, SR_MECHANISM_AES_GCM, TEXT, 7, NULL, 0, &ciphertext, NULL, NULL) == SR_KIND_INVALID);
    CHECK(ciphertext.data == NULL);
    CHECK(sr_encrypt(who, key, SR_MECHANISM_AES_GCM, NULL, 7, NULL, 0, &ciphertext, &iv, NULL) == SR_KIND_INVALID);
    CHECK(sr_encrypt(who, key, 4711, TEXT, 7, NULL, 0, &ciphertext, &iv, NULL) == SR_KIND_INVALID);
    CHECK(sr_encrypt(who, key, SR_MECHANISM_RSA_OAEP_SHA_256, TEXT, 7, NULL, 0, &ciphertext, &iv, NULL)
          == SR_KIND_INVALID);
    CHECK(sr_encrypt(who, key, SR_MECHANISM_AES_GCM, TEXT, 7, TEXT, 2, &ciphertext, &iv, NULL) == SR_KIND_OK);
    CHECK(ciphertext.length == 7 + 16 && iv.length == 12);
    CHECK(sr_decrypt(who, key, 1, SR_MECHANISM_AES_GCM, ciphertext.data, ciphertext.length, iv.data, iv.length, TEXT, 2,
                     &plaintext, NULL) == SR_KIND_OK);
    CHECK(plaintext.length == 7 && memcmp(plaintext.data, TEXT, 7) == 0);
    sr_bytes_free(&plaintext);
    CHECK(sr_decrypt(who, key, 0, SR_MECHANISM_AES_GCM, ciphertext.data, ciphertext.length, iv.data, iv.length, TEXT, 3,
                     &plaintext, NULL) == SR_KIND_ALTERED);
    CHECK(plaintext.data == NULL && plaintext.length == 0);
    sr_bytes_free(&ciphertext);
    sr_bytes_free(&iv);
    sr_text_free(key);
}

/* The key pair of RFC 8410, section 10. */
static const char PRIVATE_KEY[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                                  "-----END PRIVATE KEY-----\n";
static const char PUBLIC_KEY[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                 "-----END PUBLIC KEY-----\n";

static void import(const sr_session *who)
{
    sr_new_key new_key = {.algorithm = SR_ED25519}, secret = {.algorithm = SR_GENERIC_SECRET};
    sr_bytes der, signature, mac;
    sr_public_key *public_key;
    bool valid;
    char *key, *pem;

    CHECK(sr_private_key_from_pem(TEXT, 7, &der, NULL) == SR_KIND_INVALID && der.data == NULL);
    CHECK(sr_private_key_from_pem((const uint8_t *)PRIVATE_KEY, strlen(PRIVATE_KEY), &der, NULL) == SR_KIND_OK);
    CHECK(sr_key_import(who, &new_key, der.data, der.length - 1, &key, NULL) == SR_KIND_INVALID && key == NULL);
    CHECK(sr_key_import(who, &new_key, NULL, 48, &key, NULL) == SR_KIND_INVALID);
    CHECK(sr_key_import(who, &new_key, der.data, der.length, &key, NULL) == SR_KIND_OK);
    sr_bytes_free(&der);
    CHECK(sr_public_key_get(who, key, 0, &public_key, NULL) == SR_KIND_OK);
    CHECK(sr_public_key_pem(public_key, &pem, NULL) == SR_KIND_OK && strcmp(pem, PUBLIC_KEY) == 0);
    sr_text_free(pem);
    CHECK(sr_sign(who, key, SR_MECHANISM_ED25519, SR_ENCODING_DER, TEXT, 7, &signature, NULL, NULL) == SR_KIND_OK);
    CHECK(sr_public_key_verify(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_DER, TEXT, 7, signature.data,
                               signature.length, &valid, NULL) == SR_KIND_OK && valid);
    sr_bytes_free(&signature);
    sr_public_key_free(public_key);
    sr_text_free(key);

    CHECK(sr_key_import(who, &secret, TEXT, 7, &key, NULL) == SR_KIND_OK);
    CHECK(sr_mac(who, key, SR_MECHANISM_HMAC_SHA_512, TEXT, 7, &mac, NULL) == SR_KIND_OK && mac.length == 64);
    CHECK(sr_verify_mac(who, key, 0, SR_MECHANISM_HMAC_SHA_512, TEXT, 7, mac.data, mac.length, &valid, NULL)
          == SR_KIND_OK && valid);
    CHECK(sr_verify_mac(who, key, 1, SR_MECHANISM_HMAC_SHA_512, TEXT, 6, mac.data, mac.length, &valid, NULL)
          == SR_KIND_OK && !valid);
    CHECK(sr_verify_mac(who, key, 0, SR_MECHANISM_HMAC_SHA_512, TEXT, 7, mac.data, mac.length, NULL, NULL)
          == SR_KIND_INVALID);
    CHECK(sr_public_key_get(who, key, 0, &public_key, NULL) == SR_KIND_INVALID && public_key == NULL);
    sr_bytes_free(&mac);
    sr_text_free(key);
}

static void signatures(const sr_session *who)
{
    sr_new_key new_key = {.algorithm = SR_EC_P256, .no_release = 1};
    uint8_t digest[32] = {1};
    sr_public_key *public_key;
    sr_bytes signature, der;
    uint32_t version;
    bool valid;
    char *key;

    CHECK(sr_key_create(who, &new_key, &key, NULL) == SR_KIND_OK);
    CHECK(sr_sign(who, key, SR_MECHANISM_OF_KEY, 2, TEXT, 7, &signature, &version, NULL) == SR_KIND_INVALID);
    CHECK(sr_sign(who, key, SR_MECHANISM_OF_KEY, 0, NULL, 7, &signature, &version, NULL) == SR_KIND_INVALID);
    CHECK(sr_sign(who, key, SR_MECHANISM_OF_KEY, 0, TEXT, (size_t)-1, &signature, &version, NULL) == SR_KIND_INVALID);
    CHECK(sr_sign(NULL, key, SR_MECHANISM_OF_KEY, 0, TEXT, 7, &signature, &version, NULL) == SR_KIND_INVALID);
    CHECK(sr_sign(who, key, SR_MECHANISM_ED25519, 0, TEXT, 7, &signature, &version, NULL) == SR_KIND_INVALID);
    CHECK(signature.data == NULL && signature.length == 0 && version == 0);
    CHECK(sr_sign(who, key, SR_MECHANISM_OF_KEY, 0, TEXT, 7, NULL, NULL, NULL) == SR_KIND_INVALID);
    CHECK(sr_sign_digest(who, key, SR_MECHANISM_ECDSA_SHA_256, SR_ENCODING_FIXED, digest, 32, &signature, &version, NULL)
          == SR_KIND_OK);
    CHECK(signature.length == 64 && version == 1);

    CHECK(sr_public_key_get(who, key, 7, &public_key, NULL) != SR_KIND_OK && public_key == NULL);
    CHECK(sr_public_key_get(who, key, 1, &public_key, NULL) == SR_KIND_OK);
    CHECK(sr_public_key_version(public_key) == 1 && sr_public_key_algorithm(public_key) == SR_EC_P256);
    CHECK(sr_public_key_der(public_key, &der, NULL) == SR_KIND_OK && der.length == 91);
    sr_bytes_free(&der);
    CHECK(sr_public_key_verify_digest(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_FIXED, digest, 32, signature.data,
                                      signature.length, &valid, NULL) == SR_KIND_OK && valid);
    CHECK(sr_public_key_verify_digest(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_DER, digest, 32, signature.data,
                                      signature.length, &valid, NULL) == SR_KIND_OK && !valid);
    valid = true;
    CHECK(sr_public_key_verify_digest(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_FIXED, digest, 31, signature.data,
                                      signature.length, &valid, NULL) == SR_KIND_INVALID && !valid);
    CHECK(sr_public_key_verify(NULL, SR_MECHANISM_OF_KEY, SR_ENCODING_DER, TEXT, 7, NULL, 0, &valid, NULL)
          == SR_KIND_INVALID);
    CHECK(sr_public_key_verify(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_DER, TEXT, 7, NULL, 0, &valid, NULL)
          == SR_KIND_OK && !valid);
    CHECK(sr_public_key_encrypt(public_key, SR_MECHANISM_RSA_OAEP_SHA_256, TEXT, 7, &der, NULL) == SR_KIND_INVALID);
    sr_bytes_free(&signature);
    sr_public_key_free(public_key);
    sr_text_free(key);
}

/* Whoever has an RSA key's public key encrypts without the appliance. */
static void to_the_holder(const sr_session *who)
{
    sr_new_key new_key = {.algorithm = SR_RSA_2048, .no_release = 1};
    sr_public_key *public_key;
    sr_bytes ciphertext, plaintext;
    char *key;

    CHECK(sr_key_create(who, &new_key, &key, NULL) == SR_KIND_OK);
    CHECK(sr_public_key_get(who, key, 0, &public_key, NULL) == SR_KIND_OK);
    CHECK(sr_public_key_encrypt(public_key, SR_MECHANISM_RSA_OAEP_SHA_256, TEXT, 7, &ciphertext, NULL) == SR_KIND_OK);
    CHECK(sr_decrypt(who, key, 0, SR_MECHANISM_RSA_OAEP_SHA_256, ciphertext.data, ciphertext.length, NULL, 0, NULL, 0,
                     &plaintext, NULL) == SR_KIND_OK);
    CHECK(plaintext.length == 7 && memcmp(plaintext.data, TEXT, 7) == 0);
    sr_bytes_free(&plaintext);
    sr_bytes_free(&ciphertext);
    sr_public_key_free(public_key);
    sr_text_free(key);
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
    encryption(session);
    encryption(device);
    import(session);
    import(device);
    signatures(session);
    signatures(device);
    to_the_holder(session);
    CHECK(sr_session_end(session, NULL) == SR_KIND_OK);
    CHECK(sr_seal_message(session, TEXT, 7, NULL, 0, NULL, &envelope, NULL, NULL) == SR_KIND_NOT_SIGNED_IN);
    sr_session_free(session);
    sr_session_free(device);
    sr_client_free(client);
    return 0;
}
