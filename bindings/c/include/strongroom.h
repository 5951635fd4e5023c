/*
 * Strongroom's client library for C: protect messages and objects with keys that a Strongroom appliance keeps.
 *
 * Errors. Every function that can fail returns an sr_kind, SR_KIND_OK where it did not, and takes `sr_error **error` last: where that is not
 * NULL it receives NULL, or what is known of the failure, to be freed with sr_error_free. Outputs are set to NULL and 0 first, so that they
 * may be freed whatever came of it.
 *
 * Ownership. What a function gives out belongs to the caller, who frees it once, with the function that is named where it is given out;
 * freeing NULL does nothing. What a function takes in stays the caller's, and is not used after it has returned; streams and ranges of objects
 * that stay open are used until they are freed.
 *
 * Text is UTF-8, ends with a zero, and is not NULL unless it says so. Bytes come with their length and may be NULL where that is 0.
 *
 * Threads. A client and a session may be used by several threads at once; anything else by one at a time. Nothing may be used while, or
 * after, it is freed. Functions block until they are done. After fork, the child may use nothing that was made before it.
 */

#ifndef STRONGROOM_H
#define STRONGROOM_H

/* Made by cbindgen from bindings/c/src: `STRONGROOM_WRITE_HEADER=1 cargo test -p strongroom-c`. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * 32 bytes for AES-256 in an AEAD mode.
 */
#define SR_AES_256 0

/**
 * 32 bytes for HMAC-SHA-256.
 */
#define SR_HMAC_SHA_256 1

/**
 * 16 bytes for AES-128.
 */
#define SR_AES_128 2

/**
 * 24 bytes for AES-192.
 */
#define SR_AES_192 3

/**
 * Bytes for HMAC, or for whatever an application has them for: sr_new_key says how many.
 */
#define SR_GENERIC_SECRET 4

/**
 * An RSA key pair with a modulus of 2048 bits.
 */
#define SR_RSA_2048 5

/**
 * An RSA key pair with a modulus of 3072 bits.
 */
#define SR_RSA_3072 6

/**
 * An RSA key pair with a modulus of 4096 bits.
 */
#define SR_RSA_4096 7

/**
 * A key pair on the curve P-256.
 */
#define SR_EC_P256 8

/**
 * A key pair on the curve P-384.
 */
#define SR_EC_P384 9

/**
 * A key pair on the curve P-521.
 */
#define SR_EC_P521 10

/**
 * A key pair for Ed25519.
 */
#define SR_ED25519 11

/**
 * A key pair for X25519.
 */
#define SR_X25519 12

/**
 * A key pair for ML-DSA-65.
 */
#define SR_ML_DSA_65 13

/**
 * A key pair for ML-KEM-768.
 */
#define SR_ML_KEM_768 14

/**
 * For signatures: the mechanism that keys for the same algorithm sign by where nothing else is said. When the appliance is to sign it is asked
 * what the key is for.
 */
#define SR_MECHANISM_OF_KEY 0

/**
 * ECDSA (FIPS 186-5) of a digest that the caller has made: sr_sign_digest. Of a digest longer than the curve's order its leftmost bits
 * count, as FIPS 186-5 section 6.4.1 says.
 */
#define SR_MECHANISM_ECDSA 1

/**
 * ECDSA with SHA-256.
 */
#define SR_MECHANISM_ECDSA_SHA_256 2

/**
 * ECDSA with SHA-384.
 */
#define SR_MECHANISM_ECDSA_SHA_384 3

/**
 * ECDSA with SHA-512.
 */
#define SR_MECHANISM_ECDSA_SHA_512 4

/**
 * Ed25519 (RFC 8032), of the message itself.
 */
#define SR_MECHANISM_ED25519 5

/**
 * RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) with SHA-256.
 */
#define SR_MECHANISM_RSA_PKCS1_SHA_256 6

/**
 * RSASSA-PKCS1-v1_5 with SHA-384.
 */
#define SR_MECHANISM_RSA_PKCS1_SHA_384 7

/**
 * RSASSA-PKCS1-v1_5 with SHA-512.
 */
#define SR_MECHANISM_RSA_PKCS1_SHA_512 8

/**
 * RSASSA-PSS (RFC 8017 section 8.1) with SHA-256, MGF1 with the same, and a salt of 32 bytes.
 */
#define SR_MECHANISM_RSA_PSS_SHA_256 9

/**
 * RSASSA-PSS with SHA-384, MGF1 with the same, and a salt of 48 bytes.
 */
#define SR_MECHANISM_RSA_PSS_SHA_384 10

/**
 * RSASSA-PSS with SHA-512, MGF1 with the same, and a salt of 64 bytes.
 */
#define SR_MECHANISM_RSA_PSS_SHA_512 11

/**
 * ML-DSA-65 (FIPS 204), of the message itself, with an empty context.
 */
#define SR_MECHANISM_ML_DSA_65 12

/**
 * HMAC (RFC 2104) with SHA-256.
 */
