//! Whether a filter (RFC 7644 section 3.4.2.2) chooses a resource. `scim_v2` reads filters, with bounds on their depth and length.

use std::cmp::Ordering;

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, ValFilter};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::schema::{Attribute, Kind, ResourceType, find};
use crate::{Resource, ScimError, ScimType};

/// The longest filter and the longest path, in bytes.
pub(crate) const LONGEST: usize = 8 * 1024;

/// A filter of the resources of one type.
#[derive(Debug, Clone)]
pub struct Filter {
    resource_type: ResourceType,
    parsed: scim_v2::filter::Filter,
}

/// What can be looked up at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The resource with this identifier.
    Id(String),
    /// Those with this `userName`, or `displayName` of a group.
    Name(String),
    /// The one with this `externalId`.
    ExternalId(String),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// [`ScimType::InvalidFilter`] when it cannot be read, is too long or too deep, or compares what cannot be compared.
    pub fn parse(resource_type: ResourceType, text: &str) -> Result<Self, ScimError> {
        let unreadable = || invalid("The filter cannot be read, or is too long or too deep.");
        if text.len() > LONGEST {
            return Err(unreadable());
        }
        let parsed: scim_v2::filter::Filter = text.parse().map_err(|_| unreadable())?;
        let this = Self {
            resource_type,
            parsed,
        };
        // Comparisons that mean nothing are told even where no resource is looked at.
        this.chooses(&Resource::new())?;
        Ok(this)
    }

    /// Whether it chooses this resource.
    ///
    /// # Errors
    ///
    /// [`ScimType::InvalidFilter`] when it compares what cannot be compared.
    pub fn chooses(&self, resource: &Resource) -> Result<bool, ScimError> {
        holds(self.resource_type, &self.parsed, resource)
    }

    /// What it looks up, where it is no more than that.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        let scim_v2::filter::Filter::Attr(AttrExp::Comparison(
            path,
            CompareOp::Eq,
            CompValue::Str(value),
        )) = &self.parsed
        else {
            return None;
        };
        if path.sub_attr.is_some() || !is_own(self.resource_type, path) {
            return None;
        }
        let named = |name: &str| path.name.eq_ignore_ascii_case(name);
        let name = match self.resource_type {
            ResourceType::User => "userName",
            ResourceType::Group => "displayName",
        };
        if named("id") {
            Some(Lookup::Id(value.clone()))
        } else if named("externalId") {
            Some(Lookup::ExternalId(value.clone()))
        } else if named(name) {
            Some(Lookup::Name(value.clone()))
        } else {
            None
        }
    }

    /// Whether it looks at this attribute.
    #[must_use]
    pub fn mentions(&self, attribute: &str) -> bool {
        let text = self.parsed.to_string().to_ascii_lowercase();
        text.contains(&attribute.to_ascii_lowercase())
    }
}

fn invalid(detail: &str) -> ScimError {
    ScimError::new(ScimType::InvalidFilter, detail)
}

/// Whether a path's schema, if it names one, is that of the type.
pub(crate) fn is_own(resource_type: ResourceType, path: &AttrPath) -> bool {
    path.uri
        .as_deref()
        .is_none_or(|uri| uri.eq_ignore_ascii_case(resource_type.schema()))
}

