//! What an operation makes of the values of one attribute.

use std::collections::HashSet;

use scim_v2::filter::{AttrExp, CompValue, CompareOp, ValFilter};
use serde_json::Value;

use super::{Verb, invalid_path};
use crate::filter::{chooses_value, names_only};
use crate::resource::{MOST_VALUES, is_primary, normal, normal_single};
use crate::schema::{Attribute, Kind, Mutability, find};
use crate::{Resource, ScimError, ScimType};

/// Adds to, replaces or removes an attribute.
pub(super) fn whole(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    let wanted = normal(attribute, value)?;
    let name = attribute.name;
    match (verb, wanted) {
        // An empty list names none: only an operation without a value removes all.
        (Verb::Remove, None) if value.is_array() => {}
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

pub(super) fn in_object(
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
pub(super) fn in_all(
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
pub(super) fn in_values(
    resource: &mut Resource,
    verb: Verb,
    attribute: &'static Attribute,
    filter: &ValFilter,
    part: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), ScimError> {
    if !names_only(attribute.parts(), filter) {
        return Err(invalid_path());
    }
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
            // What becomes primary takes the place of what was (RFC 7644 section 3.5.2).
            if let Some(part) = part.filter(|part| part.name == "primary")
                && normal_single(part, value)? == Some(true.into())
            {
                values.iter_mut().for_each(be_secondary);
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