#define SR_MECHANISM_HMAC_SHA_256 13

/**
 * HMAC with SHA-384.
 */
#define SR_MECHANISM_HMAC_SHA_384 14

/**
 * HMAC with SHA-512.
 */
#define SR_MECHANISM_HMAC_SHA_512 15

/**
 * CMAC with AES (NIST SP 800-38B).
 */
#define SR_MECHANISM_AES_CMAC 16

/**
 * AES-GCM (NIST SP 800-38D) with a nonce of 12 bytes and a tag of 16, which follows the ciphertext. Where the caller gives no nonce the
 * appliance draws it; one key makes at most 2^32 ciphertexts so (section 8.3).
 */
#define SR_MECHANISM_AES_GCM 17

/**
 * AES-CBC (NIST SP 800-38A) of whole blocks. Nothing tells of an alteration.
 */
#define SR_MECHANISM_AES_CBC 18

/**
 * AES-CBC with the padding of PKCS #7 (RFC 5652 section 6.3). Nothing tells of an alteration.
 */
#define SR_MECHANISM_AES_CBC_PAD 19

/**
 * AES-CTR with a first counter block of 16 bytes. Nothing tells of an alteration, and a counter block that comes twice reveals what it
 * protects.
 */
#define SR_MECHANISM_AES_CTR 20

/**
 * AES-ECB of whole blocks: equal blocks are seen to be equal. For applications that build on it.
 */
#define SR_MECHANISM_AES_ECB 21

/**
 * RSAES-OAEP (RFC 8017 section 7.1) with SHA-1 and MGF1 with SHA-1, as many applications have it.
 */
#define SR_MECHANISM_RSA_OAEP_SHA_1 22

/**
 * RSAES-OAEP with SHA-256 and MGF1 with the same.
 */
#define SR_MECHANISM_RSA_OAEP_SHA_256 23

/**
 * RSAES-OAEP with SHA-384 and MGF1 with the same.
 */
#define SR_MECHANISM_RSA_OAEP_SHA_384 24

/**
 * RSAES-OAEP with SHA-512 and MGF1 with the same.
 */
#define SR_MECHANISM_RSA_OAEP_SHA_512 25

/**
 * RSAES-PKCS1-v1_5 (RFC 8017 section 7.2). Whoever may have chosen ciphertexts decrypted can decrypt and sign: for applications that have
 * nothing else.
 */
#define SR_MECHANISM_RSA_PKCS1 26

/**
 * AES-KW (RFC 3394): of material whose length is a multiple of 8 bytes.
 */
#define SR_MECHANISM_AES_KW 27

/**
 * AES-KWP (RFC 5649).
 */
#define SR_MECHANISM_AES_KWP 28

/**
 * Elliptic-curve Diffie-Hellman: on the P curves the x-coordinate (NIST SP 800-56A section 5.7.1.2), or X25519 (RFC 7748).
 */
#define SR_MECHANISM_ECDH 29

/**
 * ML-KEM-768 (FIPS 203).
 */
#define SR_MECHANISM_ML_KEM_768 30

/**
 * HMAC with SHA-1, as old applications have it. Its weakness to collisions does not concern MACs (NIST SP 800-131A).
 */
#define SR_MECHANISM_HMAC_SHA_1 31

/**
 * HMAC with SHA-224.
 */
#define SR_MECHANISM_HMAC_SHA_224 32

/**
 * HKDF (RFC 5869) of a secret key.
 */
#define SR_MECHANISM_HKDF 33

/**
 * Legacy, and refused unless the domain's policy allows it: RSA of a number, without an encoding (RFC 8017 sections 5.1 and 5.2).
 */
#define SR_MECHANISM_RSA_RAW 34

/**
 * Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-1.
 */
#define SR_MECHANISM_RSA_PKCS1_SHA_1 35

/**
 * Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-224.
 */
#define SR_MECHANISM_RSA_PKCS1_SHA_224 36

/**
 * Legacy likewise: RSASSA-PSS with SHA-1, MGF1 with the same, and a salt of 20 bytes.
 */
#define SR_MECHANISM_RSA_PSS_SHA_1 37

/**
 * Legacy likewise: RSASSA-PSS with SHA-224, MGF1 with the same, and a salt of 28 bytes.
 */
#define SR_MECHANISM_RSA_PSS_SHA_224 38

/**
 * Legacy likewise: ECDSA with SHA-1.
 */
#define SR_MECHANISM_ECDSA_SHA_1 39

/**
 * Legacy likewise: ECDSA with SHA-224.
 */
#define SR_MECHANISM_ECDSA_SHA_224 40

/**
 * An ECDSA signature in DER (RFC 3279 section 2.2.3): what OpenSSL, X.509 and TLS take.
 */
#define SR_ENCODING_DER 0

/**
 * An ECDSA signature as r and s, each as long as the curve's order, one after the other: what PKCS #11 and JWS (RFC 7518) take.
 */
#define SR_ENCODING_FIXED 1

