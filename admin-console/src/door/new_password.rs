//! A new password in a form.

use strongroom_wire::problem::{Code, Problem};
use zeroize::Zeroizing;

use crate::form::Sent;
use crate::pieces::Field;

/// The fewest characters of a new password, as at the command line.
const SHORTEST: usize = 8;

/// The new password of a form, typed twice.
pub(crate) fn new_password(sent: &Sent) -> Result<Zeroizing<String>, Problem> {
    let password = Zeroizing::new(sent.raw("password").to_owned());
    if password.chars().count() < SHORTEST {
        return Err(Problem::new(
            Code::Invalid,
            format!(
                "The password is too short: take at least {SHORTEST} characters, for example four or five words."
            ),
        ));
    }
    if password.as_str() != sent.raw("again") {
        return Err(Problem::new(
            Code::Invalid,
            "The two passwords are not the same.",
        ));
    }
    Ok(password)
}

/// The fields that ask for it.
pub(crate) fn password_fields() -> [Field; 2] {
    [
        Field::password("password", "New password", "new-password")
            .hint(format!("At least {SHORTEST} characters. A few words in a row are easier to remember than a short riddle."))
            .required(),
        Field::password("again", "The same once more", "new-password").required(),
    ]
}
