/*
 * Acts out the scenario's steps with the C library: one step a line on standard input, one answer a line on standard output.
 *
 *     driver SERVER CA
 *
 * A step is words separated by tabs; an answer is `ok` with what is to be told, or `failed` with the kind of error.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

enum { MOST_WORDS = 32, MOST_PEOPLE = 8, LONGEST_PATH = 4096 };

struct person {
    char name[256];
    sr_session *session;
};

static struct person people[MOST_PEOPLE];
static size_t people_count;
static char answer[512];

/* What this program itself cannot do ends it: the test says so then. */
static void give_up(const char *why)
{
    fprintf(stderr, "driver: %s\n", why);
    exit(2);
}

static void *at_least(size_t length)
{
    void *memory = calloc(length ? length : 1, 1);
    if (memory == NULL)
        give_up("no memory");
    return memory;
}

static sr_bytes read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    sr_bytes bytes = {NULL, 0};
    size_t got;
    if (file == NULL)
        give_up(path);
    bytes.data = at_least(1 << 20);
    while ((got = fread(bytes.data + bytes.length, 1, (1 << 20) - bytes.length, file)) > 0)
        bytes.length += got;
    fclose(file);
    return bytes;
}

static void write_all(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (length > 0 && fwrite(data, 1, length, file) != length) || fclose(file) != 0)
        give_up(path);
}

static ptrdiff_t read_stream(void *context, uint8_t *out, size_t most)
{
    size_t got = fread(out, 1, most, context);
    return got == 0 && ferror((FILE *)context) ? -1 : (ptrdiff_t)got;
}

static int write_stream(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) == length ? 0 : -1;
}

static int read_range_of(void *context, uint64_t offset, uint8_t *out, size_t length)
{
    if (fseek(context, (long)offset, SEEK_SET) != 0)
        return -1;
    return fread(out, 1, length, context) == length ? 0 : -1;
}

/* Takes a text over into the answer. */
static void tell(char *text)
{
    snprintf(answer, sizeof answer, "%s", text ? text : "");
    sr_text_free(text);
}

static sr_kind seal_message(sr_session *who, char **words, size_t count, sr_error **error)
{
    sr_metadata metadata = {"note", "text/plain", NULL};
    sr_bytes plaintext = read_all(words[0]), envelope;
    char *key;
    sr_kind kind = sr_seal_message(who, plaintext.data, plaintext.length, (const char *const *)words + 2, count - 2,
                                   &metadata, &envelope, &key, error);
    if (kind == SR_KIND_OK)
        write_all(words[1], envelope.data, envelope.length);
    tell(key);
    sr_bytes_free(&envelope);
    free(plaintext.data);
    return kind;
}

static sr_kind open_message(sr_session *who, const char *path, const char *target, sr_error **error)
{
    sr_bytes envelope = read_all(path), plaintext;
    sr_message_header *header;
    sr_kind kind = sr_open_message(who, envelope.data, envelope.length, &plaintext, &header, error);
    if (kind == SR_KIND_OK && target != NULL)
        write_all(target, plaintext.data, plaintext.length);
    if (kind == SR_KIND_OK && target == NULL) {
        char *comma;
        snprintf(answer, sizeof answer, "%s %s", header->content_type, header->recipients);
        while ((comma = strchr(answer, '\n')) != NULL)
            *comma = ',';
    }
    sr_message_header_free(header);
    sr_bytes_free(&plaintext);
    free(envelope.data);
    return kind;
}

static sr_kind seal_batch(sr_session *who, char **words, size_t count, sr_error **error)
{
    sr_metadata metadata = {"reading", NULL, NULL};
    sr_bytes lines = read_all(words[0]);
    sr_outgoing messages[100];
    sr_sealed sealed[100];
    size_t number = 0, index;
    sr_kind kind;
    char *start = (char *)lines.data, *end;
    while (number < 100 && (end = memchr(start, '\n', lines.length - (size_t)(start - (char *)lines.data))) != NULL) {
        messages[number].plaintext.data = (const uint8_t *)start;
        messages[number].plaintext.length = (size_t)(end - start);
        messages[number].recipients = (const char *const *)words + 2;
        messages[number].recipients_count = count - 2;
        messages[number].metadata = &metadata;
        number++;
        start = end + 1;
    }
    kind = sr_seal_messages(who, messages, number, sealed, error);
    for (index = 0; index < number; index++) {
        char path[LONGEST_PATH];
        snprintf(path, sizeof path, "%s.%zu", words[1], index);
        if (kind == SR_KIND_OK)
            write_all(path, sealed[index].envelope.data, sealed[index].envelope.length);
        sr_sealed_free(&sealed[index]);
    }
    snprintf(answer, sizeof answer, "%zu", number);
    free(lines.data);
    return kind;
}