/**
 * What kind of failure it is: what a caller branches on.
 */
typedef enum sr_kind {
    /**
     * It has not failed.
     */
    SR_KIND_OK = 0,
    /**
     * There is no session, or it has ended: sign in.
     */
    SR_KIND_NOT_SIGNED_IN = 1,
    /**
     * The sign-in itself was refused.
     */
    SR_KIND_SIGN_IN_REFUSED = 2,
    /**
     * The act needs a more recent sign-in: sr_session_step_up.
     */
    SR_KIND_STEP_UP_REQUIRED = 3,
    /**
     * A usage policy does not allow it; sr_error says by which rule, where one may know.
     */
    SR_KIND_REFUSED_BY_POLICY = 4,
    /**
     * The account may not do that.
     */
    SR_KIND_NOT_PERMITTED = 5,
    /**
     * There is no such thing that the account may know of.
     */
    SR_KIND_NOT_FOUND = 6,
    /**
     * The account's grant to the key was revoked.
     */
    SR_KIND_REVOKED = 7,
    /**
     * The key is destroyed: what it protects can be opened by nobody.
     */
    SR_KIND_DESTROYED = 8,
    /**
     * The present state, such as a key's, does not allow it.
     */
    SR_KIND_STATE_FORBIDS = 9,
    /**
     * Key material may not be kept any more: obtain the key again.
     */
    SR_KIND_EXPIRED = 10,
    /**
     * What came, or was stored, is not what was made: it was altered.
     */
    SR_KIND_ALTERED = 11,
    /**
     * What was stored ends before its end.
     */
    SR_KIND_TRUNCATED = 12,
    /**
     * It is no object or message, or one of a version that this library cannot read.
     */
    SR_KIND_NOT_READABLE = 13,
    /**
     * Its key is kept at an appliance that this client was not set up with.
     */
    SR_KIND_OTHER_APPLIANCE = 14,
    /**
     * The appliance cannot be reached, or cannot answer now; sr_error says whether trying again is safe.
     */
    SR_KIND_UNREACHABLE = 15,
    /**
     * What answers cannot prove to be the appliance.
     */
    SR_KIND_NOT_TRUSTED = 16,
    /**
     * Too many attempts have failed, or the domain makes too many requests: wait.
     */
    SR_KIND_TOO_MANY_ATTEMPTS = 17,
    /**
     * What was asked for cannot be.
     */
    SR_KIND_INVALID = 18,
    /**
     * Reading or writing on this device failed.
     */
    SR_KIND_DEVICE = 19,
    /**
     * A fault of the appliance or of this library.
     */
    SR_KIND_FAILED = 20,
} sr_kind;

/**
 * An appliance, and who vouches for it. Freed with sr_client_free.
 */
typedef struct sr_client sr_client;

/**
 * An object of which any part can be read. Freed with sr_object_free.
 */
typedef struct sr_object sr_object;

/**
 * The public key of one version of a key pair. What it can do, it does here, without the appliance. Freed with sr_public_key_free.
 */
typedef struct sr_public_key sr_public_key;

/**
 * A sign-in whose password was right and that waits for a second factor. Freed with sr_second_factor_free.
 */
typedef struct sr_second_factor sr_second_factor;

/**
 * An account signed in at an appliance, or a device or service that signs each of its requests. Freed with sr_session_free.
 */
typedef struct sr_session sr_session;

/**
 * What is known of a failure. Holds no secret. Freed with sr_error_free.
 */
typedef struct sr_error {
    /**
     * What to branch on.
     */
    enum sr_kind kind;
    /**
     * Whether the same may be tried again: nothing was done, or doing it twice does no harm.
     */
    bool safe_to_retry;
    /**
     * One sentence for people.
     */
    char *message;
    /**
     * The rule of a usage policy that refused, such as `policy:key:not-after`; NULL where there is none to be told.
     */
    char *rule;
    /**
     * The problem code of the appliance's refusal, such as `grant-revoked`; NULL where it did not refuse.
     */
    char *code;
} sr_error;

/**
 * What people know a message or an object by, and when it may be opened. All of it may be NULL.
 */
typedef struct sr_metadata {
    /**
     * The key's name for people, such as the message's subject. Kept by the appliance.
     */
    const char *label;
    /**
     * The media type of the content, such as `text/plain`. Stands unencrypted beside it.
     */
    const char *content_type;
    /**
     * The usage policy of its key, as the JSON object UsagePolicy of the appliance's API: `{"keep_for": 3600}`.
     */
    const char *policy;
} sr_metadata;

/**
 * A key that is to be made or brought. What is 0 or NULL says nothing: `sr_new_key new = {.algorithm = SR_EC_P256};`.
 */
