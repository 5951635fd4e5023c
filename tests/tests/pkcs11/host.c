/* A host of the module that lives dangerously: `host MODULE PIN ACT`. Threads sign with a key of the appliance all the while, and the first thread
 *
 *   forks     forks again and again; each child begins by itself and signs
 *   exits     ends the process
 *   unloads   unloads the module, which has not been ended, while a released key waits for its end
 *   ends      ends the module, and begins again
 *
 * Answers 0, or the line where something was not as it should be. */

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pkcs11.h"

#define THREADS 16
#define CHECK(what) do { if (!(what)) { fprintf(stderr, "line %d: %s\n", __LINE__, #what); _exit(99); } } while (0)
#define OK(call) do { CK_RV rv_ = (call); if (rv_ != CKR_OK) { fprintf(stderr, "line %d: %s: 0x%lx\n", __LINE__, #call, rv_); _exit(99); } } while (0)

static CK_FUNCTION_LIST_PTR p;
static const char *pin;
static atomic_ulong signatures;
static atomic_int over;
/* What a call may answer while the module is being ended. */
static int ends;

static void begin(void)
{
	CK_C_INITIALIZE_ARGS args = {0};

	args.flags = CKF_OS_LOCKING_OK;
	OK(p->C_Initialize(&args));
}

static CK_RV open_session(CK_SESSION_HANDLE *session)
{
	CK_SLOT_ID slot;
	CK_ULONG one = 1;
	CK_RV rv;

	if ((rv = p->C_GetSlotList(CK_TRUE, &slot, &one)) != CKR_OK)
		return rv;
	return p->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL_PTR, NULL_PTR, session);
}

static CK_RV sign_in(CK_SESSION_HANDLE session)
{
	CK_RV rv = p->C_Login(session, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin));

	return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}

static CK_RV sign(CK_SESSION_HANDLE session)
{
	CK_OBJECT_CLASS private = CKO_PRIVATE_KEY;
	CK_BYTE label[] = "host", digest[32] = {7}, signature[64];
	CK_ATTRIBUTE search[] = {{CKA_CLASS, &private, sizeof private}, {CKA_LABEL, label, 4}};
	CK_MECHANISM ecdsa = {CKM_ECDSA, NULL_PTR, 0};
	CK_OBJECT_HANDLE key;
	CK_ULONG found = 0, length = sizeof signature;
	CK_RV rv;

	if ((rv = p->C_FindObjectsInit(session, search, 2)) != CKR_OK)
		return rv;
	if ((rv = p->C_FindObjects(session, &key, 1, &found)) != CKR_OK)
		return rv;
	if ((rv = p->C_FindObjectsFinal(session)) != CKR_OK)
		return rv;
	if (found != 1)
		return CKR_KEY_HANDLE_INVALID;
	if ((rv = p->C_SignInit(session, &ecdsa, key)) != CKR_OK)
		return rv;
	return p->C_Sign(session, digest, sizeof digest, signature, &length);
}

static void make_keys(CK_SESSION_HANDLE session)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG length = 32;
	CK_BYTE label[] = "host", p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, iv[16] = {0}, data[32] = {0};
	CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, p256, sizeof p256}, {CKA_TOKEN, &yes, 1}};
	CK_ATTRIBUTE private[] = {{CKA_LABEL, label, 4}, {CKA_TOKEN, &yes, 1}, {CKA_SIGN, &yes, 1}};
	CK_ATTRIBUTE secret[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &yes, 1}, {CKA_ENCRYPT, &yes, 1}, {CKA_EXTRACTABLE, &yes, 1}};
	CK_MECHANISM pair = {CKM_EC_KEY_PAIR_GEN, NULL_PTR, 0}, aes = {CKM_AES_KEY_GEN, NULL_PTR, 0}, cbc = {CKM_AES_CBC, iv, sizeof iv};
	CK_OBJECT_HANDLE one, other;
	CK_ULONG n = sizeof data;

	OK(p->C_GenerateKeyPair(session, &pair, public, 2, private, 3, &one, &other));
	/* Released to the process: there is something to overwrite at its end. */
	OK(p->C_GenerateKey(session, &aes, secret, 4, &one));
	OK(p->C_EncryptInit(session, &cbc, one));
	OK(p->C_Encrypt(session, data, sizeof data, data, &n));
}

