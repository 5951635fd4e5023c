/* A module that hands on the interface it was given: so that an application that loads modules by their path gets the one under test, with the
 * token of the tests behind it. */

#include "pkcs11.h"

static CK_INTERFACE_PTR interface;

void bridge_set(CK_INTERFACE_PTR given)
{
	interface = given;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR place)
{
	return ((CK_FUNCTION_LIST_3_0_PTR)interface->pFunctionList)->C_GetFunctionList(place);
}

CK_RV C_GetInterface(CK_UTF8CHAR_PTR name, CK_VERSION_PTR version, CK_INTERFACE_PTR_PTR place, CK_FLAGS flags)
{
	(void)name;
	(void)version;
	(void)flags;
	*place = interface;
	return CKR_OK;
}
