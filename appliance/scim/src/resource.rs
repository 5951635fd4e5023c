//! A client's JSON brought into the form of the tables, and what of a resource an answer shows.

use std::collections::HashSet;

use serde_json::Value;

use crate::schema::{Attribute, Kind, Mutability, ResourceType, find};
use crate::{Resource, ScimError, ScimType};

/// The longest text of an attribute, in bytes.
const LONGEST_TEXT: usize = 1024;
/// The most values of an attribute other than a group's members.
pub(crate) const MOST_VALUES: usize = 64;

/// Reads the body of a POST or PUT: the attributes that a client sets, spelt as in the table. What the appliance alone sets, and
/// what is not kept, is passed over.
///
/// # Errors
///
/// [`ScimError`] when the body is no such resource or has a password.
pub fn read(resource_type: ResourceType, body: &Value) -> Result<Resource, ScimError> {
    let Value::Object(members) = body else {
        return Err(ScimError::syntax("The body must be a JSON object."));
    };
    let claims = members
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("schemas"))
        .and_then(|(_, schemas)| schemas.as_array())
        .is_some_and(|schemas| {
            schemas.iter().any(|schema| {
                schema
                    .as_str()
                    .is_some_and(|schema| schema.eq_ignore_ascii_case(resource_type.schema()))
            })
        });
    if !claims {
        return Err(ScimError::syntax(format!(
            "The member schemas must name {}.",
            resource_type.schema()
        )));
    }
    let mut resource = Resource::new();
    for (name, value) in members {
        if is_password(name) {
            return Err(no_passwords());
        }
        let Some(attribute) = resource_type.attribute(name) else {
            continue;
        };
        if attribute.mutability == Mutability::ReadOnly {
            continue;
        }
        if let Some(value) = normal(attribute, value)? {
            resource.insert(attribute.name.to_owned(), value);
        }
    }
    check_required(resource_type, &resource)?;
    Ok(resource)
}

/// Refuses a resource that lacks what it must have.
pub(crate) fn check_required(
    resource_type: ResourceType,
    resource: &Resource,
) -> Result<(), ScimError> {
    match resource_type
        .required()
        .find(|attribute| !resource.contains_key(attribute.name))
    {
        Some(attribute) => Err(ScimError::value(format!(
            "The attribute {} is required.",
            attribute.name
        ))),
        None => Ok(()),
    }
}

pub(crate) fn is_password(name: &str) -> bool {
    name.eq_ignore_ascii_case("password")
}

pub(crate) fn no_passwords() -> ScimError {
    ScimError::value(
        "A directory sets no passwords here, people set their own: take the attribute password out of the directory's mapping.",
    )
}

/// A value in the form of its attribute; none where it is null or empty, which is to say absent (RFC 7643 section 2.5).
pub(crate) fn normal(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    if !attribute.multiple {
        return normal_single(attribute, value);
    }
    let values = match value {
        Value::Null => return Ok(None),
        Value::Array(values) => values.as_slice(),
        // Some clients send a single value bare.
        single => std::slice::from_ref(single),
    };
    let is_members = attribute.name == "members";
    if values.len() > MOST_VALUES && !is_members {
        return Err(ScimError::value(format!(
            "The attribute {} has at most {MOST_VALUES} values.",
            attribute.name
        )));
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for value in values {
        let Some(value) = normal_single(attribute, value)? else {
            continue;
        };
        if is_members && value.get("value").is_none() {
            return Err(ScimError::value("A member has the attribute value."));
        }
        if seen.insert(value.to_string()) {
            found.push(value);
        }
    }
    let primaries = found.iter().filter(|value| is_primary(value)).count();
    if primaries > 1 {
        return Err(ScimError::value(format!(
            "At most one value of {} is primary.",
            attribute.name
        )));
    }
    Ok((!found.is_empty()).then_some(Value::Array(found)))
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// One value in the form of its attribute.
pub(crate) fn normal_single(
    attribute: &Attribute,
    value: &Value,
) -> Result<Option<Value>, ScimError> {
    let wrong =
        |wanted: &str| ScimError::value(format!("The attribute {} is {wanted}.", attribute.name));
    let value = match (attribute.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Text | Kind::Reference | Kind::Moment, Value::String(text)) => {
            if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
                return Err(wrong(
                    "text of at most 1024 bytes without control characters",
                ));
            }
            if text.is_empty() {
                return Ok(None);
            }
            Value::String(text.clone())
        }
        (Kind::Text | Kind::Reference | Kind::Moment, _) => return Err(wrong("text")),
        (Kind::Boolean, Value::Bool(_)) => value.clone(),
        // Entra ID writes them as text, with a capital.
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => true.into(),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => false.into(),
        (Kind::Boolean, _) => return Err(wrong("true or false")),
        (Kind::Complex(parts), Value::Object(members)) => {
            let mut object = Resource::new();
            for (name, value) in members {
                let Some(part) = find(parts, name) else {
                    continue;
                };
                if part.mutability != Mutability::ReadOnly
                    && let Some(value) = normal(part, value)?
                {
                    object.insert(part.name.to_owned(), value);
                }
            }
            if object.is_empty() {
                return Ok(None);
            }
            Value::Object(object)
        }
        // The values of several clients' members are bare identifiers.
        (Kind::Complex(parts), Value::String(_)) if attribute.multiple => {
            let Some(part) = find(parts, "value") else {
                return Err(wrong("an object"));
            };
            let Some(value) = normal(part, value)? else {
                return Ok(None);
            };
            Value::Object(Resource::from_iter([(part.name.to_owned(), value)]))
        }
        (Kind::Complex(_), _) => return Err(wrong("an object")),
    };
    Ok(Some(value))
}