typedef struct sr_new_key {
    /**
     * What it is for: SR_AES_256, SR_EC_P256, SR_ED25519 or another.
     */
    int32_t algorithm;
    /**
     * Where it is not 0 its material goes to nobody, ever: the appliance uses it for those who may. This cannot be changed later.
     */
    int32_t no_release;
    /**
     * The length of a generic secret in bytes, 1 to 1024; with 0 it is 32.
     */
    uint16_t length;
    /**
     * The names of the accounts that receive it, besides oneself.
     */
    const char *const *recipients;
    /**
     * How many there are.
     */
    size_t recipients_count;
    /**
     * Its label and policy; may be NULL.
     */
    const struct sr_metadata *metadata;
} sr_new_key;

/**
 * Bytes that were handed out. Overwritten and freed with sr_bytes_free.
 */
typedef struct sr_bytes {
    /**
     * The bytes; NULL where there are none.
     */
    uint8_t *data;
    /**
     * How many there are.
     */
    size_t length;
} sr_bytes;

/**
 * Which keys to find. What is not NULL must all match.
 */
typedef struct sr_key_query {
    /**
     * The label contains this.
     */
    const char *label;
    /**
     * The sender's name is this.
     */
    const char *sender;
    /**
     * One of the recipients' names is this.
     */
    const char *recipient;
    /**
     * Go on after this key: what the page before said.
     */
    const char *after;
} sr_key_query;

/**
 * A key as an account with a grant to it sees it.
 */
typedef struct sr_key {
    /**
     * Its identifier.
     */
    char *id;
    /**
     * Its state (NIST SP 800-57), such as `active`.
     */
    char *state;
    /**
     * The name for people.
     */
    char *label;
    /**
     * The owner's name.
     */
    char *owner;
    /**
     * The name of who created it: the sender of what it protects.
     */
    char *sender;
    /**
     * The newest version; the first is 1.
     */
    uint32_t version;
    /**
     * When it was created, in milliseconds since 1970.
     */
    uint64_t created;
    /**
     * What it is for, such as SR_AES_256.
     */
    int32_t algorithm;
    /**
     * Whether its material goes to nobody, ever.
     */
    bool no_release;
} sr_key;

/**
 * A page of keys, the newest first. Freed with sr_keys_free.
 */
typedef struct sr_keys {
    /**
     * The keys; they are freed with the page.
     */
    struct sr_key *keys;
    /**
     * How many there are.
     */
    size_t count;
    /**
     * Given as `after` it brings the next page; NULL on the last.
     */
    char *next;
} sr_keys;

/**
 * What a message says of itself. Authentic. Freed with sr_message_header_free.
 */
typedef struct sr_message_header {
    /**
     * The identifier of the key that seals it.
     */
    char *key;
    /**
     * The version of the key, from 1.
     */
    uint32_t key_version;
    /**
     * The origin of the appliance that keeps the key.
     */
    char *server;
    /**
     * The media type of the content, or NULL.
     */
    char *content_type;
    /**
     * The identifier of the account that sent it.
     */
    char *sender;
    /**
     * The names of the accounts it was sent to, separated by line feeds.
     */
    char *recipients;
    /**
     * When it was sealed, by the appliance's clock, in milliseconds since 1970.
     */
    uint64_t time;
    /**
     * The index of the audit leaf of the key's release.
     */
    uint64_t leaf;
} sr_message_header;

/**
 * Bytes that the caller gives.
 */
typedef struct sr_slice {
    /**
     * The bytes; may be NULL where there are none.
     */
    const uint8_t *data;
    /**
     * How many there are.
     */
    size_t length;
} sr_slice;

/**
 * One of many messages to be sealed.
 */
typedef struct sr_outgoing {
    /**
     * What is sealed.
     */
    struct sr_slice plaintext;
    /**
     * The names of the accounts that may open it, besides the one that seals it.
     */
    const char *const *recipients;
    /**
     * How many there are.
     */
    size_t recipients_count;
    /**
     * What people know it by; may be NULL.
     */
    const struct sr_metadata *metadata;
} sr_outgoing;

/**
 * A sealed message. Freed with sr_sealed_free.
 */
typedef struct sr_sealed {
    /**
     * The envelope: keep it or send it wherever you like.
     */
    struct sr_bytes envelope;
    /**
     * The identifier of its key.
     */
    char *key;
} sr_sealed;

/**
 * What became of one of several messages. Freed with sr_opened_free.
 */
typedef struct sr_opened {
    /**
     * The content, where it was opened.
     */
    struct sr_bytes plaintext;
    /**
     * What the message says of itself, where it was opened; else NULL.
     */
    struct sr_message_header *header;
    /**
     * Why it was not opened; else NULL.
     */
    struct sr_error *error;
} sr_opened;

/**
 * Reads bytes into `out`, at most so many; answers how many, 0 at the end, -1 when reading fails. `context` is what was given with it.
 */
typedef ptrdiff_t (*sr_read)(void *context, uint8_t *out, size_t most);

/**
 * Writes all of these bytes; answers 0, or anything else when writing fails. `context` is what was given with it.
 */
typedef int (*sr_write)(void *context, const uint8_t *bytes, size_t length);

