//! PATCH (RFC 7644 section 3.5.2), also as Entra ID and Okta spell it: operations with capitals, values of text where the schema has true
//! and false, names with paths where an operation has no path of its own.

use std::collections::HashSet;

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, PatchPath, ValFilter};
use serde_json::Value;

use crate::filter::{LONGEST, chooses_value, is_own};
use crate::resource::{
    check_required, is_password, is_primary, no_passwords, normal, normal_single,
};
use crate::schema::{Attribute, Kind, Mutability, ResourceType, find, passes_over};
use crate::{Resource, ScimError, ScimType};

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations of one request.
const MOST_OPERATIONS: usize = 1000;
/// The most values of an attribute other than a group's members.
const MOST_VALUES: usize = 64;

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
                apply_at(resource_type, resource, self.verb, &path, value)?;
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
        Some(filter) => in_values(resource, verb, attribute, filter, part, value),
        None => match part {
            None => whole(resource, verb, attribute, value),
            Some(part) if attribute.multiple => in_all(resource, verb, attribute, part, value),
            Some(part) => in_object(resource, verb, attribute, part, value),
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
    if !is_own(resource_type, path) {
        return Ok(None);
    }
    match resource_type.attribute(&path.name) {
        Some(attribute) => Ok(Some(attribute)),
        None if passes_over(&path.name) => Ok(None),
        None => Err(invalid_path()),
    }
}

fn read_only(attribute: &Attribute) -> ScimError {
    ScimError::new(
        ScimType::Mutability,
        format!("The attribute {} cannot be set.", attribute.name),
    )
}

