/*
 * A sensor that seals a reading under a key that the appliance makes for it, and opens it again.
 *
 *     cc sensor.c -lstrongroom -o sensor
 *     ./sensor https://keys.example.com:8443 ca.pem ACCOUNT [READER...] < secret
 *
 * ACCOUNT is the identifier of the device's account; its secret is read from standard input.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

static const char READING[] = "21.5 C";

/* Says what went wrong and whether trying again makes sense; answers whether anything did. */
static int failed(const char *what, sr_kind kind, sr_error **error)
{
    if (kind == SR_KIND_OK)
        return 0;
    fprintf(stderr, "%s: %s%s\n", what, (*error)->message, (*error)->safe_to_retry ? " (try again)" : "");
    sr_error_free(*error);
    return 1;
}

static int seal_and_open(const sr_session *sensor, const char *const *readers, size_t readers_count)
{
    sr_metadata metadata = {"temperature", "text/plain", "{\"keep_for\": 3600}"};
    sr_bytes envelope, plaintext;
    sr_error *error;
    sr_kind kind;
    int wrong;

    kind = sr_seal_message(sensor, (const uint8_t *)READING, strlen(READING), readers, readers_count, &metadata, &envelope,
                           NULL, &error);
    if (failed("sealing", kind, &error))
        return 1;
    /* Here the envelope goes wherever it likes: whoever keeps it can read nothing. */
    kind = sr_open_message(sensor, envelope.data, envelope.length, &plaintext, NULL, &error);
    wrong = failed("opening", kind, &error);
    if (!wrong)
        printf("%.*s\n", (int)plaintext.length, (const char *)plaintext.data);
    sr_bytes_free(&plaintext);

    /* Whoever alters it cannot do so unseen. */
    envelope.data[envelope.length - 1] ^= 1;
    if (sr_open_message(sensor, envelope.data, envelope.length, &plaintext, NULL, &error) != SR_KIND_OK) {
        printf("refused: %s\n", sr_kind_name(error->kind));
        sr_error_free(error);
    }
    sr_bytes_free(&envelope);
    return wrong;
}

int main(int argc, char **argv)
{
    static uint8_t ca[1 << 16];
    char secret[256] = "";
    sr_client *client;
    sr_session *sensor = NULL;
    sr_error *error;
    size_t ca_length;
    int wrong;
    FILE *file;

    if (argc < 4 || (file = fopen(argv[2], "rb")) == NULL || fgets(secret, sizeof secret, stdin) == NULL) {
        fprintf(stderr, "usage: sensor SERVER CA ACCOUNT [READER...] < SECRET\n");
        return 2;
    }
    ca_length = fread(ca, 1, sizeof ca, file);
    fclose(file);
    if (failed("setting up", sr_client_new(argv[1], ca, ca_length, &client, &error), &error))
        return 1;
    wrong = failed("the account", sr_device_new(client, argv[3], secret, &sensor, &error), &error);
    if (!wrong)
        wrong = seal_and_open(sensor, (const char *const *)argv + 4, (size_t)argc - 4);
    sr_session_free(sensor);
    sr_client_free(client);
    return wrong;
}