/**
 * Reads exactly so many bytes from `offset` on into `out`; answers 0, or anything else when reading fails. `context` is what was given with it.
 */
typedef int (*sr_read_range)(void *context, uint64_t offset, uint8_t *out, size_t length);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Sets up a client for the appliance at `server`, such as `https://keys.example.com:8443`, for which the authorities in `ca` (PEM) vouch.
 * Connects to nothing yet.
 */
enum sr_kind sr_client_new(const char *server,
                           const uint8_t *ca,
                           size_t ca_length,
                           struct sr_client **client,
                           struct sr_error **error);

/**
 * The same, with a client certificate and its private key (PEM) that it presents wherever it is asked for one.
 */
enum sr_kind sr_client_new_with_identity(const char *server,
                                         const uint8_t *ca,
                                         size_t ca_length,
                                         const uint8_t *certificate,
                                         size_t certificate_length,
                                         const uint8_t *key,
                                         size_t key_length,
                                         struct sr_client **client,
                                         struct sr_error **error);

/**
 * Adds an address at which the appliance, or another that serves the same domain, is reached. Before the client is used.
 */
enum sr_kind sr_client_or_at(struct sr_client *client,
                             const char *address,
                             struct sr_error **error);

/**
 * Adds an address under which others know the appliance: objects that name it are opened here, too. Before the client is used.
 */
enum sr_kind sr_client_also_known_as(struct sr_client *client,
                                     const char *address,
                                     struct sr_error **error);

/**
 * Says which domain of the appliance it is for, where the address does not stand for it. Before the client is used.
 */
enum sr_kind sr_client_in_domain(struct sr_client *client,
                                 const char *domain,
                                 struct sr_error **error);

/**
 * Says how often every address is tried when a request comes to nothing and may be made again; 4 by default. Before the client is used.
 */
enum sr_kind sr_client_set_rounds(struct sr_client *client,
                                  uint32_t rounds,
                                  struct sr_error **error);

/**
 * Frees a client. Sessions that it opened stay.
 */
void sr_client_free(struct sr_client *client);

/**
 * Sets the password of an account with the one-time code that the administrator handed out.
 */
enum sr_kind sr_enrol(const struct sr_client *client,
                      const char *account,
                      const char *code,
                      const uint8_t *password,
                      size_t password_length,
                      struct sr_error **error);

/**
 * Signs in with a password, which the appliance never sees.
 *
 * Where the account has a second factor, `session` stays NULL and `needed` receives what waits for it; where `needed` is NULL, the sign-in
 * fails then. Free the session with sr_session_free, `needed` with sr_second_factor_free.
 */
enum sr_kind sr_sign_in(const struct sr_client *client,
                        const char *account,
                        const uint8_t *password,
                        size_t password_length,
                        struct sr_session **session,
                        struct sr_second_factor **needed,
                        struct sr_error **error);

/**
 * How many tries the sign-in is good for; 0 where it is NULL.
 */
uint32_t sr_second_factor_tries(const struct sr_second_factor *needed);

/**
 * Proves the second factor by the six digits that the authenticator app shows, and opens the session, to be freed with sr_session_free. When
 * they are wrong it may be tried again, as long as tries are left.
 */
enum sr_kind sr_second_factor_prove_totp(const struct sr_second_factor *needed,
                                         const char *digits,
                                         struct sr_session **session,
                                         struct sr_error **error);

/**
 * The same by a recovery code, which is used up.
 */
enum sr_kind sr_second_factor_prove_recovery_code(const struct sr_second_factor *needed,
                                                  const char *code,
                                                  struct sr_session **session,
                                                  struct sr_error **error);

/**
 * Frees what waits for a second factor.
 */
void sr_second_factor_free(struct sr_second_factor *needed);

/**
 * Signs in by the certificate that the client was set up with. Free the session with sr_session_free.
 */
enum sr_kind sr_sign_in_by_certificate(const struct sr_client *client,
                                       struct sr_session **session,
                                       struct sr_error **error);

/**
 * The device or service with this account and account secret, which signs each of its requests. Nothing is asked of the appliance yet. It can
 * seal, open and protect, create, import, obtain, find and use keys. Free it with sr_session_free.
 */
enum sr_kind sr_device_new(const struct sr_client *client,
                           const char *account_id,
                           const char *secret,
                           struct sr_session **session,
                           struct sr_error **error);

/**
 * Signs in again in this session, where something needs a recent sign-in.
 */
enum sr_kind sr_session_step_up(const struct sr_session *session,
                                const uint8_t *password,
                                size_t password_length,
                                struct sr_error **error);

/**
 * Ends the session at the appliance, and forgets its keys: from now on nothing can be done in it. It still has to be freed.
 */
enum sr_kind sr_session_end(const struct sr_session *session,
                            struct sr_error **error);

/**
 * Frees a session or device with all keys that it holds. Does not end it at the appliance.
 */
void sr_session_free(struct sr_session *session);

/**
 * Frees an error, which may be NULL.
 */
