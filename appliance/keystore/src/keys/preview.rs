//! What would be decided for an account and a key, and by which rule. Nothing is done, no leaf is left.

use std::net::IpAddr;

use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::Right;
use strongroom_wire::policy::{Preview, PreviewQuery, RuleVerdict, Verdict};
use strongroom_wire::problem::Code;

use super::access::{self, Access, Standing};
use crate::accounts::normal_name;
use crate::act::{Caller, Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::policy::decide::{Attempt, verdicts};
use crate::store::{AccountRecord, KeyRecord};

impl Keystore {
    /// What would be decided if an account exercised a right: for oneself, or by the key's owner for anybody. Only the owner learns more
    /// than the problem code.
    pub fn preview(&self, caller: &Presented, key: KeyId, query: PreviewQuery) -> Answer<Preview> {
        let source = match query.source.as_deref().map(str::parse::<IpAddr>) {
            None => None,
            Some(Ok(source)) => Some(source.to_canonical()),
            Some(Err(_)) => {
                return Err(Error::Invalid(
                    "The source of a preview is an IPv4 or IPv6 address.".to_owned(),
                )
                .into());
            }
        };
        self.core.look(caller, |view, caller, _| {
            let record = match access::standing(view, caller.account.id, key, None)? {
                Standing::Holds(access) => access.key,
                Standing::Lost(key) => *key,
            };
            let owns = record.owner == caller.account.id;
            let account = subject(view, caller, owns, query.account.as_deref())?;
            let for_oneself = account.id == caller.account.id;
            let right = query.right.unwrap_or(Right::Release);
            let at = query.at.unwrap_or(view.now);
            let attempt = |access: &Access| Attempt {
                mechanism: query.mechanism,
                kind: account.kind,
                strength: query.sign_in.or(for_oneself.then_some(caller.strength)),
                source: source.or(for_oneself.then_some(caller.source)),
                ..access.attempt(caller, right, at)
            };
            let found = match obstacle(view, &record, &account, right)? {
                Ok(access) => {
                    let policies = access.policies(&caller.policy);
                    let attempt = attempt(&access);
                    let rules: Vec<_> = verdicts(&policies, &attempt).collect();
                    let first = |verdict| rules.iter().find(|(_, other)| *other == verdict);
                    let (mut verdict, decisive) =
                        match (first(Verdict::Refused), first(Verdict::Depends)) {
                            (Some((rule, _)), _) => (Verdict::Refused, Some(*rule)),
                            (None, Some((rule, _))) => (Verdict::Depends, Some(*rule)),
                            (None, None) => (Verdict::Allowed, None),
                        };
                    let mut decided_by = decisive.map(|name| name.to_string());
                    let just = for_oneself && caller.is_just_confirmed(view.now);
                    if verdict == Verdict::Allowed && is_authenticated(&access.key, right) && !just
                    {
                        verdict = Verdict::Depends;
                        decided_by = Some("key:authenticate-each".to_owned());
                    }
                    Found {
                        verdict,
                        code: decisive
                            .filter(|_| verdict == Verdict::Refused)
                            .map(|name| name.rule.code()),
                        decided_by,
                        rules: rules
                            .iter()
                            .map(|(name, verdict)| RuleVerdict {
                                rule: name.to_string(),
                                verdict: *verdict,
                            })
                            .collect(),
                    }
                }
                Err((code, decided_by)) => Found {
                    verdict: Verdict::Refused,
                    code: Some(code),
                    decided_by: Some(decided_by.to_owned()),
                    rules: Vec::new(),
                },
            };
            Ok(Preview {
                account: account.id,
                account_name: account.name.clone(),
                right,
                at,
                verdict: found.verdict,
                code: found.code,
                decided_by: found.decided_by.filter(|_| owns),
                rules: if owns { found.rules } else { Vec::new() },
            })
        })
    }
}

struct Found {
    verdict: Verdict,
    code: Option<Code>,
    decided_by: Option<String>,
    rules: Vec<RuleVerdict>,
}

/// Whether who exercises this right has to show anew who they are.
fn is_authenticated(key: &KeyRecord, right: Right) -> bool {
    let with_private_key = match right {
        Right::Decrypt | Right::Sign | Right::Unwrap | Right::Derive => true,
        Right::Encrypt | Right::Verify | Right::Wrap => !key.algorithm.is_pair(),
        Right::Release | Right::Share | Right::Destroy | Right::Administer => false,
    };
    key.traits.authenticate_each && with_private_key
}

/// Whom the preview is about: the caller, or for the key's owner anybody.
fn subject(
    view: &View<'_>,
    caller: &Caller,
    owns: bool,
    name: Option<&str>,
) -> Result<AccountRecord, Error> {
    match name.map(normal_name) {
        None => Ok(caller.account.clone()),
        Some(name) if name == caller.account.name => Ok(caller.account.clone()),
        Some(name) if owns => view.require_account(&name),
        Some(_) => Err(Error::NotPermitted("to own the key")),
    }
}

/// The access that the policies are held against, or what is in the way before them: its problem code, and its name for the owner.
fn obstacle(
    view: &View<'_>,
    key: &KeyRecord,
    account: &AccountRecord,
    right: Right,
) -> Result<Result<Access, (Code, &'static str)>, Error> {
    if account.state != AccountState::Active || account.kind == AccountKind::Group {
        return Ok(Err((Code::NotSignedIn, "account:state")));
    }
    let standing = match access::standing(view, account.id, key.id, Some(right)) {
        Err(Error::KeyNotFound) => return Ok(Err((Code::KeyNotFound, "grant:none"))),
        standing => standing?,
    };
    let access = match standing.with(right) {
        Ok(access) => access,
        Err(error) => {
            let name = match error {
                Error::KeyDestroyed => "key:state",
                Error::GrantRevoked => "grant:revoked",
                _ => "grant:rights",
            };
            return Ok(Err((error.code(), name)));
        }
    };
    let is_use = !matches!(right, Right::Share | Right::Destroy | Right::Administer);
    let protects = matches!(
        right,
        Right::Encrypt | Right::Sign | Right::Wrap | Right::Derive
    );
    let allowed = if protects {
        access.check_protects()
    } else {
        access.check_state(account.id == key.owner)
    };
    if is_use && let Err(error) = allowed {
        return Ok(Err((error.code(), "key:state")));
    }
    Ok(Ok(access))
}