/// Adds to, replaces or removes an attribute.
fn whole(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    let wanted = normal(attribute, value)?;
    let name = attribute.name;
    match (verb, wanted) {
        // Entra ID removes members by naming them in the value.
        (Verb::Remove, Some(Value::Array(gone))) => {
            let key = |value: &Value| value.get("value")?.as_str().map(str::to_owned);
            let gone: HashSet<_> = gone.iter().filter_map(key).collect();
            let mut values = take_values(resource, name);
            values.retain(|value| key(value).is_none_or(|key| !gone.contains(&key)));
            put_values(resource, attribute, values)?;
        }
        (Verb::Remove, _) | (Verb::Replace, None) => {
            if attribute.required {
                return Err(ScimError::new(
                    ScimType::InvalidValue,
                    format!("The attribute {name} is required."),
                ));
            }
            resource.remove(name);
        }
        (Verb::Add, None) => {}
        (_, Some(Value::Object(members))) if !attribute.multiple => {
            if let Some(Value::Object(there)) = resource.get_mut(name) {
                there.extend(members);
            } else {
                resource.insert(name.to_owned(), Value::Object(members));
            }
        }
        (Verb::Add, Some(Value::Array(more))) => {
            let mut values = take_values(resource, name);
            if more.iter().any(is_primary) {
                values.iter_mut().for_each(be_secondary);
            }
            let there: HashSet<_> = values
                .iter()
                .map(|value| identity(attribute, value))
                .collect();
            let more = more
                .into_iter()
                .filter(|value| !there.contains(&identity(attribute, value)));
            values.extend(more);
            put_values(resource, attribute, values)?;
        }
        (_, Some(value)) => {
            resource.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

/// What tells one value of an attribute from another: a member is what it names, whatever else is said of it.
fn identity(attribute: &Attribute, value: &Value) -> String {
    let key = value.get("value").and_then(Value::as_str);
    match key.filter(|_| attribute.name == "members") {
        Some(key) => key.to_owned(),
        None => value.to_string(),
    }
}

fn in_object(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    part: &'static Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    let wanted = if verb == Verb::Remove {
        None
    } else {
        normal_single(part, value)?
    };
    let there = resource
        .entry(attribute.name)
        .or_insert_with(|| Value::Object(Resource::new()));
    if let Value::Object(members) = there {
        match wanted {
            Some(wanted) => {
                members.insert(part.name.to_owned(), wanted);
            }
            None => {
                members.remove(part.name);
            }
        }
        if members.is_empty() {
            resource.remove(attribute.name);
        }
    }
    Ok(())
}

/// Changes one sub-attribute of every value of an attribute.
fn in_all(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    part: &'static Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    check_part(verb, attribute, part, value)?;
    let mut values = take_values(resource, attribute.name);
    if values.is_empty() && verb == Verb::Add {
        values.push(Value::Object(Resource::new()));
    }
    for there in &mut values {
        set_part(there, verb, part, value)?;
    }
    put_values(resource, attribute, values)
}

/// Changes the values of an attribute that a filter chooses.
fn in_values(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    filter: &ValFilter,
    part: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), ScimError> {
    if let Some(part) = part {
        check_part(verb, attribute, part, value)?;
    }
    let mut values = take_values(resource, attribute.name);
    let mut chosen = Vec::new();
    for (place, there) in values.iter().enumerate() {
        if chooses_value(attribute, filter, there)? {
            chosen.push(place);
        }
    }
    match (verb, part) {
        // What is gone already need not be removed.
        (Verb::Remove, None) => {
            let chosen: HashSet<_> = chosen.into_iter().collect();
            let mut places = 0..;
            values.retain(|_| places.next().is_none_or(|place| !chosen.contains(&place)));
        }
        (Verb::Remove, Some(part)) => {
            for place in chosen {
                set_part(&mut values[place], verb, part, value)?;
            }
        }
        (Verb::Replace, _) if chosen.is_empty() => {
            return Err(ScimError::new(
                ScimType::NoTarget,
                "The filter in an operation's path chooses no value.",
            ));
        }
        (_, part) => {
            if chosen.is_empty() {
                // A value that is as the filter wants it is made.
                let mut made = Resource::new();
                describe(attribute, filter, &mut made)?;
                values.push(Value::Object(made));
                chosen.push(values.len() - 1);
            }
            for place in chosen {
                if let Some(part) = part {
                    set_part(&mut values[place], verb, part, value)?;
                    continue;
                }
                let Some(Value::Object(members)) = normal_single(attribute, value)? else {
                    return Err(ScimError::value("The value of the operation is an object."));
                };
                if is_primary(&Value::Object(members.clone())) {
                    values.iter_mut().for_each(be_secondary);
                }
                if let Value::Object(there) = &mut values[place] {
                    there.extend(members);
                }
            }
        }
    }
    put_values(resource, attribute, values)
}

/// A member is what it is: it can come and go, and not become another.
fn check_part(
    verb: Verb,
    attribute: &Attribute,
    part: &Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    if part.mutability == Mutability::Immutable {
        return Err(ScimError::new(
            ScimType::Mutability,
            format!(
                "The attribute {}.{} cannot be changed.",
                attribute.name, part.name
            ),
        ));
    }
    if verb != Verb::Remove {
        normal_single(part, value)?;
    }
    Ok(())
}

fn set_part(
    there: &mut Value,
    verb: Verb,
    part: &Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    let wanted = if verb == Verb::Remove {
        None
    } else {
        normal_single(part, value)?
    };
    if let Value::Object(members) = there {
        match wanted {
            Some(wanted) => members.insert(part.name.to_owned(), wanted),
            None => members.remove(part.name),
        };
    }
    Ok(())
}

/// What a value must be for a filter of equalities to choose it.
fn describe(
    attribute: &'static Attribute,
    filter: &ValFilter,
    into: &mut Resource,
) -> Result<(), ScimError> {
    let no_target = || {
        ScimError::new(
            ScimType::NoTarget,
            "The filter in an operation's path chooses no value, and does not say what one would be.",
        )
    };
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, wanted)) => {
            let part = find(attribute.parts(), &path.name).ok_or_else(invalid_path)?;
            let wanted = match (part.kind, wanted) {
                (_, CompValue::Str(text)) => Value::String(text.clone()),
                (Kind::Boolean, CompValue::True) => true.into(),
                (Kind::Boolean, CompValue::False) => false.into(),
                _ => return Err(no_target()),
            };
            if let Some(wanted) = normal_single(part, &wanted)? {
                into.insert(part.name.to_owned(), wanted);
            }
            Ok(())
        }
        ValFilter::And(operands) => operands
            .iter()
            .try_for_each(|operand| describe(attribute, operand, into)),
        _ => Err(no_target()),
    }
}

/// Takes the values of an attribute out of the resource, to be changed and put back.
fn take_values(resource: &mut Resource, name: &str) -> Vec<Value> {
    match resource.remove(name) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

/// Puts them back, if any are left.
fn put_values(
    resource: &mut Resource,
    attribute: &Attribute,
    mut values: Vec<Value>,
) -> Result<(), ScimError> {
    values.retain(|value| value.as_object().is_none_or(|members| !members.is_empty()));
    check_values(attribute, &values)?;
    if !values.is_empty() {
        resource.insert(attribute.name.to_owned(), Value::Array(values));
    }
    Ok(())
}

fn be_secondary(value: &mut Value) {
    if is_primary(value) {
        value["primary"] = false.into();
    }
}

fn check_values(attribute: &Attribute, values: &[Value]) -> Result<(), ScimError> {
    if values.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(ScimError::value(format!(
            "At most one value of {} is primary.",
            attribute.name
        )));
    }
    if values.len() > MOST_VALUES && attribute.name != "members" {
        return Err(ScimError::value(format!(
            "The attribute {} has at most {MOST_VALUES} values.",
            attribute.name
        )));
    }
    Ok(())
}
