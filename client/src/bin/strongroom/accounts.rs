//! `accounts`.

mod certificates;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session};
use strongroom_wire::account::{
    Account, AccountKind, AccountPage, AccountState, CreateAccount, CreatedAccount, Role,
    UpdateAccount,
};
use strongroom_wire::problem::Code;

use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, spelling, spellings, spelt, table};
use crate::{Context, devices, recovery};

const HINT: &str = "accounts are managed at the appliance's administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";

/// `strongroom accounts`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Create an account, and print the one-time code with which its holder enrols.
    Create(Create),
    /// List all accounts.
    List,
    /// Show an account.
    Show {
        /// The account's name or identifier.
        account: String,
    },
    /// Keep an account from signing in, and end its sessions.
    Suspend {
        /// The account's name or identifier.
        account: String,
    },
    /// Let a suspended account sign in again.
    Activate {
        /// The account's name or identifier.
        account: String,
    },
    /// Make a new one-time code for an account.
    Invite {
        /// The account's name or identifier.
        account: String,
    },
    /// Start the recovery of an account whose holder has lost their password: they get one of two codes by it.
    Recover {
        /// The account's name or identifier.
        account: String,
    },
    /// Approve the recovery of an account that another administrator has started, in place of the holder's own recovery code.
    ApproveRecovery {
        /// The account's name or identifier.
        account: String,
    },
    /// Cancel the recovery of an account.
    CancelRecovery {
        /// The account's name or identifier.
        account: String,
    },
    /// Make a secret for a service or device that has never signed in, and print it.
    Secret {
        /// The account's name or identifier.
        account: String,
    },
    /// Look after the client certificates by which services and devices sign in.
    #[command(subcommand)]
    Certificates(certificates::Command),
    /// Give an account these roles and no others.
    Roles {
        /// The account's name or identifier.
        account: String,
        /// A role; may be given several times, or not at all.
        #[arg(long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role_parser())]
        roles: Vec<Role>,
    },
}

/// `strongroom accounts create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The account's name, usually an e-mail address.
    name: String,
    /// What it stands for.
    #[arg(long, default_value = "person", value_parser = PossibleValuesParser::new(["person", "device", "service", "group"]).try_map(|text| spelt::<AccountKind>(&text)))]
    kind: AccountKind,
    /// A role of a person; may be given several times.
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role_parser())]
    roles: Vec<Role>,
    /// Of a group: the account that manages its members.
    #[arg(long, value_name = "ACCOUNT", required_if_eq("kind", "group"))]
    manager: Option<String>,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::Create(create) => {
                let account = CreateAccount {
                    name: account_name(&create.name),
                    kind: create.kind,
                    roles: create.roles,
                    manager: create.manager.as_deref().map(account_name),
                };
                let created = session.create_account(&account).map_err(here)?;
                context
                    .output
                    .answer(&created, || describe_created(&created))
            }
            Self::List => {
                let accounts = session.all_accounts().map_err(here)?;
                let page = AccountPage {
                    accounts,
                    next: None,
                };
                context
                    .output
                    .answer(&page, || describe_all(&page.accounts))
            }
            Self::Show { account } => {
                let account = find(&session, &account)?;
                context.output.answer(&account, || describe(&account))
            }
            Self::Suspend { account } => update(
                context,
                &session,
                &account,
                &UpdateAccount {
                    state: Some(AccountState::Suspended),
                    roles: None,
                },
            ),
            Self::Activate { account } => update(
                context,
                &session,
                &account,
                &UpdateAccount {
                    state: Some(AccountState::Active),
                    roles: None,
                },
            ),
            Self::Roles { account, roles } => update(
                context,
                &session,
                &account,
                &UpdateAccount {
                    state: None,
                    roles: Some(roles),
                },
            ),
            Self::Recover { account } => {
                let account = find(&session, &account)?;
                let started = session.start_recovery(account.id).map_err(here)?;
                context.output.answer(&started, || {
                    recovery::describe_code(&started.recovery, &started.code)
                })
            }
            Self::ApproveRecovery { account } => {
                let account = find(&session, &account)?;
                let approved = session.approve_recovery(account.id).map_err(here)?;
                context.output.answer(&approved, || {
                    recovery::describe_code(&approved.recovery, &approved.code)
                })
            }
            Self::CancelRecovery { account } => {
                let account = find(&session, &account)?;
                let done = session.cancel_recovery(account.id).map_err(here)?;
                context.output.answer(&done, || {
                    format!("The recovery of {} is cancelled.", plain(&account.name))
                })
            }
            Self::Secret { account } => {
                let account = certificates::find_or_own(&session, &account)?;
                let given = session.new_secret_of(account.id).map_err(here)?;
                devices::print_secret(context, &account, given)
            }
            Self::Certificates(command) => command.run(context, &session),
            Self::Invite { account } => {
                let account = find(&session, &account)?;
                let created = session.invite_account(account.id).map_err(here)?;
                context
                    .output
                    .answer(&created, || describe_created(&created))
            }
        }
    }
}

fn update(
    context: &Context,
    session: &Session,
    account: &str,
    update: &UpdateAccount,
) -> Result<(), Failure> {
    let account = find(session, account)?;
    let changed = session.update_account(account.id, update).map_err(here)?;
    context
        .output
        .answer(&changed, || describe(&changed.account))
}

/// The account with this identifier or name.
pub(crate) fn find(session: &Session, account: &str) -> Result<Account, Failure> {
    if let Ok(id) = account.parse() {
        match session.account_with(id) {
            // A name may look like an identifier.
            Err(error) if error.code() == Some(Code::AccountNotFound) => {}
            found => return found.map_err(here),
        }
    }
    session
        .find_account(account)
        .map_err(here)?
        .ok_or_else(|| Failure::Failed(format!("there is no account named {account}")))
}

fn describe(account: &Account) -> String {
    facts(&described(account))
}

fn described(account: &Account) -> Vec<(&'static str, String)> {
    vec![
        ("account", plain(&account.name)),
        ("identifier", account.id.to_string()),
        ("kind", spelling(&account.kind)),
        ("state", spelling(&account.state)),
        ("roles", spellings(&account.roles)),
        ("created", account.created.to_string()),
    ]
}

fn describe_all(accounts: &[Account]) -> String {
    let rows: Vec<_> = accounts
        .iter()
        .map(|account| {
            [
                plain(&account.name),
                spelling(&account.kind),
                spelling(&account.state),
                spellings(&account.roles),
                account.id.to_string(),
            ]
        })
        .collect();
    table(["ACCOUNT", "KIND", "STATE", "ROLES", "IDENTIFIER"], &rows)
}

fn describe_created(created: &CreatedAccount) -> String {
    let code = created.enrolment_code.clone();
    let code = code.unwrap_or_else(|| "mailed to the address".to_owned());
    let expires = created.enrolment_expires.map(|moment| moment.to_string());
    let mut described = described(&created.account);
    described.push(("one-time code", code));
    described.push(("good until", expires.unwrap_or_default()));
    facts(&described)
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}

pub(crate) fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|text| spelt::<Role>(&text))
}