static sr_kind open_batch(sr_session *who, char **words, sr_error **error)
{
    sr_bytes stored[100];
    sr_slice envelopes[100];
    sr_opened opened[100];
    size_t number = (size_t)atoi(words[1]), index;
    FILE *file = fopen(words[2], "wb");
    sr_kind kind;
    if (file == NULL || number > 100)
        give_up(words[2]);
    for (index = 0; index < number; index++) {
        char path[LONGEST_PATH];
        snprintf(path, sizeof path, "%s.%zu", words[0], index);
        stored[index] = read_all(path);
        envelopes[index].data = stored[index].data;
        envelopes[index].length = stored[index].length;
    }
    kind = sr_open_messages(who, envelopes, number, opened, error);
    for (index = 0; index < number; index++) {
        if (opened[index].error != NULL)
            fprintf(file, "%s\n", sr_kind_name(opened[index].error->kind));
        else
            fprintf(file, "%.*s\n", (int)opened[index].plaintext.length, (const char *)opened[index].plaintext.data);
        sr_opened_free(&opened[index]);
        free(stored[index].data);
    }
    fclose(file);
    return kind;
}

static sr_kind with_streams(sr_session *who, int protects, char **words, size_t count, sr_error **error)
{
    sr_metadata metadata = {"stream", NULL, NULL};
    FILE *from = fopen(words[0], "rb"), *to = fopen(words[1], "wb");
    char *key = NULL;
    sr_kind kind;
    if (from == NULL || to == NULL)
        give_up(words[1]);
    if (protects)
        kind = sr_protect(who, read_stream, from, write_stream, to, (const char *const *)words + 2, count - 2, &metadata,
                          &key, error);
    else
        kind = sr_open(who, read_stream, from, write_stream, to, NULL, error);
    tell(key);
    fclose(from);
    if (fclose(to) != 0)
        give_up(words[1]);
    return kind;
}

static sr_kind read_range(sr_session *who, char **words, sr_error **error)
{
    FILE *file = fopen(words[0], "rb");
    sr_object *object = NULL;
    size_t length = (size_t)atol(words[2]), got = 0;
    uint8_t *part = at_least(length);
    sr_kind kind;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        give_up(words[0]);
    kind = sr_object_open_at(who, (uint64_t)ftell(file), read_range_of, file, &object, error);
    if (kind == SR_KIND_OK)
        kind = sr_object_read_at(object, (uint64_t)atol(words[1]), part, length, &got, error);
    if (kind == SR_KIND_OK)
        write_all(words[3], part, got);
    sr_object_free(object);
    fclose(file);
    free(part);
    return kind;
}

static int32_t algorithm(const char *name)
{
    if (strcmp(name, "ec-p256") == 0)
        return SR_EC_P256;
    if (strcmp(name, "ed25519") == 0)
        return SR_ED25519;
    if (strcmp(name, "ml-dsa-65") == 0)
        return SR_ML_DSA_65;
    if (strcmp(name, "x25519") == 0)
        return SR_X25519;
    give_up(name);
    return -1;
}

static sr_kind create(sr_session *who, int32_t algorithm, int no_release, const char *label, char **recipients,
                      size_t count, sr_error **error)
{
    sr_metadata metadata = {label, NULL, NULL};
    sr_new_key new_key = {.algorithm = algorithm, .no_release = no_release, .metadata = &metadata};
    char *key;
    sr_kind kind;
    new_key.recipients = (const char *const *)recipients;
    new_key.recipients_count = count;
    kind = sr_key_create(who, &new_key, &key, error);
    tell(key);
    return kind;
}

static sr_kind sign(sr_session *who, char **words, sr_error **error)
{
    sr_bytes message = read_all(words[1]), signature;
    sr_kind kind = sr_sign(who, words[0], SR_MECHANISM_OF_KEY, SR_ENCODING_DER, message.data, message.length, &signature,
                           NULL, error);
    if (kind == SR_KIND_OK)
        write_all(words[2], signature.data, signature.length);
    sr_bytes_free(&signature);
    free(message.data);
    return kind;
}

static sr_kind verify(sr_session *who, char **words, sr_error **error)
{
    sr_bytes message = read_all(words[2]), signature = read_all(words[3]);
    sr_public_key *public_key;
    bool valid = false;
    sr_kind kind = sr_public_key_get(who, words[0], (uint32_t)atoi(words[1]), &public_key, error);
    if (kind == SR_KIND_OK)
        kind = sr_public_key_verify(public_key, SR_MECHANISM_OF_KEY, SR_ENCODING_DER, message.data, message.length,
                                    signature.data, signature.length, &valid, error);
    snprintf(answer, sizeof answer, "%s", valid ? "valid" : "invalid");
    sr_public_key_free(public_key);
    free(signature.data);
    free(message.data);
    return kind;
}

static sr_kind find(sr_session *who, const char *label, sr_error **error)
{
    sr_key_query query = {label, NULL, NULL, NULL};
    sr_keys *keys;
    sr_kind kind = sr_keys_find(who, &query, &keys, error);
    if (kind == SR_KIND_OK)
        snprintf(answer, sizeof answer, "%zu", keys->count);
    sr_keys_free(keys);
    return kind;
}