static int may_be(CK_RV rv)
{
	return ends && (rv == CKR_CRYPTOKI_NOT_INITIALIZED || rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_USER_NOT_LOGGED_IN ||
		rv == CKR_KEY_HANDLE_INVALID || rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_OPERATION_NOT_INITIALIZED);
}

static void *work(void *unused)
{
	CK_SESSION_HANDLE session = 0;
	CK_RV rv = open_session(&session);

	(void)unused;
	CHECK(rv == CKR_OK || may_be(rv));
	while (!over) {
		rv = sign(session);
		if (rv != CKR_OK && !may_be(rv)) {
			fprintf(stderr, "a thread's signature: 0x%lx\n", rv);
			_exit(98);
		}
		if (rv == CKR_OK)
			signatures++;
		else if (open_session(&session) != CKR_OK || sign_in(session) != CKR_OK)
			usleep(1000);
	}
	return NULL;
}

static void child(CK_SESSION_HANDLE inherited)
{
	CK_SESSION_HANDLE session;

	/* One that hangs is killed, and has failed. */
	alarm(30);
	CHECK(sign(inherited) == CKR_CRYPTOKI_NOT_INITIALIZED);
	begin();
	OK(open_session(&session));
	OK(sign_in(session));
	OK(sign(session));
	OK(p->C_Finalize(NULL_PTR));
	_exit(0);
}

int main(int argc, char **argv)
{
	CK_C_GetFunctionList list;
	CK_SESSION_HANDLE session;
	pthread_t threads[THREADS];
	unsigned long enough;
	void *module;
	int at, status;
	pid_t pid;

	CHECK(argc == 4);
	pin = argv[2];
	module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	CHECK(module != NULL);
	list = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
	CHECK(list != NULL);
	OK(list(&p));
	begin();
	OK(open_session(&session));
	OK(sign_in(session));
	make_keys(session);
	ends = strcmp(argv[3], "ends") == 0;
	for (at = 0; at < THREADS; at++)
		CHECK(pthread_create(&threads[at], NULL, work, NULL) == 0);
	enough = signatures + THREADS;
	while (signatures < enough)
		usleep(1000);

	if (strcmp(argv[3], "exits") == 0)
		exit(0);
	if (strcmp(argv[3], "forks") == 0) {
		for (at = 0; at < 15; at++) {
			pid = fork();
			CHECK(pid >= 0);
			if (pid == 0)
				child(session);
			CHECK(waitpid(pid, &status, 0) == pid);
			if (status != 0) {
				fprintf(stderr, "child %d: %d\n", at, status);
				return 97;
			}
			OK(sign(session));
		}
	}
	if (ends) {
		for (at = 0; at < 20; at++) {
			usleep(20000);
			OK(p->C_Finalize(NULL_PTR));
			begin();
			OK(open_session(&session));
			OK(sign_in(session));
		}
	}
	over = 1;
	for (at = 0; at < THREADS; at++)
		pthread_join(threads[at], NULL);
	CHECK(signatures > enough);
	if (strcmp(argv[3], "unloads") == 0) {
		CHECK(dlclose(module) == 0);
		sleep(1);
		/* And once more: what the process had of it goes on, or begins anew. */
		module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
		CHECK(module != NULL);
		list = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
		OK(list(&p));
		OK(p->C_Finalize(NULL_PTR));
		CHECK(dlclose(module) == 0);
		return 0;
	}
	OK(p->C_Finalize(NULL_PTR));
	return 0;
}