fn holds(
    resource_type: ResourceType,
    filter: &scim_v2::filter::Filter,
    resource: &Resource,
) -> Result<bool, ScimError> {
    use scim_v2::filter::Filter;
    // Every operand is looked at, so that a comparison that means nothing is refused whatever the resource.
    match filter {
        Filter::Attr(expression) => {
            let path = path_of(expression);
            let attribute = resource_type
                .attribute(&path.name)
                .filter(|_| is_own(resource_type, path));
            of_attribute(attribute, path.sub_attr.as_deref(), expression, resource)
        }
        Filter::ValuePath(value_path) => {
            let attribute = resource_type
                .attribute(&value_path.attr.name)
                .filter(|_| is_own(resource_type, &value_path.attr));
            let Some(attribute) = attribute else {
                return Ok(false);
            };
            check_parts(attribute, &value_path.filter)?;
            for value in values(resource.get(attribute.name)) {
                if chooses_value(attribute, &value_path.filter, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Filter::Not(inner) => Ok(!holds(resource_type, inner, resource)?),
        Filter::And(operands) => operands.iter().try_fold(true, |all, operand| {
            Ok(holds(resource_type, operand, resource)? && all)
        }),
        Filter::Or(operands) => operands.iter().try_fold(false, |any, operand| {
            Ok(holds(resource_type, operand, resource)? || any)
        }),
    }
}

/// Whether a filter in brackets chooses one value of an attribute.
pub(crate) fn chooses_value(
    attribute: &'static Attribute,
    filter: &ValFilter,
    value: &Value,
) -> Result<bool, ScimError> {
    match filter {
        ValFilter::Attr(expression) => {
            let part = find(attribute.parts(), &path_of(expression).name);
            let Some(part) = part else {
                return Ok(of_nothing(expression));
            };
            let found = value.get(part.name);
            compare_all(part, expression, values(found))
        }
        ValFilter::Not(inner) => Ok(!chooses_value(attribute, inner, value)?),
        ValFilter::And(operands) => operands.iter().try_fold(true, |all, operand| {
            Ok(chooses_value(attribute, operand, value)? && all)
        }),
        ValFilter::Or(operands) => operands.iter().try_fold(false, |any, operand| {
            Ok(chooses_value(attribute, operand, value)? || any)
        }),
    }
}

/// Whether a filter in brackets names nothing but these attributes.
pub(crate) fn names_only(parts: &'static [Attribute], filter: &ValFilter) -> bool {
    match filter {
        ValFilter::Attr(expression) => {
            let path = path_of(expression);
            path.sub_attr.is_none() && find(parts, &path.name).is_some()
        }
        ValFilter::Not(inner) => names_only(parts, inner),
        ValFilter::And(operands) | ValFilter::Or(operands) => {
            operands.iter().all(|operand| names_only(parts, operand))
        }
    }
}

/// Refuses a filter in brackets that compares what cannot be compared.
fn check_parts(attribute: &'static Attribute, filter: &ValFilter) -> Result<(), ScimError> {
    chooses_value(attribute, filter, &Value::Null).map(drop)
}

const fn path_of(expression: &AttrExp) -> &AttrPath {
    match expression {
        AttrExp::Present(path) | AttrExp::Comparison(path, ..) => path,
    }
}

fn values(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(single) => std::slice::from_ref(single),
    }
}

/// Whether it holds of an attribute that there is not, which has no value.
const fn of_nothing(expression: &AttrExp) -> bool {
    match expression {
        AttrExp::Present(_) => false,
        AttrExp::Comparison(_, operator, CompValue::Null) => matches!(operator, CompareOp::Eq),
        AttrExp::Comparison(_, operator, _) => matches!(operator, CompareOp::Ne),
    }
}

fn of_attribute(
    attribute: Option<&'static Attribute>,
    sub: Option<&str>,
    expression: &AttrExp,
    resource: &Resource,
) -> Result<bool, ScimError> {
    let Some(attribute) = attribute else {
        return Ok(of_nothing(expression));
    };
    let found = values(resource.get(attribute.name));
    let part = match (sub, attribute.kind) {
        (Some(sub), Kind::Complex(parts)) => find(parts, sub),
        (Some(_), _) => None,
        // Without a sub-attribute the values of a complex attribute with several are compared by their value.
        (None, Kind::Complex(parts)) if !matches!(expression, AttrExp::Present(_)) => {
            find(parts, "value")
        }
        (None, _) => return compare_all(attribute, expression, found),
    };
    let Some(part) = part else {
        return Ok(of_nothing(expression));
    };
    let within: Vec<Value> = found
        .iter()
        .filter_map(|value| value.get(part.name).cloned())
        .collect();
    compare_all(part, expression, &within)
}

/// Whether one of the values fits.
fn compare_all(
    attribute: &Attribute,
    expression: &AttrExp,
    found: &[Value],
) -> Result<bool, ScimError> {
    let AttrExp::Comparison(_, operator, wanted) = expression else {
        return Ok(!found.is_empty());
    };
    check_comparison(attribute, operator, wanted)?;
    match (operator, wanted) {
        (CompareOp::Eq, CompValue::Null) => Ok(found.is_empty()),
        (CompareOp::Ne, CompValue::Null) => Ok(!found.is_empty()),
        (CompareOp::Ne, _) => Ok(!found
            .iter()
            .any(|value| fits(attribute, &CompareOp::Eq, wanted, value))),
        _ => Ok(found
            .iter()
            .any(|value| fits(attribute, operator, wanted, value))),
    }
}

fn check_comparison(
    attribute: &Attribute,
    operator: &CompareOp,
    wanted: &CompValue,
) -> Result<(), ScimError> {
    let equality = matches!(operator, CompareOp::Eq | CompareOp::Ne);
    let good = match (attribute.kind, wanted) {
        (Kind::Boolean, CompValue::True | CompValue::False) | (_, CompValue::Null) => equality,
        // As Entra ID writes them.
        (Kind::Boolean, CompValue::Str(text)) => {
            equality && (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"))
        }
        (Kind::Moment, CompValue::Str(text)) => {
            !matches!(operator, CompareOp::Co | CompareOp::Sw | CompareOp::Ew)
                && moment(text).is_some()
        }
        (Kind::Text | Kind::Reference, CompValue::Str(_)) => true,
        _ => false,
    };
    if good {
        Ok(())
    } else {
        Err(invalid(&format!(
            "The attribute {} cannot be compared like that.",
            attribute.name
        )))
    }
}

fn fits(attribute: &Attribute, operator: &CompareOp, wanted: &CompValue, value: &Value) -> bool {
    let wanted = match wanted {
        CompValue::Str(text) => text.as_str(),
        CompValue::True => "true",
        CompValue::False => "false",
        _ => return false,
    };
    match (attribute.kind, value) {
        (Kind::Boolean, Value::Bool(value)) => *value == wanted.eq_ignore_ascii_case("true"),
        (Kind::Moment, Value::String(value)) => match (moment(value), moment(wanted)) {
            (Some(value), Some(wanted)) => ordered(operator, value.cmp(&wanted)),
            _ => false,
        },
        (_, Value::String(value)) if attribute.case_exact => text_fits(operator, value, wanted),
        (_, Value::String(value)) => {
            text_fits(operator, &value.to_lowercase(), &wanted.to_lowercase())
        }
        _ => false,
    }
}

fn text_fits(operator: &CompareOp, value: &str, wanted: &str) -> bool {
    match operator {
        CompareOp::Co => value.contains(wanted),
        CompareOp::Sw => value.starts_with(wanted),
        CompareOp::Ew => value.ends_with(wanted),
        operator => ordered(operator, value.cmp(wanted)),
    }
}

fn ordered(operator: &CompareOp, order: Ordering) -> bool {
    match operator {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests;