static sr_kind sign_in(const sr_client *client, const char *name, const char *password_file, sr_error **error)
{
    sr_bytes password = read_all(password_file);
    struct person *person = &people[people_count++];
    sr_kind kind;
    if (people_count > MOST_PEOPLE)
        give_up("too many people");
    snprintf(person->name, sizeof person->name, "%s", name);
    kind = sr_sign_in(client, name, password.data, password.length, &person->session, NULL, error);
    free(password.data);
    return kind;
}

static sr_kind act(sr_session *who, const char *act, char **words, size_t count, sr_error **error)
{
    sr_kind kind;
    if (strcmp(act, "seal-message") == 0)
        return seal_message(who, words, count, error);
    if (strcmp(act, "open-message") == 0)
        return open_message(who, words[0], words[1], error);
    if (strcmp(act, "message-header") == 0)
        return open_message(who, words[0], NULL, error);
    if (strcmp(act, "seal-batch") == 0)
        return seal_batch(who, words, count, error);
    if (strcmp(act, "open-batch") == 0)
        return open_batch(who, words, error);
    if (strcmp(act, "protect-stream") == 0)
        return with_streams(who, 1, words, count, error);
    if (strcmp(act, "open-stream") == 0)
        return with_streams(who, 0, words, count, error);
    if (strcmp(act, "read-range") == 0)
        return read_range(who, words, error);
    if (strcmp(act, "find") == 0)
        return find(who, words[0], error);
    if (strcmp(act, "open-file") == 0)
        return sr_open_file(who, words[0], words[1], NULL, error);
    if (strcmp(act, "share") == 0)
        return sr_key_share(who, words[0], words[1], NULL, error);
    if (strcmp(act, "revoke") == 0)
        return sr_key_revoke(who, words[0], words[1], error);
    if (strcmp(act, "destroy") == 0)
        return sr_key_destroy(who, words[0], error);
    if (strcmp(act, "protect-file") == 0) {
        char *key;
        kind = sr_protect_file(who, words[0], words[1], (const char *const *)words + 2, count - 2, NULL, &key, error);
        tell(key);
        return kind;
    }
    if (strcmp(act, "create-key") == 0)
        return create(who, SR_AES_256, 0, words[0], words + 1, count - 1, error);
    if (strcmp(act, "create-pair") == 0)
        return create(who, algorithm(words[1]), 1, words[0], words + 2, count - 2, error);
    if (strcmp(act, "sign") == 0)
        return sign(who, words, error);
    if (strcmp(act, "verify") == 0)
        return verify(who, words, error);
    if (strcmp(act, "obtain") == 0) {
        sr_bytes material;
        kind = sr_key_obtain(who, words[0], (uint32_t)atoi(words[1]), &material, NULL, error);
        if (kind == SR_KIND_OK)
            write_all(words[2], material.data, material.length);
        sr_bytes_free(&material);
        return kind;
    }
    if (strcmp(act, "rotate") == 0) {
        uint32_t version;
        kind = sr_key_rotate(who, words[0], &version, error);
        snprintf(answer, sizeof answer, "%u", version);
        return kind;
    }
    give_up(act);
    return SR_KIND_FAILED;
}

static sr_session *session_of(const char *name)
{
    size_t index;
    for (index = 0; index < people_count; index++)
        if (strcmp(people[index].name, name) == 0)
            return people[index].session;
    give_up(name);
    return NULL;
}

int main(int argc, char **argv)
{
    static char line[16384];
    sr_client *client;
    sr_bytes ca;
    size_t index;
    if (argc != 3)
        give_up("a server and a file of authorities are needed");
    ca = read_all(argv[2]);
    if (sr_client_new(argv[1], ca.data, ca.length, &client, NULL) != SR_KIND_OK)
        give_up("the client cannot be set up");
    free(ca.data);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[MOST_WORDS], *word;
        size_t count = 0;
        sr_error *error = NULL;
        sr_kind kind;
        for (word = strtok(line, "\t\n"); word != NULL && count < MOST_WORDS; word = strtok(NULL, "\t\n"))
            words[count++] = word;
        if (count < 2)
            give_up("a step has two words");
        answer[0] = '\0';
        if (strcmp(words[1], "sign-in") == 0)
            kind = sign_in(client, words[0], words[2], &error);
        else
            kind = act(session_of(words[0]), words[1], words + 2, count - 2, &error);
        if (kind == SR_KIND_OK)
            printf("ok %s\n", answer);
        else
            printf("failed %s %s\n", sr_kind_name(kind), error->message);
        fflush(stdout);
        sr_error_free(error);
    }
    for (index = 0; index < people_count; index++) {
        sr_session_end(people[index].session, NULL);
        sr_session_free(people[index].session);
    }
    sr_client_free(client);
    return 0;
}
