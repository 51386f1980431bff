//! Arguments of fields, and the variables they may be made of.

use std::collections::BTreeMap;

use graphql_parser::query::{Type, Value as Literal, VariableDefinition};
use serde_json::{Map, Value, json};

/// The variables of a query.
pub(super) struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// The values that were `given` for the variables that are `defined`; an error in GraphQL's form.
    pub(super) fn of(
        defined: &[VariableDefinition<'_, String>],
        given: Option<&Map<String, Value>>,
    ) -> Result<Self, Value> {
        let mut variables = BTreeMap::new();
        for definition in defined {
            let name = definition.name.as_str();
            let default =
                definition.default_value.as_ref().and_then(|value| literal(value, &Self(BTreeMap::new())).ok());
            let value = given.and_then(|given| given.get(name)).cloned().or(default).unwrap_or(Value::Null);
            if !accepts(&definition.var_type, &value) {
                let kind = definition.var_type.to_string();
                return Err(json!({
                    "message": format!("Variable ${name} of type {kind} was provided invalid value"),
                    "locations": [{ "line": definition.position.line, "column": definition.position.column }],
                    "extensions": { "value": value },
                }));
            }
            variables.insert(name.to_owned(), value);
        }
        Ok(Self(variables))
    }
}

/// Whether `value` can be of the type; types that are none of the language's own take anything.
fn accepts(kind: &Type<'_, String>, value: &Value) -> bool {
    match kind {
        Type::NonNullType(kind) => !value.is_null() && accepts(kind, value),
        _ if value.is_null() => true,
        Type::ListType(kind) => value.as_array().is_none_or(|values| values.iter().all(|value| accepts(kind, value))),
        Type::NamedType(name) => match name.as_str() {
            "String" => value.is_string(),
            "ID" => value.is_string() || value.is_i64(),
            "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            _ => true,
        },
    }
}

/// The arguments of a field: those that it takes are asked for, those that are left it does not take.
pub(super) struct Arguments {
    values: BTreeMap<String, Value>,
    missing: Vec<&'static str>,
}

impl Arguments {
    pub(super) fn of(given: &[(String, Literal<'_, String>)], variables: &Variables) -> Result<Self, String> {
        let values = given.iter().map(|(name, value)| Ok((name.clone(), literal(value, variables)?)));
        Ok(Self { values: values.collect::<Result<_, String>>()?, missing: Vec::new() })
    }

    /// The argument `name`, if it was given.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// The text `name`, which must be given.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        let value = self.take(name).and_then(|value| value.as_str().map(str::to_owned));
        value.unwrap_or_else(|| {
            self.missing.push(name);
            String::new()
        })
    }

    /// What is wrong with the arguments of `field`, after it took its own.
    pub(super) fn problem(&self, field: &str, kind: &str) -> Option<(String, Value)> {
        if let Some(name) = self.missing.first() {
            let message = format!("Field '{field}' is missing required arguments: {name}");
            let details = json!({
                "code": "missingRequiredArguments", "className": "Field", "name": field, "arguments": name,
            });
            return Some((message, details));
        }
        let name = self.values.keys().next()?;
        let message = format!("Field '{field}' doesn't accept argument '{name}'");
        let details = json!({
            "code": "argumentNotAccepted", "name": field, "typeName": kind, "argumentName": name,
        });
        Some((message, details))
    }
}

fn literal(value: &Literal<'_, String>, variables: &Variables) -> Result<Value, String> {
    Ok(match value {
        Literal::Variable(name) => {
            let value = variables.0.get(name);
            value.cloned().ok_or_else(|| format!("Variable ${name} is used by the query but not declared"))?
        }
        Literal::Int(number) => number.as_i64().into(),
        Literal::Float(number) => (*number).into(),
        Literal::String(text) | Literal::Enum(text) => text.as_str().into(),
        Literal::Boolean(value) => (*value).into(),
        Literal::Null => Value::Null,
        Literal::List(values) => {
            values.iter().map(|value| literal(value, variables)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Literal::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.clone(), literal(value, variables)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
    })
}
