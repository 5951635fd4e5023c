//! What a directory reads: its own users and groups, and nobody else.

use strongroom_scim::filter::{Filter, Lookup};
use strongroom_scim::{Resource, ResourceType};
use strongroom_wire::id::AccountId;

use super::render::{self, kind_of};
use super::{DirectoryCall, WHAT_IT_SAYS};
use crate::act::View;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::{DirectoryAccountRecord, DirectoryRecord};

/// How many records are read at a time.
const CHUNK: u64 = 1000;

/// Which resources to find.
#[derive(Debug, Clone)]
pub struct Find {
    /// Of which type.
    pub resource_type: ResourceType,
    /// Only those that this chooses.
    pub filter: Option<Filter>,
    /// How many to pass over.
    pub after: u64,
    /// How many to answer.
    pub limit: u64,
    /// Whether groups are wanted with their members.
    pub with_members: bool,
}

impl Keystore {
    /// Refuses whoever is no directory.
    pub fn check_directory(&self, call: &DirectoryCall) -> Answer<()> {
        self.core.read(call, |_, _| Ok(()))
    }

    /// One of the directory's users or groups.
    pub fn directory_resource(
        &self,
        call: &DirectoryCall,
        resource_type: ResourceType,
        id: AccountId,
        with_members: bool,
    ) -> Answer<Resource> {
        self.core.read(call, |view, directory| {
            let (_, said) = view.managed(directory, kind_of(resource_type), id)?;
            resource(view, resource_type, &said, with_members)
        })
    }

    /// The directory's users or groups, and how many there are in all.
    pub fn directory_resources(
        &self,
        call: &DirectoryCall,
        find: &Find,
    ) -> Answer<(u64, Vec<Resource>)> {
        self.core
            .read(call, |view, directory| search(view, directory, find))
    }
}

fn search(
    view: &View<'_>,
    directory: &DirectoryRecord,
    find: &Find,
) -> Result<(u64, Vec<Resource>), Error> {
    let (resource_type, kind) = (find.resource_type, kind_of(find.resource_type));
    let check = |said| view.domain.check_directory_account(said);
    let Some(filter) = &find.filter else {
        let total = view.snapshot.count_directory_accounts(directory.id, kind)?;
        let page = view
            .snapshot
            .directory_accounts(directory.id, kind, find.after, find.limit)?;
        let page = page
            .into_iter()
            .map(|said| resource(view, resource_type, &check(said)?, find.with_members))
            .collect::<Result<_, Error>>()?;
        return Ok((total, page));
    };
    let mut found = Found {
        find,
        filter,
        // What the filter looks at has to be there.
        with_members: find.with_members || filter.mentions("members"),
        total: 0,
        page: Vec::new(),
    };
    match filter.lookup() {
        Some(lookup) => {
            for said in look_up(view, directory, resource_type, lookup)? {
                found.look_at(view, &check(said)?)?;
            }
        }
        None => {
            for chunk in 0.. {
                let records =
                    view.snapshot
                        .directory_accounts(directory.id, kind, chunk * CHUNK, CHUNK)?;
                let last = (records.len() as u64) < CHUNK;
                for said in records {
                    found.look_at(view, &check(said)?)?;
                }
                if last {
                    break;
                }
            }
        }
    }
    Ok((found.total, found.page))
}

struct Found<'a> {
    find: &'a Find,
    filter: &'a Filter,
    with_members: bool,
    total: u64,
    page: Vec<Resource>,
}

impl Found<'_> {
    fn look_at(&mut self, view: &View<'_>, said: &DirectoryAccountRecord) -> Result<(), Error> {
        let resource = resource(view, self.find.resource_type, said, self.with_members)?;
        if self.filter.chooses(&resource)? {
            self.total += 1;
            let wanted = self.find.after < self.total;
            if wanted && (self.page.len() as u64) < self.find.limit {
                self.page.push(resource);
            }
        }
        Ok(())
    }
}

/// The records that a look-up can be about; the filter decides.
fn look_up(
    view: &View<'_>,
    directory: &DirectoryRecord,
    resource_type: ResourceType,
    lookup: Lookup,
) -> Result<Vec<DirectoryAccountRecord>, Error> {
    let kind = kind_of(resource_type);
    Ok(match lookup {
        Lookup::Id(id) => {
            let said = match id.parse() {
                Ok(id) => view.snapshot.directory_account(id)?,
                Err(_) => None,
            };
            said.into_iter()
                .filter(|said| said.directory == directory.id && said.kind == kind)
                .collect()
        }
        Lookup::Name(name) => {
            view.snapshot
                .directory_accounts_named(directory.id, kind, &name.to_lowercase())?
        }
        Lookup::ExternalId(external_id) => {
            view.snapshot
                .directory_accounts_known_as(directory.id, kind, &external_id)?
        }
    })
}

pub(super) fn resource(
    view: &View<'_>,
    resource_type: ResourceType,
    said: &DirectoryAccountRecord,
    with_members: bool,
) -> Result<Resource, Error> {
    match resource_type {
        ResourceType::Group => render::group(view, said, with_members),
        ResourceType::User => {
            let account = view
                .account(said.account)?
                .ok_or(Error::Integrity(WHAT_IT_SAYS))?;
            render::user(view, &account, said)
        }
    }
}
