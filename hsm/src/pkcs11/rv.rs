//! PKCS#11 return codes: their names, and what each means for us.

use std::fmt::Write as _;

use cryptoki::error::{Error, RvError};

use crate::HsmError;

/// What becomes of the session on which a call failed, and of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// The session is sound: the call itself was at fault.
    Keep,
    /// The login state is gone: log in and repeat.
    LogIn,
    /// A key handle is no longer valid: find the key and repeat.
    FindAgain,
    /// The session may be in an undefined state: close it.
    Discard,
    /// The session, and with it probably every other, is dead: close all, and repeat on a new one.
    Reconnect,
}

pub(super) fn reaction(error: &Error) -> Reaction {
    let Error::Pkcs11(code, _) = error else {
        return Reaction::Discard;
    };
    match code {
        RvError::UserNotLoggedIn => Reaction::LogIn,
        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::WrappingKeyHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid => Reaction::FindAgain,
        RvError::SessionClosed
        | RvError::SessionHandleInvalid
        | RvError::DeviceError
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::CryptokiNotInitialized => Reaction::Reconnect,
        RvError::GeneralError
        | RvError::FunctionFailed
        | RvError::FunctionCanceled
        | RvError::Cancel
        | RvError::HostMemory
        | RvError::DeviceMemory
        | RvError::OperationActive
        | RvError::OperationNotInitialized
        | RvError::VendorDefined(_)
        | RvError::UnknownErrorCode(_) => Reaction::Discard,
        _ => Reaction::Keep,
    }
}

/// Whether a failed `C_UnwrapKey` says by itself that the wrapped key is at fault.
pub(super) fn rejects_wrapped_key(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::WrappedKeyInvalid
                | RvError::WrappedKeyLenRange
                | RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange,
            _
        )
    )
}

/// Whether a failed `C_UnwrapKey` may mean that the wrapped key is at fault: `SoftHSM` and some HSMs say no more
/// than that it failed, Kryoptic that the device did.
pub(super) fn may_reject_wrapped_key(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::DeviceError
                | RvError::DataInvalid
                | RvError::VendorDefined(_),
            _
        )
    )
}

/// Whether a token refused a template for an attribute that it does not know.
pub(super) fn rejects_attribute(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::TemplateInconsistent,
            _
        )
    )
}

/// Whether a module failed without saying why.
pub(super) fn gives_no_reason(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _)
    )
}

/// Whether a token may have refused a key pair for the way in which the curve was named.
pub(super) fn rejects_curve_name(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::CurveNotSupported
                | RvError::DomainParamsInvalid
                | RvError::AttributeValueInvalid
                | RvError::TemplateInconsistent
                | RvError::GeneralError
                | RvError::FunctionFailed,
            _
        )
    )
}

/// The function and its code, such as `C_UnwrapKey answered CKR_WRAPPED_KEY_INVALID`.
pub(super) fn answer(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("C_{function:?} answered {}", name(*code)),
        other => other.to_string(),
    }
}

/// The error that an operator sees. `token` is the token's full name, or the module's where no token is known.
pub(super) fn explain(token: &str, error: &Error) -> HsmError {
    let token = token.to_owned();
    let Error::Pkcs11(code, function) = error else {
        return HsmError::Unavailable {
            token,
            function: "the PKCS#11 module".to_owned(),
            code: error.to_string(),
        };
    };
    let (function, code_name) = (format!("C_{function:?}"), name(*code));
    match code {
        RvError::PinIncorrect => HsmError::PinIncorrect { token },
        RvError::PinLocked => HsmError::PinLocked { token },
        RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinExpired
        | RvError::PinTooWeak
        | RvError::UserPinNotInitialized => HsmError::PinUnusable {
            token,
            code: code_name,
        },
        _ if reaction(error) == Reaction::Keep && !is_transient(*code) => HsmError::Refused {
            token,
            function,
            code: code_name,
        },
        _ => HsmError::Unavailable {
            token,
            function,
            code: code_name,
        },
    }
}

/// The code as the standard writes it, such as `CKR_PIN_INCORRECT`.
pub(super) fn name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(value) => return format!("CKR_VENDOR_DEFINED 0x{value:08x}"),
        RvError::UnknownErrorCode(value) => return format!("unknown code 0x{value:08x}"),
        _ => {}
    }
    let mut name = "CKR".to_owned();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        // Writing to a string cannot fail.
        let _ = write!(name, "{}", c.to_ascii_uppercase());
    }
    name
}

/// Codes that leave the session sound but pass with time.
fn is_transient(code: RvError) -> bool {
    matches!(
        code,
        RvError::SessionCount | RvError::FunctionRejected | RvError::UserTooManyTypes
    )
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn codes_have_the_names_of_the_standard() {
        for (code, expected) in [
            (RvError::PinIncorrect, "CKR_PIN_INCORRECT"),
            (RvError::CantLock, "CKR_CANT_LOCK"),
            (RvError::RandomNoRng, "CKR_RANDOM_NO_RNG"),
            (
                RvError::SessionReadWriteSoExists,
                "CKR_SESSION_READ_WRITE_SO_EXISTS",
            ),
            (
                RvError::VendorDefined(0x8000_0042),
                "CKR_VENDOR_DEFINED 0x80000042",
            ),
        ] {
            assert_eq!(name(code), expected);
        }
    }

    /// `SoftHSM` never locks a PIN, so that this mapping is held by a unit test.
    #[test]
    fn a_locked_pin_says_what_to_do() {
        let error = explain("t", &Error::Pkcs11(RvError::PinLocked, Function::Login));
        assert_eq!(
            error,
            HsmError::PinLocked {
                token: "t".to_owned()
            }
        );
        let sentence = error.to_string();
        assert!(sentence.contains("CKR_PIN_LOCKED") && sentence.contains("security officer"));
    }

    #[test]
    fn failures_are_told_from_refusals() {
        let explained = |code| explain("t", &Error::Pkcs11(code, Function::WrapKey));
        assert!(matches!(
            explained(RvError::DeviceRemoved),
            HsmError::Unavailable { function, code, .. } if function == "C_WrapKey" && code == "CKR_DEVICE_REMOVED"
        ));
        assert!(matches!(
            explained(RvError::SessionCount),
            HsmError::Unavailable { .. }
        ));
        assert!(matches!(
            explained(RvError::KeyFunctionNotPermitted),
            HsmError::Refused { .. }
        ));
    }
}
