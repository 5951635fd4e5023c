//! PATCH (RFC 7644 section 3.5.2), also as Entra ID and Okta spell it: operations with capitals, values of text where the schema has true
//! and false, names with paths where an operation has no path of its own, names of what the appliance alone sets.
//!
//! Here is which attribute an operation is about; `change` does it to the attribute's values.

mod change;

use scim_v2::filter::{AttrPath, PatchPath};
use serde_json::Value;

use crate::filter::{LONGEST, is_own};
use crate::resource::{check_required, is_password, no_passwords};
use crate::schema::{Attribute, Mutability, ResourceType, find, passes_over};
use crate::{Resource, ScimError, ScimType};

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations of one request.
const MOST_OPERATIONS: usize = 1000;

/// The operations of a PATCH, in their order.
#[derive(Debug, Clone)]
pub struct Patch(Vec<Operation>);

#[derive(Debug, Clone)]
struct Operation {
    verb: Verb,
    path: Option<PatchPath>,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

impl Patch {
    /// Reads the body of a PATCH.
    ///
    /// # Errors
    ///
    /// [`ScimError`] when it is none, or a path cannot be read.
    pub fn parse(body: &Value) -> Result<Self, ScimError> {
        let member = |name: &str| {
            let members = body.as_object()?;
            let mut members = members.iter();
            let found = members.find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        };
        let claims = member("schemas")
            .and_then(Value::as_array)
            .is_some_and(|schemas| schemas.iter().any(|schema| schema == SCHEMA));
        let operations = member("Operations").and_then(Value::as_array);
        let (true, Some(operations)) = (claims, operations) else {
            return Err(ScimError::syntax(format!(
                "The body of a PATCH has the schema {SCHEMA} and Operations."
            )));
        };
        if operations.is_empty() || operations.len() > MOST_OPERATIONS {
            return Err(ScimError::syntax(format!(
                "A PATCH has 1 to {MOST_OPERATIONS} operations."
            )));
        }
        operations
            .iter()
            .map(Operation::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What it makes of a resource. `resource` is whole, with what the appliance alone sets.
    ///
    /// # Errors
    ///
    /// [`ScimError`] when an operation cannot be done; `resource` is then of no more use.
    pub fn apply(
        &self,
        resource_type: ResourceType,
        resource: &mut Resource,
    ) -> Result<(), ScimError> {
        for operation in &self.0 {
            operation.apply(resource_type, resource)?;
        }
        check_required(resource_type, resource)
    }
}

impl Operation {
    fn parse(operation: &Value) -> Result<Self, ScimError> {
        let member = |name: &str| {
            let members = operation.as_object()?;
            let mut members = members.iter();
            let found = members.find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        };
        let verb = match member("op").and_then(Value::as_str) {
            Some(verb) if verb.eq_ignore_ascii_case("add") => Verb::Add,
            Some(verb) if verb.eq_ignore_ascii_case("replace") => Verb::Replace,
            Some(verb) if verb.eq_ignore_ascii_case("remove") => Verb::Remove,
            _ => {
                return Err(ScimError::syntax(
                    "An operation's op is add, replace or remove.",
                ));
            }
        };
        let path = match member("path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.trim().is_empty() => None,
            Some(Value::String(path)) => Some(parse_path(path)?),
            Some(_) => return Err(invalid_path()),
        };
        let value = member("value").cloned().unwrap_or_default();
        if verb == Verb::Remove && path.is_none() {
            return Err(ScimError::new(
                ScimType::NoTarget,
                "An operation that removes has a path.",
            ));
        }
        Ok(Self { verb, path, value })
    }

    fn apply(&self, resource_type: ResourceType, resource: &mut Resource) -> Result<(), ScimError> {
        if let Some(path) = &self.path {
            return apply_at(resource_type, resource, self.verb, path, &self.value);
        }
        let Value::Object(members) = &self.value else {
            return Err(ScimError::value(
                "An operation without a path has an object as its value.",
            ));
        };
        for (name, value) in members {
            // An extension's attributes stand in an object under its schema.
            if name.eq_ignore_ascii_case(resource_type.schema()) {
                let nested = Self {
                    value: value.clone(),
                    ..self.clone()
                };
                nested.apply(resource_type, resource)?;
            } else if !is_extension(name) {
                let path = parse_path(name)?;
                // Okta repeats the identifier beside what changes. As in a PUT, what the appliance alone sets is passed over.
                if !is_read_only(resource_type, &path) {
                    apply_at(resource_type, resource, self.verb, &path, value)?;
                }
            }
        }
        Ok(())
    }
}

fn invalid_path() -> ScimError {
    ScimError::new(
        ScimType::InvalidPath,
        "The path of an operation cannot be read, or names no attribute of the resource.",
    )
}

fn parse_path(path: &str) -> Result<PatchPath, ScimError> {
    if path.len() > LONGEST {
        return Err(invalid_path());
    }
    path.parse().map_err(|_| invalid_path())
}

/// Whether a path is that of an attribute which the appliance alone sets.
fn is_read_only(resource_type: ResourceType, path: &PatchPath) -> bool {
    let PatchPath::Attr(path) = path else {
        return false;
    };
    let attribute = resource_type.attribute(&path.name);
    attribute.is_some_and(|attribute| attribute.mutability == Mutability::ReadOnly)
}

/// Whether a name is that of a schema which is none of ours.
fn is_extension(name: &str) -> bool {
    name.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        && !ResourceType::ALL.iter().any(|own| {
            name.get(..own.schema().len())
                .is_some_and(|start| start.eq_ignore_ascii_case(own.schema()))
        })
}

fn apply_at(
    resource_type: ResourceType,
    resource: &mut Resource,
    verb: Verb,
    path: &PatchPath,
    value: &Value,
) -> Result<(), ScimError> {
    let (attribute_path, filter, sub) = match path {
        PatchPath::Attr(path) => (path, None, path.sub_attr.as_deref()),
        PatchPath::Value(path) => (&path.attr, Some(&path.filter), path.sub_attr.as_deref()),
    };
    let Some(attribute) = target(resource_type, attribute_path)? else {
        return Ok(());
    };
    if attribute.mutability == Mutability::ReadOnly {
        return Err(read_only(attribute));
    }
    let part = sub
        .map(|sub| find(attribute.parts(), sub).ok_or_else(invalid_path))
        .transpose()?;
    if let Some(part) = part
        && part.mutability == Mutability::ReadOnly
    {
        return Err(read_only(part));
    }
    match filter {
        Some(_) if !attribute.multiple => Err(invalid_path()),
        Some(filter) => change::in_values(resource, verb, attribute, filter, part, value),
        None => match part {
            None => change::whole(resource, verb, attribute, value),
            Some(part) if attribute.multiple => {
                change::in_all(resource, verb, attribute, part, value)
            }
            Some(part) => change::in_object(resource, verb, attribute, part, value),
        },
    }
}

/// The attribute of a path; none where it is known to be of no use here.
fn target(
    resource_type: ResourceType,
    path: &AttrPath,
) -> Result<Option<&'static Attribute>, ScimError> {
    if is_password(&path.name) {
        return Err(no_passwords());
    }
    if !is_own(resource_type, path) || passes_over(&path.name) {
        return Ok(None);
    }
    let attribute = resource_type.attribute(&path.name);
    attribute.ok_or_else(invalid_path).map(Some)
}

fn read_only(attribute: &Attribute) -> ScimError {
    ScimError::new(
        ScimType::Mutability,
        format!("The attribute {} cannot be set.", attribute.name),
    )
}

#[cfg(test)]
mod tests;
