//! `groups`.

use clap::{Args, Subcommand};
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session};
use strongroom_wire::account::{AddMember, Membership};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;

use crate::Context;
use crate::failure::{Failure, elsewhere};
use crate::output::{plain, spelling, table};

const HINT: &str = "members of groups are managed at the appliance's client address, and this home is signed in elsewhere: \
                    sign in there with strongroom login ACCOUNT --server URL, in another --home";

/// `strongroom groups`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List a group's members.
    Members {
        /// The group's identifier.
        group: String,
    },
    /// Add a member.
    Add(Add),
    /// Remove a member.
    Remove {
        /// The group's identifier.
        group: String,
        /// The member's name.
        account: String,
    },
}

/// `strongroom groups add`.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The group's identifier.
    group: String,
    /// The account's name.
    account: String,
    /// The account also adds and removes members.
    #[arg(long)]
    manager: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::Members { group } => {
                let group = identify(&session, &group)?;
                let members = session.group_members(group).map_err(here)?;
                context.output.answer(&members, || {
                    let rows: Vec<_> = members
                        .members
                        .iter()
                        .map(|member| [plain(&member.name), spelling(&member.membership)])
                        .collect();
                    table(["ACCOUNT", "AS"], &rows)
                })
            }
            Self::Add(add) => {
                let group = identify(&session, &add.group)?;
                let member = AddMember {
                    account: account_name(&add.account),
                    membership: if add.manager {
                        Membership::Manager
                    } else {
                        Membership::Member
                    },
                };
                let done = session.add_member(group, &member).map_err(here)?;
                context.output.answer(&done, || {
                    format!(
                        "{} is a {} of the group now.",
                        plain(&member.account),
                        spelling(&member.membership)
                    )
                })
            }
            Self::Remove { group, account } => {
                let group = identify(&session, &group)?;
                let name = account_name(&account);
                let members = session.group_members(group).map_err(here)?.members;
                let member = members.into_iter().find(|member| member.name == name);
                let member = member
                    .ok_or_else(|| Failure::Failed(format!("{name} is no member of the group")))?;
                let done = session.remove_member(group, member.account).map_err(here)?;
                context
                    .output
                    .answer(&done, || format!("{name} is no member of the group now."))
            }
        }
    }
}

/// The group's identifier; a name is looked up where the appliance lets the caller.
fn identify(session: &Session, group: &str) -> Result<AccountId, Failure> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    match session.find_account(group) {
        Ok(Some(account)) => Ok(account.id),
        Ok(None) => Err(Failure::Failed(format!("there is no group named {group}"))),
        Err(error)
            if matches!(
                error.code(),
                Some(Code::NoSuchRoute | Code::MethodNotAllowed | Code::NotPermitted)
            ) =>
        {
            Err(Failure::Usage(format!(
                "{group} is no identifier, and only administrators may look names up: name the group by its identifier"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
