//! The attributes of users and groups (RFC 7643 sections 4.1 and 4.2), as far as they are kept, and what publishes them
//! (RFC 7643 sections 5 to 7).

use serde_json::{Value, json};

use crate::BASE;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceType {
    /// A person.
    User,
    /// A group of people.
    Group,
}

/// The form of an attribute's values (RFC 7643 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A moment, as RFC 3339 writes it.
    Moment,
    /// A link to another resource.
    Reference,
    /// An object with these attributes.
    Complex(&'static [Attribute]),
}

/// Who can set an attribute (RFC 7643 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// The appliance alone: what a client sends for it is passed over.
    ReadOnly,
    /// The client, at any time.
    ReadWrite,
    /// The client, when the value is made.
    Immutable,
}

/// An attribute.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the characteristics that RFC 7643 section 7 lists"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, whose case does not count.
    pub name: &'static str,
    /// The form of its values.
    pub kind: Kind,
    /// Whether it has several.
    pub multiple: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether the case of its letters counts when values are compared.
    pub case_exact: bool,
    /// Who can set it.
    pub mutability: Mutability,
    /// Whether no two resources have the same.
    pub unique: bool,
    /// Values that it usually has.
    pub usual: &'static [&'static str],
    /// What it means.
    pub description: &'static str,
}

/// The schema of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

const fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Kind::Text,
        multiple: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        unique: false,
        usual: &[],
        description,
    }
}

const fn read_only(mut attribute: Attribute) -> Attribute {
    attribute.mutability = Mutability::ReadOnly;
    attribute
}

const fn immutable(mut attribute: Attribute) -> Attribute {
    attribute.mutability = Mutability::Immutable;
    attribute
}

const fn required(mut attribute: Attribute) -> Attribute {
    attribute.required = true;
    attribute
}

const fn unique(mut attribute: Attribute) -> Attribute {
    attribute.unique = true;
    attribute
}

const fn exact(mut attribute: Attribute) -> Attribute {
    attribute.case_exact = true;
    attribute
}

const fn of(mut attribute: Attribute, kind: Kind) -> Attribute {
    attribute.kind = kind;
    attribute
}

const fn usually(mut attribute: Attribute, usual: &'static [&'static str]) -> Attribute {
    attribute.usual = usual;
    attribute
}

const fn multiple(mut attribute: Attribute) -> Attribute {
    attribute.multiple = true;
    attribute
}

const META: &[Attribute] = &[
    read_only(exact(text(
        "resourceType",
        "The name of the resource's type.",
    ))),
    read_only(of(
        text("created", "When the resource was made."),
        Kind::Moment,
    )),
    read_only(of(
        text("lastModified", "When the directory last changed it."),
        Kind::Moment,
    )),
    read_only(exact(of(text("location", "Where it is."), Kind::Reference))),
    read_only(exact(text("version", "Its entity tag."))),
];

/// What every resource has (RFC 7643 section 3.1). Not in the schemas that are published: those are of the rest.
const COMMON: &[Attribute] = &[
    multiple(read_only(exact(of(
        text("schemas", "The schemas of what it says."),
        Kind::Reference,
    )))),
    read_only(exact(text("id", "The account's identifier."))),
    unique(exact(text(
        "externalId",
        "The directory's own identifier of it.",
    ))),
    read_only(of(text("meta", "About the resource."), Kind::Complex(META))),
];

const NAME: &[Attribute] = &[
    text("formatted", "The whole name, as it is written."),
    text("familyName", "The family name."),
    text("givenName", "The given name."),
    text("middleName", "Middle names."),
    text("honorificPrefix", "What stands before the name."),
    text("honorificSuffix", "What stands after the name."),
];

const EMAILS: &[Attribute] = &[
    text("value", "The address."),
    text("display", "The address, as it is shown."),
    usually(
        text("type", "What the address is used for."),
        &["work", "home", "other"],
    ),
    of(
        text("primary", "Whether mail goes to this one first."),
        Kind::Boolean,
    ),
];

const GROUPS: &[Attribute] = &[
    read_only(exact(text("value", "The group's identifier."))),
    read_only(exact(of(
        text("$ref", "Where the group is."),
        Kind::Reference,
    ))),
    read_only(text("display", "The group's name.")),
    usually(
        read_only(text("type", "Always direct: groups have no groups.")),
        &["direct"],
    ),
];

const MEMBERS: &[Attribute] = &[
    immutable(exact(text("value", "The user's identifier."))),
    immutable(exact(of(
        text("$ref", "Where the user is."),
        Kind::Reference,
    ))),
    usually(
        immutable(text("type", "Always User: groups have no groups.")),
        &["User"],
    ),
];

