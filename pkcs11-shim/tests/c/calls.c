/* Calls every function of the list through the C ABI: with nothing but nulls, before and after C_Initialize, and then as an application does.
 * Answers with the number of the line where something was not as the standard says, or 0. */

#include <string.h>
#include "pkcs11.h"

#define CHECK(what) do { if (!(what)) return __LINE__; } while (0)
#define OK(call) CHECK((call) == CKR_OK)
#define IS(call, rv) CHECK((call) == (rv))
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Every function but those that begin and end, with nulls. `expected` allows for functions whose arguments are looked at first. */
#define NULLS(f, expected) do { \
	CK_RV rv; \
	rv = (f); \
	if (rv != (expected) && rv != CKR_ARGUMENTS_BAD && rv != CKR_MECHANISM_INVALID) \
		return __LINE__; \
} while (0)

static int nulls(CK_FUNCTION_LIST_3_2_PTR p, CK_RV slot, CK_RV session)
{
	NULLS(p->C_GetInfo(NULL_PTR), session);
	NULLS(p->C_GetSlotList(CK_FALSE, NULL_PTR, NULL_PTR), slot);
	NULLS(p->C_GetSlotInfo(99, NULL_PTR), slot);
	NULLS(p->C_GetTokenInfo(99, NULL_PTR), slot);
	NULLS(p->C_GetMechanismList(99, NULL_PTR, NULL_PTR), slot);
	NULLS(p->C_GetMechanismInfo(99, 0, NULL_PTR), slot);
	NULLS(p->C_InitToken(99, NULL_PTR, 0, NULL_PTR), slot);
	NULLS(p->C_InitPIN(0, NULL_PTR, 0), session);
	NULLS(p->C_SetPIN(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_OpenSession(99, CKF_SERIAL_SESSION, NULL_PTR, NULL_PTR, NULL_PTR), slot);
	NULLS(p->C_CloseSession(0), session);
	NULLS(p->C_CloseAllSessions(99), slot);
	NULLS(p->C_GetSessionInfo(0, NULL_PTR), session);
	NULLS(p->C_GetOperationState(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SetOperationState(0, NULL_PTR, 0, 0, 0), session);
	NULLS(p->C_Login(0, CKU_USER, NULL_PTR, 0), session);
	NULLS(p->C_Logout(0), session);
	NULLS(p->C_CreateObject(0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_CopyObject(0, 0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_DestroyObject(0, 0), session);
	NULLS(p->C_GetObjectSize(0, 0, NULL_PTR), session);
	NULLS(p->C_GetAttributeValue(0, 0, NULL_PTR, 0), session);
	NULLS(p->C_SetAttributeValue(0, 0, NULL_PTR, 0), session);
	NULLS(p->C_FindObjectsInit(0, NULL_PTR, 0), session);
	NULLS(p->C_FindObjectsInit(0, NULL_PTR, 5), session);
	NULLS(p->C_FindObjects(0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_FindObjectsFinal(0), session);
	NULLS(p->C_EncryptInit(0, NULL_PTR, 0), session);
	NULLS(p->C_Encrypt(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_EncryptUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_EncryptFinal(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptInit(0, NULL_PTR, 0), session);
	NULLS(p->C_Decrypt(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptFinal(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DigestInit(0, NULL_PTR), session);
	NULLS(p->C_Digest(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DigestUpdate(0, NULL_PTR, 0), session);
	NULLS(p->C_DigestKey(0, 0), session);
	NULLS(p->C_DigestFinal(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SignInit(0, NULL_PTR, 0), session);
	NULLS(p->C_Sign(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SignUpdate(0, NULL_PTR, 0), session);
	NULLS(p->C_SignFinal(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SignRecoverInit(0, NULL_PTR, 0), session);
	NULLS(p->C_SignRecover(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_VerifyInit(0, NULL_PTR, 0), session);
	NULLS(p->C_Verify(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyUpdate(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyFinal(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyRecoverInit(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyRecover(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DigestEncryptUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptDigestUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SignEncryptUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptVerifyUpdate(0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_GenerateKey(0, NULL_PTR, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_GenerateKeyPair(0, NULL_PTR, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_WrapKey(0, NULL_PTR, 0, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_UnwrapKey(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_DeriveKey(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_SeedRandom(0, NULL_PTR, 0), session);
	NULLS(p->C_GenerateRandom(0, NULL_PTR, 0), session);
	NULLS(p->C_GetFunctionStatus(0), session);
	NULLS(p->C_CancelFunction(0), session);
	NULLS(p->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_GetInterfaceList(NULL_PTR, NULL_PTR), CKR_ARGUMENTS_BAD);
	NULLS(p->C_GetInterface(NULL_PTR, NULL_PTR, NULL_PTR, 0), CKR_ARGUMENTS_BAD);
	NULLS(p->C_LoginUser(0, CKU_USER, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_SessionCancel(0, 0), session);
	NULLS(p->C_MessageEncryptInit(0, NULL_PTR, 0), session);
	NULLS(p->C_EncryptMessage(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_EncryptMessageBegin(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_EncryptMessageNext(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR, 0), session);
	NULLS(p->C_MessageEncryptFinal(0), session);
	NULLS(p->C_MessageDecryptInit(0, NULL_PTR, 0), session);
	NULLS(p->C_DecryptMessage(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecryptMessageBegin(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_DecryptMessageNext(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR, 0), session);
	NULLS(p->C_MessageDecryptFinal(0), session);
	NULLS(p->C_MessageSignInit(0, NULL_PTR, 0), session);
	NULLS(p->C_SignMessage(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_SignMessageBegin(0, NULL_PTR, 0), session);
	NULLS(p->C_SignMessageNext(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_MessageSignFinal(0), session);
	NULLS(p->C_MessageVerifyInit(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyMessage(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyMessageBegin(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifyMessageNext(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_MessageVerifyFinal(0), session);
	NULLS(p->C_EncapsulateKey(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_DecapsulateKey(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR), session);
	NULLS(p->C_VerifySignatureInit(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_VerifySignature(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifySignatureUpdate(0, NULL_PTR, 0), session);
	NULLS(p->C_VerifySignatureFinal(0), session);
	NULLS(p->C_GetSessionValidationFlags(0, 0, NULL_PTR), session);
	NULLS(p->C_AsyncComplete(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_AsyncGetID(0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_AsyncJoin(0, NULL_PTR, 0, NULL_PTR, 0), session);
	NULLS(p->C_WrapKeyAuthenticated(0, NULL_PTR, 0, 0, NULL_PTR, 0, NULL_PTR, NULL_PTR), session);
	NULLS(p->C_UnwrapKeyAuthenticated(0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR, 0, NULL_PTR), session);
	return 0;
}

static int crypt(CK_FUNCTION_LIST_3_2_PTR p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE iv[16] = {1}, data[40] = "forty bytes of data, more or less: forty", out[80], back[80], digest[2][32];
	CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv}, sha = {CKM_SHA256, NULL_PTR, 0}, cmac = {CKM_AES_CMAC, NULL_PTR, 0};
	CK_ULONG n, m, k, size;

	OK(p->C_EncryptInit(s, &cbc, key));
	IS(p->C_EncryptInit(s, &cbc, key), CKR_OPERATION_ACTIVE);
	OK(p->C_DigestInit(s, &sha));
	n = sizeof out;
	OK(p->C_DigestEncryptUpdate(s, data, 30, out, &n));
	CHECK(n == 16);
	m = sizeof out - n;
	OK(p->C_DigestEncryptUpdate(s, data + 30, 10, out + n, &m));
	n += m;
	m = sizeof out - n;
	OK(p->C_EncryptFinal(s, out + n, &m));
	n += m;
	CHECK(n == 48);
	size = sizeof digest[0];
	OK(p->C_DigestFinal(s, digest[0], &size));

	OK(p->C_DecryptInit(s, &cbc, key));
	OK(p->C_DigestInit(s, &sha));
	m = sizeof back;
	OK(p->C_DecryptDigestUpdate(s, out, n, back, &m));
	k = sizeof back - m;
	OK(p->C_DecryptFinal(s, back + m, &k));
	CHECK(m + k == sizeof data && memcmp(back, data, sizeof data) == 0);
	/* The last block came with C_DecryptFinal: it is not in the digest. */
	OK(p->C_DigestUpdate(s, back + m, k));
	size = sizeof digest[1];
	OK(p->C_DigestFinal(s, digest[1], &size));
	CHECK(memcmp(digest[0], digest[1], size) == 0);
	OK(p->C_DigestInit(s, &sha));
	size = sizeof digest[1];
	OK(p->C_Digest(s, data, sizeof data, digest[1], &size));
	CHECK(memcmp(digest[0], digest[1], size) == 0);

	OK(p->C_SignInit(s, &cmac, key));
	OK(p->C_EncryptInit(s, &cbc, key));
	n = sizeof out;
	OK(p->C_SignEncryptUpdate(s, data, sizeof data, out, &n));
	m = sizeof out - n;
	OK(p->C_EncryptFinal(s, out + n, &m));
	n += m;
	size = sizeof digest[0];
	OK(p->C_SignFinal(s, digest[0], &size));
	CHECK(size == 16);
	OK(p->C_VerifyInit(s, &cmac, key));
	OK(p->C_DecryptInit(s, &cbc, key));
	m = sizeof back;
	OK(p->C_DecryptVerifyUpdate(s, out, n, back, &m));
	k = sizeof back - m;
	OK(p->C_DecryptFinal(s, back + m, &k));
	OK(p->C_VerifyUpdate(s, back + m, k));
	OK(p->C_VerifyFinal(s, digest[0], size));
	OK(p->C_VerifySignatureInit(s, &cmac, key, digest[0], size));
	OK(p->C_VerifySignatureUpdate(s, data, 7));
	OK(p->C_VerifySignatureUpdate(s, data + 7, sizeof data - 7));
	OK(p->C_VerifySignatureFinal(s));
	digest[0][3] ^= 1;
	OK(p->C_VerifySignatureInit(s, &cmac, key, digest[0], size));
	IS(p->C_VerifySignature(s, data, sizeof data), CKR_SIGNATURE_INVALID);
	IS(p->C_DigestEncryptUpdate(s, data, 30, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	return 0;
}

static int recover(CK_FUNCTION_LIST_3_2_PTR p, CK_SESSION_HANDLE s)
{
	CK_ULONG bits = 2048, n, m;
	CK_ATTRIBUTE template[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}};
	CK_MECHANISM make = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL_PTR, 0}, rsa = {CKM_RSA_PKCS, NULL_PTR, 0};
	CK_OBJECT_HANDLE public, private;
	CK_BYTE signature[256], data[256];

	OK(p->C_GenerateKeyPair(s, &make, template, 1, NULL_PTR, 0, &public, &private));
	OK(p->C_SignRecoverInit(s, &rsa, private));
	n = sizeof signature;
	OK(p->C_SignRecover(s, (CK_BYTE_PTR)"recovered", 9, signature, &n));
	OK(p->C_VerifyRecoverInit(s, &rsa, public));
	m = 3;
	IS(p->C_VerifyRecover(s, signature, n, data, &m), CKR_BUFFER_TOO_SMALL);
	CHECK(m == 9);
	OK(p->C_VerifyRecover(s, signature, n, data, &m));
	CHECK(memcmp(data, "recovered", 9) == 0);
	return 0;
}

static int about(CK_FUNCTION_LIST_3_2_PTR p, CK_SLOT_ID slot, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM_TYPE mechanisms[128];
	CK_MECHANISM_INFO info;
	CK_BYTE label[16];
	CK_BBOOL sensitive = CK_FALSE;
	CK_ATTRIBUTE wanted[] = {{CKA_LABEL, label, sizeof label}, {CKA_SENSITIVE, &sensitive, 1}};
	CK_SLOT_ID event;
	CK_FLAGS flags = 7;
	CK_ULONG n = LEN(mechanisms), at, one;

	OK(p->C_GetMechanismList(slot, mechanisms, &n));
	CHECK(n > 60);
	for (at = 0; at < n; at++) {
		OK(p->C_GetMechanismInfo(slot, mechanisms[at], &info));
		CHECK(info.ulMinKeySize <= info.ulMaxKeySize && info.flags != 0);
	}
	one = 1;
	IS(p->C_GetMechanismList(slot, mechanisms, &one), CKR_BUFFER_TOO_SMALL);
	CHECK(one == n);
	IS(p->C_WaitForSlotEvent(CKF_DONT_BLOCK, &event, NULL_PTR), CKR_NO_EVENT);
	OK(p->C_GetAttributeValue(s, key, wanted, LEN(wanted)));
	CHECK(wanted[0].ulValueLen == 6 && memcmp(label, "from C", 6) == 0 && sensitive);
	OK(p->C_GetSessionValidationFlags(s, CKS_LAST_VALIDATION_OK, &flags));
	CHECK(flags == 0);
	return 0;
}

static int alone(CK_FUNCTION_LIST_3_2_PTR p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE public, CK_OBJECT_HANDLE private)
{
	CK_BYTE iv[16] = {1}, data[40] = "forty bytes of data, more or less: forty", out[80], parts[80], back[80], digest[2][32], state[512], signature[64];
	CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv}, sha = {CKM_SHA256, NULL_PTR, 0}, ecdsa = {CKM_ECDSA_SHA256, NULL_PTR, 0};
	CK_ULONG n, m, k, size;

	OK(p->C_EncryptInit(s, &cbc, key));
	n = 0;
	OK(p->C_Encrypt(s, data, sizeof data, NULL_PTR, &n));
	CHECK(n == 48);
	n = 47;
	IS(p->C_Encrypt(s, data, sizeof data, out, &n), CKR_BUFFER_TOO_SMALL);
	CHECK(n == 48);
	OK(p->C_Encrypt(s, data, sizeof data, out, &n));
	IS(p->C_Encrypt(s, data, sizeof data, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	OK(p->C_EncryptInit(s, &cbc, key));
	m = sizeof parts;
	OK(p->C_EncryptUpdate(s, data, 33, parts, &m));
	k = sizeof parts - m;
	OK(p->C_EncryptUpdate(s, data + 33, 7, parts + m, &k));
	m += k;
	k = sizeof parts - m;
	OK(p->C_EncryptFinal(s, parts + m, &k));
	CHECK(m + k == n && memcmp(out, parts, n) == 0);
	OK(p->C_DecryptInit(s, &cbc, key));
	m = sizeof back;
	OK(p->C_Decrypt(s, out, n, back, &m));
	CHECK(m == sizeof data && memcmp(back, data, m) == 0);
	OK(p->C_DecryptInit(s, &cbc, key));
	m = sizeof back;
	OK(p->C_DecryptUpdate(s, out, n, back, &m));
	k = sizeof back - m;
	OK(p->C_DecryptFinal(s, back + m, &k));
	CHECK(m + k == sizeof data && memcmp(back, data, m + k) == 0);

	/* A digest's state goes on from where it was saved. */
	OK(p->C_DigestInit(s, &sha));
	OK(p->C_DigestUpdate(s, data, 11));
	OK(p->C_DigestKey(s, key));
	n = sizeof state;
	OK(p->C_GetOperationState(s, state, &n));
	OK(p->C_DigestUpdate(s, data, 5));
	size = sizeof digest[0];
	OK(p->C_DigestFinal(s, digest[0], &size));
	OK(p->C_SetOperationState(s, state, n, 0, 0));
	OK(p->C_DigestUpdate(s, data, 5));
	size = sizeof digest[1];
	OK(p->C_DigestFinal(s, digest[1], &size));
	CHECK(size == 32 && memcmp(digest[0], digest[1], size) == 0);
	IS(p->C_SetOperationState(s, state, n / 2, 0, 0), CKR_SAVED_STATE_INVALID);

	OK(p->C_SignInit(s, &ecdsa, private));
	n = sizeof signature;
	OK(p->C_Sign(s, data, sizeof data, signature, &n));
	CHECK(n == 64);
	OK(p->C_VerifyInit(s, &ecdsa, public));
	OK(p->C_Verify(s, data, sizeof data, signature, n));
	OK(p->C_SignInit(s, &ecdsa, private));
	OK(p->C_SignUpdate(s, data, 7));
	OK(p->C_SignUpdate(s, data + 7, sizeof data - 7));
	OK(p->C_SignFinal(s, signature, &n));
	OK(p->C_VerifyInit(s, &ecdsa, public));
	OK(p->C_VerifyUpdate(s, data, sizeof data));
	OK(p->C_VerifyFinal(s, signature, n));
	OK(p->C_VerifySignatureInit(s, &ecdsa, public, signature, n));
	OK(p->C_VerifySignature(s, data, sizeof data));
	signature[9] ^= 1;
	OK(p->C_VerifyInit(s, &ecdsa, public));
	IS(p->C_Verify(s, data, sizeof data, signature, n), CKR_SIGNATURE_INVALID);
	return 0;
}

static int encapsulate(CK_FUNCTION_LIST_3_2_PTR p, CK_SESSION_HANDLE s)
{
	CK_ML_KEM_PARAMETER_SET_TYPE set = CKP_ML_KEM_768;
	CK_ATTRIBUTE parameters[] = {{CKA_PARAMETER_SET, &set, sizeof set}};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE secret[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
	CK_MECHANISM make = {CKM_ML_KEM_KEY_PAIR_GEN, NULL_PTR, 0}, kem = {CKM_ML_KEM, NULL_PTR, 0};
	CK_OBJECT_HANDLE public, private, here, there;
	CK_BYTE ciphertext[1088], values[2][32];
	CK_ATTRIBUTE value[2] = {{CKA_VALUE, values[0], 32}, {CKA_VALUE, values[1], 32}};
	CK_ULONG n = 0;

	OK(p->C_GenerateKeyPair(s, &make, parameters, 1, NULL_PTR, 0, &public, &private));
	OK(p->C_EncapsulateKey(s, &kem, public, secret, LEN(secret), NULL_PTR, &n, NULL_PTR));
	CHECK(n == sizeof ciphertext);
	OK(p->C_EncapsulateKey(s, &kem, public, secret, LEN(secret), ciphertext, &n, &here));
	OK(p->C_DecapsulateKey(s, &kem, private, secret, LEN(secret), ciphertext, n, &there));
	OK(p->C_GetAttributeValue(s, here, &value[0], 1));
	OK(p->C_GetAttributeValue(s, there, &value[1], 1));
	CHECK(memcmp(values[0], values[1], 32) == 0);
	return 0;
}

/* What is not served says so, whatever it is given. */
static int unserved(CK_FUNCTION_LIST_3_2_PTR p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM gcm = {CKM_AES_GCM, NULL_PTR, 0};
	CK_BYTE b[64] = {0};
	CK_ASYNC_DATA result = {0};
	CK_OBJECT_HANDLE made;
	CK_ULONG n = sizeof b;

#define NOT_SERVED(call) IS(call, CKR_FUNCTION_NOT_SUPPORTED)
	NOT_SERVED(p->C_MessageEncryptInit(s, &gcm, key));
	NOT_SERVED(p->C_EncryptMessage(s, b, 8, b, 8, b, 8, b, &n));
	NOT_SERVED(p->C_EncryptMessageBegin(s, b, 8, b, 8));
	NOT_SERVED(p->C_EncryptMessageNext(s, b, 8, b, 8, b, &n, CKF_END_OF_MESSAGE));
	NOT_SERVED(p->C_MessageEncryptFinal(s));
	NOT_SERVED(p->C_MessageDecryptInit(s, &gcm, key));
	NOT_SERVED(p->C_DecryptMessage(s, b, 8, b, 8, b, 8, b, &n));
	NOT_SERVED(p->C_DecryptMessageBegin(s, b, 8, b, 8));
	NOT_SERVED(p->C_DecryptMessageNext(s, b, 8, b, 8, b, &n, CKF_END_OF_MESSAGE));
	NOT_SERVED(p->C_MessageDecryptFinal(s));
	NOT_SERVED(p->C_MessageSignInit(s, &gcm, key));
	NOT_SERVED(p->C_SignMessage(s, b, 8, b, 8, b, &n));
	NOT_SERVED(p->C_SignMessageBegin(s, b, 8));
	NOT_SERVED(p->C_SignMessageNext(s, b, 8, b, 8, b, &n));
	NOT_SERVED(p->C_MessageSignFinal(s));
	NOT_SERVED(p->C_MessageVerifyInit(s, &gcm, key));
	NOT_SERVED(p->C_VerifyMessage(s, b, 8, b, 8, b, 8));
	NOT_SERVED(p->C_VerifyMessageBegin(s, b, 8));
	NOT_SERVED(p->C_VerifyMessageNext(s, b, 8, b, 8, b, 8));
	NOT_SERVED(p->C_MessageVerifyFinal(s));
	NOT_SERVED(p->C_WrapKeyAuthenticated(s, &gcm, key, key, b, 8, b, &n));
	NOT_SERVED(p->C_UnwrapKeyAuthenticated(s, &gcm, key, b, 8, NULL_PTR, 0, b, 8, &made));
	IS(p->C_AsyncComplete(s, (CK_UTF8CHAR_PTR)"C_Sign", &result), CKR_SESSION_ASYNC_NOT_SUPPORTED);
	IS(p->C_AsyncGetID(s, (CK_UTF8CHAR_PTR)"C_Sign", &n), CKR_SESSION_ASYNC_NOT_SUPPORTED);
	IS(p->C_AsyncJoin(s, (CK_UTF8CHAR_PTR)"C_Sign", 1, b, 8), CKR_SESSION_ASYNC_NOT_SUPPORTED);
	return 0;
}

int run(CK_FUNCTION_LIST_3_2_PTR p, const char *configuration, const char *pin)
{
	CK_C_INITIALIZE_ARGS args = {0};
	CK_INTERFACE interfaces[3], *interface;
	CK_FUNCTION_LIST_PTR list;
	CK_INFO info;
	CK_SLOT_ID slots[4];
	CK_SLOT_INFO slot;
	CK_TOKEN_INFO token;
	CK_SESSION_HANDLE s;
	CK_SESSION_INFO session;
	CK_OBJECT_HANDLE key, copy, found[4], pair[2], derived;
	CK_ULONG n, length = 16;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_BYTE label[] = "from C", random[32] = {0}, zeros[32] = {0}, wrapped[64];
	CK_ATTRIBUTE template[] = {
		{CKA_VALUE_LEN, &length, sizeof length}, {CKA_LABEL, label, 6}, {CKA_EXTRACTABLE, &yes, 1}, {CKA_DERIVE, &yes, 1},
	};
	CK_ATTRIBUTE search[] = {{CKA_LABEL, label, 6}, {CKA_TOKEN, &no, 1}};
	CK_BYTE p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
	CK_ATTRIBUTE curve[] = {{CKA_EC_PARAMS, p256, sizeof p256}};
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_ATTRIBUTE unwrapped[] = {{CKA_CLASS, &secret, sizeof secret}, {CKA_KEY_TYPE, &aes, sizeof aes}};
	CK_ATTRIBUTE other[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_KEY_TYPE, &aes, sizeof aes}};
	CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL_PTR, 0}, make_pair = {CKM_EC_KEY_PAIR_GEN, NULL_PTR, 0};
	CK_MECHANISM kw = {CKM_AES_KEY_WRAP, NULL_PTR, 0};
	CK_KEY_DERIVATION_STRING_DATA data = {zeros, 16};
	CK_MECHANISM derive = {CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof data};
	int line;

	if ((line = nulls(p, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_CRYPTOKI_NOT_INITIALIZED)) != 0)
		return line;
	IS(p->C_Finalize(NULL_PTR), CKR_CRYPTOKI_NOT_INITIALIZED);
	args.CreateMutex = (CK_CREATEMUTEX)1;
	IS(p->C_Initialize(&args), CKR_ARGUMENTS_BAD);
	args.CreateMutex = NULL_PTR;
	args.flags = CKF_OS_LOCKING_OK;
	args.pReserved = (void *)"no path";
	IS(p->C_Initialize(&args), CKR_ARGUMENTS_BAD);
	args.pReserved = (void *)configuration;
	OK(p->C_Initialize(&args));
	if ((line = nulls(p, CKR_SLOT_ID_INVALID, CKR_SESSION_HANDLE_INVALID)) != 0)
		return line;

	OK(p->C_GetFunctionList(&list));
	CHECK(list->version.major == 2 && list->version.minor == 40);
	n = LEN(interfaces);
	OK(p->C_GetInterfaceList(interfaces, &n));
	OK(p->C_GetInterface((CK_UTF8CHAR_PTR)"PKCS 11", NULL_PTR, &interface, 0));
	CHECK(strcmp((char *)interface->pInterfaceName, "PKCS 11") == 0);
	OK(p->C_GetInfo(&info));
	n = LEN(slots);
	OK(p->C_GetSlotList(CK_TRUE, slots, &n));
	CHECK(n == 1);
	OK(p->C_GetSlotInfo(slots[0], &slot));
	OK(p->C_GetTokenInfo(slots[0], &token));
	CHECK(memcmp(token.label, "memory                          ", 32) == 0);
	IS(p->C_OpenSession(slots[0], 0, NULL_PTR, NULL_PTR, &s), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	OK(p->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL_PTR, NULL_PTR, &s));
	OK(p->C_LoginUser(s, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin), NULL_PTR, 0));
	OK(p->C_GetSessionInfo(s, &session));
	CHECK(session.state == CKS_RW_USER_FUNCTIONS);
	IS(p->C_InitToken(slots[0], NULL_PTR, 0, label), CKR_FUNCTION_NOT_SUPPORTED);
	IS(p->C_InitPIN(s, NULL_PTR, 0), CKR_FUNCTION_NOT_SUPPORTED);
	IS(p->C_SetPIN(s, (CK_UTF8CHAR_PTR)pin, strlen(pin), zeros, 2), CKR_PIN_LEN_RANGE);
	IS(p->C_GetFunctionStatus(s), CKR_FUNCTION_NOT_PARALLEL);
	IS(p->C_CancelFunction(s), CKR_FUNCTION_NOT_PARALLEL);
	IS(p->C_MessageEncryptInit(s, &make, 0), CKR_FUNCTION_NOT_SUPPORTED);
	OK(p->C_GenerateRandom(s, random, sizeof random));
	CHECK(memcmp(random, zeros, sizeof random) != 0);
	IS(p->C_SeedRandom(s, random, sizeof random), CKR_RANDOM_SEED_NOT_SUPPORTED);

	OK(p->C_GenerateKey(s, &make, template, LEN(template), &key));
	OK(p->C_GenerateKeyPair(s, &make_pair, curve, 1, NULL_PTR, 0, &pair[0], &pair[1]));
	OK(p->C_GetObjectSize(s, key, &n));
	CHECK(n > 100);
	OK(p->C_CopyObject(s, key, NULL_PTR, 0, &copy));
	OK(p->C_FindObjectsInit(s, search, LEN(search)));
	OK(p->C_FindObjects(s, found, LEN(found), &n));
	CHECK(n == 2);
	OK(p->C_FindObjectsFinal(s));
	OK(p->C_SetAttributeValue(s, copy, &template[1], 1));
	OK(p->C_DestroyObject(s, copy));
	IS(p->C_DestroyObject(s, copy), CKR_OBJECT_HANDLE_INVALID);
	n = sizeof wrapped;
	OK(p->C_WrapKey(s, &kw, key, key, wrapped, &n));
	CHECK(n == 24);
	OK(p->C_UnwrapKey(s, &kw, key, wrapped, n, unwrapped, LEN(unwrapped), &copy));
	OK(p->C_DeriveKey(s, &derive, key, other, LEN(other), &derived));
	if ((line = crypt(p, s, copy)) != 0 || (line = recover(p, s)) != 0)
		return line;
	if ((line = about(p, slots[0], s, key)) != 0 || (line = alone(p, s, key, pair[0], pair[1])) != 0)
		return line;
	if ((line = encapsulate(p, s)) != 0 || (line = unserved(p, s, key)) != 0)
		return line;
	OK(p->C_SessionCancel(s, CKF_ENCRYPT | CKF_FIND_OBJECTS));
	OK(p->C_Logout(s));
	IS(p->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)"wrong", 5), CKR_PIN_INCORRECT);
	OK(p->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin)));
	IS(p->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin)), CKR_USER_ALREADY_LOGGED_IN);
	OK(p->C_CloseSession(s));
	OK(p->C_CloseAllSessions(slots[0]));
	OK(p->C_Finalize(NULL_PTR));
	return 0;
}