void sr_error_free(struct sr_error *error);

/**
 * How a kind of failure is called, such as `not-signed-in`; `ok` where there is none. Lives as long as the program: it is not freed.
 */
const char *sr_kind_name(int32_t kind);

/**
 * Has the appliance make a key. `key` receives its identifier, freed with sr_text_free.
 */
enum sr_kind sr_key_create(const struct sr_session *session,
                           const struct sr_new_key *new_key,
                           char **key,
                           struct sr_error **error);

/**
 * Brings an existing key: the bytes of a secret key, or a private key as PKCS #8 in DER. It is checked, and recorded as brought. On its way it
 * is wrapped under the transport key. `key` receives its identifier, freed with sr_text_free.
 */
enum sr_kind sr_key_import(const struct sr_session *session,
                           const struct sr_new_key *new_key,
                           const uint8_t *material,
                           size_t material_length,
                           char **key,
                           struct sr_error **error);

/**
 * Obtains a key: this version of it, or with 0 the newest.
 *
 * `material` receives its bytes, which sr_bytes_free overwrites: free it as soon as it was used, and no later than the usage policy says.
 * `obtained_version` may be NULL.
 */
enum sr_kind sr_key_obtain(const struct sr_session *session,
                           const char *key,
                           uint32_t version,
                           struct sr_bytes *material,
                           uint32_t *obtained_version,
                           struct sr_error **error);

/**
 * Gives an account the key: what it protects may be opened then, under `policy_json` (the JSON object UsagePolicy), which may be NULL.
 */
enum sr_kind sr_key_share(const struct sr_session *session,
                          const char *key,
                          const char *grantee,
                          const char *policy_json,
                          struct sr_error **error);

/**
 * Takes the key back from the account with this name.
 */
enum sr_kind sr_key_revoke(const struct sr_session *session,
                           const char *key,
                           const char *account,
                           struct sr_error **error);

/**
 * Makes a new version of the key. What was protected under earlier versions still opens. `version`, which may be NULL, receives its number.
 */
enum sr_kind sr_key_rotate(const struct sr_session *session,
                           const char *key,
                           uint32_t *version,
                           struct sr_error **error);

/**
 * Destroys the key with every copy of it. What it protects can never be opened again.
 */
enum sr_kind sr_key_destroy(const struct sr_session *session,
                            const char *key,
                            struct sr_error **error);

/**
 * A page of the keys that match `query`, or of all where it is NULL. Free it with sr_keys_free.
 */
enum sr_kind sr_keys_find(const struct sr_session *session,
                          const struct sr_key_query *query,
                          struct sr_keys **keys,
                          struct sr_error **error);

/**
 * Frees a page of keys.
 */
void sr_keys_free(struct sr_keys *keys);

/**
 * Overwrites the key with this identifier where it is held here, or with NULL all keys that are.
 */
enum sr_kind sr_forget(const struct sr_session *session, const char *key, struct sr_error **error);

/**
 * Seals a message of at most 16 MiB for the accounts with these names, and for oneself.
 *
 * `metadata` may be NULL. `envelope` is freed with sr_bytes_free; `key`, which may be NULL, receives the identifier of the message's key, freed
 * with sr_text_free.
 */
enum sr_kind sr_seal_message(const struct sr_session *session,
                             const uint8_t *plaintext,
                             size_t plaintext_length,
                             const char *const *recipients,
                             size_t recipients_count,
                             const struct sr_metadata *metadata,
                             struct sr_bytes *envelope,
                             char **key,
                             struct sr_error **error);

/**
 * Opens a message: reads its envelope, obtains its key, and authenticates it.
 *
 * `plaintext` is freed with sr_bytes_free; `header`, which may be NULL, receives what the message says of itself, freed with
 * sr_message_header_free.
 */
enum sr_kind sr_open_message(const struct sr_session *session,
                             const uint8_t *envelope,
                             size_t envelope_length,
                             struct sr_bytes *plaintext,
                             struct sr_message_header **header,
                             struct sr_error **error);

/**
 * Seals many messages, each under a key of its own, in few requests: a thousand take one. All are sealed or none.
 *
 * `sealed` is the caller's array of as many structs as there are messages; each is freed with sr_sealed_free.
 */
enum sr_kind sr_seal_messages(const struct sr_session *session,
                              const struct sr_outgoing *messages,
                              size_t count,
                              struct sr_sealed *sealed,
                              struct sr_error **error);

/**
 * Opens many messages in few requests: a thousand take one. That one of them is refused stops no other: its error stands in its place.
 *
 * `opened` is the caller's array of as many structs as there are envelopes; each is freed with sr_opened_free.
 */
enum sr_kind sr_open_messages(const struct sr_session *session,
                              const struct sr_slice *envelopes,
                              size_t count,
                              struct sr_opened *opened,
                              struct sr_error **error);

/**
 * Frees what a message says of itself.
 */
void sr_message_header_free(struct sr_message_header *header);