const USERS: &[Attribute] = &[
    unique(required(text(
        "userName",
        "The user's name in the directory; at first the name to sign in with, too. 1 to 254 printable ASCII characters without spaces.",
    ))),
    of(text("name", "The user's name."), Kind::Complex(NAME)),
    text("displayName", "The user's name, as it is shown."),
    multiple(of(
        text("emails", "The user's e-mail addresses."),
        Kind::Complex(EMAILS),
    )),
    of(
        text(
            "active",
            "Whether the user may sign in. False ends the user's sessions.",
        ),
        Kind::Boolean,
    ),
    multiple(read_only(of(
        text("groups", "The groups of this directory that have the user."),
        Kind::Complex(GROUPS),
    ))),
];

const GROUPS_OWN: &[Attribute] = &[
    required(text("displayName", "The group's name.")),
    multiple(of(
        text(
            "members",
            "The users in the group: users of this directory.",
        ),
        Kind::Complex(MEMBERS),
    )),
];

/// Attributes of RFC 7643 that are not kept. What a directory sends for them is passed over, so that the mapping that it came with works.
const NOT_KEPT: &[&str] = &[
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "phoneNumbers",
    "ims",
    "photos",
    "addresses",
    "entitlements",
    "roles",
    "x509Certificates",
];

impl ResourceType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The end of its endpoint's address.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The identifier of its schema.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::User => USER,
            Self::Group => GROUP,
        }
    }

    /// Its attribute of this name.
    pub(crate) fn attribute(self, name: &str) -> Option<&'static Attribute> {
        find(COMMON, name).or_else(|| find(self.attributes(), name))
    }

    /// Its own attributes.
    pub(crate) const fn attributes(self) -> &'static [Attribute] {
        match self {
            Self::User => USERS,
            Self::Group => GROUPS_OWN,
        }
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'static Attribute> {
        self.attributes()
            .iter()
            .filter(|attribute| attribute.required)
    }

    const fn description(self) -> &'static str {
        match self {
            Self::User => "A person's account.",
            Self::Group => "A group, whose members open what is shared with it.",
        }
    }
}

/// Whether an attribute of this name is known to be of no use here.
pub(crate) fn passes_over(name: &str) -> bool {
    name.eq_ignore_ascii_case("schemas")
        || NOT_KEPT
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name))
}

pub(crate) fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl Attribute {
    /// Its sub-attributes.
    pub(crate) const fn parts(&self) -> &'static [Attribute] {
        match self.kind {
            Kind::Complex(parts) => parts,
            _ => &[],
        }
    }

    /// As a schema says it (RFC 7643 section 7).
    fn published(&self) -> Value {
        let kind = match self.kind {
            Kind::Text => "string",
            Kind::Boolean => "boolean",
            Kind::Moment => "dateTime",
            Kind::Reference => "reference",
            Kind::Complex(_) => "complex",
        };
        let mutability = match self.mutability {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
        };
        let mut published = json!({
            "name": self.name,
            "type": kind,
            "multiValued": self.multiple,
            "description": self.description,
            "required": self.required,
            "caseExact": self.case_exact,
            "mutability": mutability,
            "returned": "default",
            "uniqueness": if self.unique { "server" } else { "none" },
        });
        if !self.usual.is_empty() {
            published["canonicalValues"] = json!(self.usual);
        }
        if self.kind == Kind::Reference {
            published["referenceTypes"] = json!(["User", "Group"]);
        }
        if let Kind::Complex(parts) = self.kind {
            published["subAttributes"] = parts.iter().map(Self::published).collect();
        }
        published
    }
}

/// A type's schema (RFC 7643 section 7). `base` is what stands before [`BASE`] in addresses.
#[must_use]
pub fn schema(resource_type: ResourceType, base: &str) -> Value {
    let id = resource_type.schema();
    let attributes: Value = resource_type
        .attributes()
        .iter()
        .map(Attribute::published)
        .collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": id,
        "name": resource_type.name(),
        "description": resource_type.description(),
        "attributes": attributes,
        "meta": { "resourceType": "Schema", "location": format!("{base}{BASE}/Schemas/{id}") },
    })
}

/// A type's description (RFC 7643 section 6).
#[must_use]
pub fn resource_type(resource_type: ResourceType, base: &str) -> Value {
    let name = resource_type.name();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": format!("/{}", resource_type.endpoint()),
        "description": resource_type.description(),
        "schema": resource_type.schema(),
        "meta": { "resourceType": "ResourceType", "location": format!("{base}{BASE}/ResourceTypes/{name}") },
    })
}

/// What the service does of the standard (RFC 7643 section 5); `most` is the most resources of one page.
#[must_use]
pub fn service_provider_config(base: &str, most: u64) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": most },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "The token that `strongroom directory add` prints, in the header Authorization (RFC 6750).",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}{BASE}/ServiceProviderConfig") },
    })
}

#[cfg(test)]
mod tests;
