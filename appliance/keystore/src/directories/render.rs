//! Records as SCIM resources, and back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_scim::{Resource, ResourceType};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::id::AccountId;

use super::WHAT_IT_SAYS;
use crate::act::View;
use crate::error::Error;
use crate::seal;
use crate::store::{AccountRecord, DirectoryAccountRecord};

/// The attributes of the document; the others stand in columns or come from elsewhere.
const DOCUMENT: [&str; 4] = ["userName", "name", "displayName", "emails"];

/// The kind of the accounts that a type's resources are.
pub(super) const fn kind_of(resource_type: ResourceType) -> AccountKind {
    match resource_type {
        ResourceType::User => AccountKind::Person,
        ResourceType::Group => AccountKind::Group,
    }
}

/// A user, whole but for the addresses of things, which whoever serves it knows.
pub(super) fn user(
    view: &View<'_>,
    account: &AccountRecord,
    said: &DirectoryAccountRecord,
) -> Result<Resource, Error> {
    let mut resource = plain(ResourceType::User, said)?;
    resource.insert(
        "active".to_owned(),
        (account.state != AccountState::Suspended).into(),
    );
    let mut groups = Vec::new();
    for membership in view.snapshot.memberships_of(account.id)? {
        let group = view.directory_account(membership.group)?;
        if let Some(group) = group.filter(|group| group.directory == said.directory) {
            let display = document(&group)?.remove("displayName");
            groups.push(json!({
                "value": group.account.to_string(),
                "display": display,
                "type": "direct",
            }));
        }
    }
    if !groups.is_empty() {
        groups.sort_by(|a, b| a["value"].as_str().cmp(&b["value"].as_str()));
        resource.insert("groups".to_owned(), groups.into());
    }
    add_version(&mut resource);
    Ok(resource)
}

/// A group. Without its members it has no version: that is of the whole.
pub(super) fn group(
    view: &View<'_>,
    said: &DirectoryAccountRecord,
    with_members: bool,
) -> Result<Resource, Error> {
    let mut resource = plain(ResourceType::Group, said)?;
    if with_members {
        let mut members = members(view, said.account)?;
        members.sort_unstable();
        let members: Vec<_> = members
            .into_iter()
            .map(|member| json!({ "value": member.to_string(), "type": "User" }))
            .collect();
        if !members.is_empty() {
            resource.insert("members".to_owned(), members.into());
        }
        add_version(&mut resource);
    }
    Ok(resource)
}

/// The members of a group.
pub(super) fn members(view: &View<'_>, group: AccountId) -> Result<Vec<AccountId>, Error> {
    let memberships = view.snapshot.members_of(group)?;
    Ok(memberships
        .into_iter()
        .map(|membership| membership.member)
        .collect())
}

/// The resource's entity tag.
pub(super) fn version_of(resource: &Resource) -> Option<&str> {
    resource.get("meta")?.get("version")?.as_str()
}

/// The kept attributes.
pub(super) fn document(said: &DirectoryAccountRecord) -> Result<Resource, Error> {
    serde_json::from_str(&said.document).map_err(|_| Error::Integrity(WHAT_IT_SAYS))
}

/// What a resource says, as it is kept: the name in lower case, `externalId`, the document.
pub(super) fn kept(
    resource_type: ResourceType,
    resource: &Resource,
) -> Result<(String, Option<String>, String), Error> {
    let text = |name: &str| {
        resource
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let name = match resource_type {
        ResourceType::User => text("userName"),
        ResourceType::Group => text("displayName"),
    };
    let document: Resource = DOCUMENT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), resource.get(*name)?.clone())))
        .collect();
    let document = serde_json::to_string(&document)
        .map_err(|_| Error::Internal("a resource cannot be encoded"))?;
    Ok((
        name.unwrap_or_default().to_lowercase(),
        text("externalId"),
        document,
    ))
}

fn plain(resource_type: ResourceType, said: &DirectoryAccountRecord) -> Result<Resource, Error> {
    let mut resource = document(said)?;
    resource.insert("schemas".to_owned(), json!([resource_type.schema()]));
    resource.insert("id".to_owned(), said.account.to_string().into());
    if let Some(external_id) = &said.external_id {
        resource.insert("externalId".to_owned(), external_id.clone().into());
    }
    resource.insert(
        "meta".to_owned(),
        json!({
            "resourceType": resource_type.name(),
            "created": said.created.to_string(),
            "lastModified": said.updated.to_string(),
        }),
    );
    Ok(resource)
}

/// The entity tag follows from all that the resource says, so that it changes with it whoever changed it.
fn add_version(resource: &mut Resource) {
    let text = Value::Object(resource.clone()).to_string();
    let digest = seal::sha256(text.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(&digest[..9]);
    if let Some(meta) = resource.get_mut("meta") {
        meta["version"] = format!("W/\"{tag}\"").into();
    }
}