/**
 * Frees what a sealed message holds; the struct itself, which may be NULL, stays the caller's and is empty then.
 */
void sr_sealed_free(struct sr_sealed *sealed);

/**
 * Frees what an outcome holds; the struct itself, which may be NULL, stays the caller's and is empty then.
 */
void sr_opened_free(struct sr_opened *opened);

/**
 * Protects a file for the accounts with these names, and for oneself. The object appears under the name `to` when it is complete, and replaces
 * no file.
 *
 * `metadata` may be NULL; label and content type are the file's own where they are. `key`, which may be NULL, receives the identifier of the
 * object's key, freed with sr_text_free.
 */
enum sr_kind sr_protect_file(const struct sr_session *session,
                             const char *from,
                             const char *to,
                             const char *const *recipients,
                             size_t recipients_count,
                             const struct sr_metadata *metadata,
                             char **key,
                             struct sr_error **error);

/**
 * Opens an object into a file, which only its owner may read. It appears under the name `to` when the whole object has been authenticated, and
 * replaces no file. `length`, which may be NULL, receives the number of bytes.
 */
enum sr_kind sr_open_file(const struct sr_session *session,
                          const char *from,
                          const char *to,
                          uint64_t *length,
                          struct sr_error **error);

/**
 * Protects all that `read` gives, and writes the object by `write`. When it fails, what was written is no object and is to be discarded.
 *
 * `metadata` may be NULL. `key`, which may be NULL, receives the identifier of the object's key, freed with sr_text_free.
 */
enum sr_kind sr_protect(const struct sr_session *session,
                        sr_read read,
                        void *read_context,
                        sr_write write,
                        void *write_context,
                        const char *const *recipients,
                        size_t recipients_count,
                        const struct sr_metadata *metadata,
                        char **key,
                        struct sr_error **error);

/**
 * Opens the object that `read` gives, and writes its content by `write`. Only authentic content is written; when it fails, what was written is
 * a part of it, and to be discarded. `length`, which may be NULL, receives the number of bytes.
 */
enum sr_kind sr_open(const struct sr_session *session,
                     sr_read read,
                     void *read_context,
                     sr_write write,
                     void *write_context,
                     uint64_t *length,
                     struct sr_error **error);

/**
 * Opens an object in a file, to read any part of it. Free it with sr_object_free.
 */
enum sr_kind sr_object_open_file(const struct sr_session *session,
                                 const char *path,
                                 struct sr_object **object,
                                 struct sr_error **error);

/**
 * Opens an object of `length` bytes whose bytes come in ranges, such as somebody's cloud storage: only what is read is asked for. The function
 * and its context are used until the object is freed with sr_object_free. What it gives is trusted with nothing.
 */
enum sr_kind sr_object_open_at(const struct sr_session *session,
                               uint64_t length,
                               sr_read_range read,
                               void *read_context,
                               struct sr_object **object,
                               struct sr_error **error);

/**
 * The length of the object's content in bytes. Authentic.
 */
enum sr_kind sr_object_length(struct sr_object *object, uint64_t *length, struct sr_error **error);

/**
 * Reads content from `offset` on into `out`, until so many bytes are read or the content ends; `read` receives how many it were.
 */
enum sr_kind sr_object_read_at(struct sr_object *object,
                               uint64_t offset,
                               uint8_t *out,
                               size_t length,
                               size_t *read,
                               struct sr_error **error);

/**
 * Frees an object; what it was opened from stays the caller's.
 */
void sr_object_free(struct sr_object *object);

/**
 * Has the appliance sign a message. Where the mechanism signs its digest, that alone is sent.
 *
 * `mechanism` is SR_MECHANISM_OF_KEY or another, `encoding` SR_ENCODING_DER or SR_ENCODING_FIXED, which counts for ECDSA. `signature` receives
 * the signature, freed with sr_bytes_free; `version`, which may be NULL, the version of the key that made it.
 */
enum sr_kind sr_sign(const struct sr_session *session,
                     const char *key,
                     int32_t mechanism,
                     int32_t encoding,
                     const uint8_t *message,
                     size_t message_length,
                     struct sr_bytes *signature,
                     uint32_t *version,
                     struct sr_error **error);

/**
 * The same with the digest of a message, for ECDSA and RSA.
 */
enum sr_kind sr_sign_digest(const struct sr_session *session,
                            const char *key,
                            int32_t mechanism,
                            int32_t encoding,
                            const uint8_t *digest,
                            size_t digest_length,
                            struct sr_bytes *signature,
                            uint32_t *version,
                            struct sr_error **error);

/**
 * The public key of this version of a key pair, or with 0 of the newest: it verifies. Free it with sr_public_key_free.
 */
enum sr_kind sr_public_key_get(const struct sr_session *session,
                               const char *key,
                               uint32_t version,
                               struct sr_public_key **public_key,
                               struct sr_error **error);

/**
 * Which version of the key it is, from 1; 0 where it is NULL.
 */