/// What of a resource an answer shows (RFC 7644 section 3.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these.
    only: Option<Vec<String>>,
    /// All but these.
    without: Vec<String>,
}

impl Selection {
    /// By the parameters `attributes` and `excludedAttributes`, of which a request has one at most.
    ///
    /// # Errors
    ///
    /// [`ScimType::InvalidValue`] where it has both.
    pub fn new(
        attributes: Option<Vec<String>>,
        excluded: Option<Vec<String>>,
    ) -> Result<Self, ScimError> {
        let tidy = |names: Vec<String>| -> Vec<String> {
            names.iter().map(|name| plain(name.trim())).collect()
        };
        match (attributes, excluded) {
            (Some(_), Some(_)) => Err(ScimError::new(
                ScimType::InvalidValue,
                "A request has attributes or excludedAttributes, not both.",
            )),
            (attributes, excluded) => Ok(Self {
                only: attributes.map(tidy),
                without: excluded.map(tidy).unwrap_or_default(),
            }),
        }
    }

    /// Whether an attribute of this name is shown at all.
    #[must_use]
    pub fn shows(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let within = |other: &String| {
            *other == name
                || other
                    .strip_prefix(&name)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        match &self.only {
            Some(only) => only.iter().any(within),
            None => !self.without.contains(&name),
        }
    }

    /// What is shown of a resource: `schemas` and `id` always.
    #[must_use]
    pub fn apply(&self, resource: Resource) -> Value {
        let mut shown = Resource::new();
        for (name, value) in resource {
            if name == "schemas" || name == "id" {
                shown.insert(name, value);
            } else if self.shows(&name)
                && let Some(value) = self.parts(&name.to_ascii_lowercase(), value)
            {
                shown.insert(name, value);
            }
        }
        Value::Object(shown)
    }

    /// What is shown of an attribute's value.
    fn parts(&self, name: &str, value: Value) -> Option<Value> {
        let whole = match &self.only {
            Some(only) => only.iter().any(|other| other == name),
            None => !self.without.iter().any(|other| {
                other
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            }),
        };
        if whole {
            return Some(value);
        }
        match value {
            Value::Object(members) => {
                let members: Resource = members
                    .into_iter()
                    .filter(|(part, _)| {
                        let path = format!("{name}.{}", part.to_ascii_lowercase());
                        match &self.only {
                            Some(only) => only.contains(&path),
                            None => !self.without.contains(&path),
                        }
                    })
                    .collect();
                (!members.is_empty()).then_some(Value::Object(members))
            }
            Value::Array(values) => {
                let values: Vec<_> = values
                    .into_iter()
                    .filter_map(|value| self.parts(name, value))
                    .collect();
                (!values.is_empty()).then_some(Value::Array(values))
            }
            other => Some(other),
        }
    }
}

/// An attribute's name without its schema and in lower case.
fn plain(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    for resource_type in ResourceType::ALL {
        let schema = resource_type.schema().to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix(&schema) {
            return rest.trim_start_matches(':').to_owned();
        }
    }
    lower
}

#[cfg(test)]
mod tests;