uint32_t sr_public_key_version(const struct sr_public_key *public_key);

/**
 * What it is for, such as SR_EC_P256; -1 where it is NULL.
 */
int32_t sr_public_key_algorithm(const struct sr_public_key *public_key);

/**
 * The public key as SubjectPublicKeyInfo (RFC 5280) in DER, freed with sr_bytes_free.
 */
enum sr_kind sr_public_key_der(const struct sr_public_key *public_key,
                               struct sr_bytes *der,
                               struct sr_error **error);

/**
 * The same in PEM (RFC 7468), what OpenSSL and most tools take: freed with sr_text_free.
 */
enum sr_kind sr_public_key_pem(const struct sr_public_key *public_key,
                               char **pem,
                               struct sr_error **error);

/**
 * Says in `valid` whether this is the key's signature of the message. A signature that is not right is no failure: SR_KIND_OK says that it was
 * looked at, `valid` what came of it. `mechanism` and `encoding` are as for sr_sign.
 */
enum sr_kind sr_public_key_verify(const struct sr_public_key *public_key,
                                  int32_t mechanism,
                                  int32_t encoding,
                                  const uint8_t *message,
                                  size_t message_length,
                                  const uint8_t *signature,
                                  size_t signature_length,
                                  bool *valid,
                                  struct sr_error **error);

/**
 * The same of a message's digest.
 */
enum sr_kind sr_public_key_verify_digest(const struct sr_public_key *public_key,
                                         int32_t mechanism,
                                         int32_t encoding,
                                         const uint8_t *digest,
                                         size_t digest_length,
                                         const uint8_t *signature,
                                         size_t signature_length,
                                         bool *valid,
                                         struct sr_error **error);

/**
 * Encrypts to the holder of an RSA key. `ciphertext` is freed with sr_bytes_free.
 */
enum sr_kind sr_public_key_encrypt(const struct sr_public_key *public_key,
                                   int32_t mechanism,
                                   const uint8_t *plaintext,
                                   size_t plaintext_length,
                                   struct sr_bytes *ciphertext,
                                   struct sr_error **error);

/**
 * Frees a public key.
 */
void sr_public_key_free(struct sr_public_key *public_key);

/**
 * Has the appliance make a MAC of a message. `mac` is freed with sr_bytes_free.
 */
enum sr_kind sr_mac(const struct sr_session *session,
                    const char *key,
                    int32_t mechanism,
                    const uint8_t *message,
                    size_t message_length,
                    struct sr_bytes *mac,
                    struct sr_error **error);

/**
 * Says in `valid` whether this is the MAC of the message, by this version of the key or with 0 the newest. A MAC that is not right is no
 * failure.
 */
enum sr_kind sr_verify_mac(const struct sr_session *session,
                           const char *key,
                           uint32_t version,
                           int32_t mechanism,
                           const uint8_t *message,
                           size_t message_length,
                           const uint8_t *mac,
                           size_t mac_length,
                           bool *valid,
                           struct sr_error **error);

/**
 * Has the appliance encrypt. `associated_data` may be NULL.
 *
 * `ciphertext` and `iv`, the nonce or initialisation vector that the appliance has drawn, if there is one, are freed with sr_bytes_free: it
 * takes both to decrypt.
 */
enum sr_kind sr_encrypt(const struct sr_session *session,
                        const char *key,
                        int32_t mechanism,
                        const uint8_t *plaintext,
                        size_t plaintext_length,
                        const uint8_t *associated_data,
                        size_t associated_data_length,
                        struct sr_bytes *ciphertext,
                        struct sr_bytes *iv,
                        struct sr_error **error);

/**
 * Has the appliance decrypt, with this version of the key or with 0 the newest. `iv` and `associated_data` may be NULL where there were none.
 * `plaintext` is freed with sr_bytes_free, which overwrites it. Fails with SR_KIND_ALTERED when it was not made under this key.
 */
enum sr_kind sr_decrypt(const struct sr_session *session,
                        const char *key,
                        uint32_t version,
                        int32_t mechanism,
                        const uint8_t *ciphertext,
                        size_t ciphertext_length,
                        const uint8_t *iv,
                        size_t iv_length,
                        const uint8_t *associated_data,
                        size_t associated_data_length,
                        struct sr_bytes *plaintext,
                        struct sr_error **error);

/**
 * The DER of the first private key in a PEM text, as sr_key_import takes it: PKCS #8, or the older forms of RSA and EC keys. Freed with
 * sr_bytes_free, which overwrites it.
 */
enum sr_kind sr_private_key_from_pem(const uint8_t *pem,
                                     size_t pem_length,
                                     struct sr_bytes *der,
                                     struct sr_error **error);

/**
 * Overwrites and frees bytes that were handed out; the struct itself, which may be NULL, stays the caller's and is empty then.
 */
void sr_bytes_free(struct sr_bytes *bytes);

/**
 * Frees text that was handed out; it may be NULL.
 */
void sr_text_free(char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STRONGROOM_H */
