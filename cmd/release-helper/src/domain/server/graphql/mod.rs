//! GraphQL as far as gh's `release` commands ask it, answered from the same store as REST. A query outside of the
//! [`schema`] is refused in GitHub's form.

mod arguments;
mod schema;

use std::collections::BTreeMap;

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Directive, Document, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    TypeCondition, parse_query,
};
use serde_json::{Map, Value, json};

use self::arguments::{Arguments, Variables};
use self::schema::{Found, Node};
use super::call::Call;
use super::http::Response;
use super::shapes::error;

/// So many fields may an answer have: fragments in fragments grow without bound.
const MAX_FIELDS: usize = 100_000;

/// Answers `POST /graphql`.
pub(super) fn answer(call: &Call<'_>) -> Response {
    if !call.may_push() {
        return error(401, "This endpoint requires you to be authenticated.");
    }
    let body = call.body.as_ref();
    let Some(query) = body.and_then(|body| body.get("query")).and_then(Value::as_str) else {
        return refused(vec![json!({ "message": "A query attribute must be specified and must be a string." })]);
    };
    let name = body.and_then(|body| body.get("operationName")).and_then(Value::as_str);
    let document: Document<'_, String> = match parse_query(query) {
        Ok(document) => document,
        Err(failure) => return refused(vec![json!({ "message": failure.to_string() })]),
    };
    let mut fragments = BTreeMap::new();
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::Fragment(fragment) => drop(fragments.insert(fragment.name.as_str(), fragment)),
            Definition::Operation(operation) => operations.push(Operation::of(operation)),
        }
    }
    operations.retain(|operation| name.is_none() || operation.name == name);
    let [operation] = &operations[..] else {
        return refused(vec![json!({ "message": "An operation name is required" })]);
    };
    let given = body.and_then(|body| body.get("variables")).and_then(Value::as_object);
    let variables = match Variables::of(operation.variables, given) {
        Ok(variables) => variables,
        Err(refusal) => return refused(vec![refusal]),
    };
    let mut run =
        Run { call, fragments, variables, invalid: Vec::new(), errors: Vec::new(), fields: 0, path: Vec::new() };
    run.path.push(operation.kind.to_lowercase().into());
    let data = run.select(&operation.root(), operation.selection, 0);
    if !run.invalid.is_empty() {
        return refused(run.invalid);
    }
    let mut answer = json!({ "data": data });
    if !run.errors.is_empty() {
        answer["errors"] = run.errors.into();
    }
    Response::json(200, &answer)
}

/// A query that cannot be answered at all has errors, and no data.
fn refused(errors: Vec<Value>) -> Response {
    Response::json(200, &json!({ "errors": errors }))
}

/// What a document asks for.
struct Operation<'a> {
    name: Option<&'a str>,
    kind: &'static str,
    variables: &'a [graphql_parser::query::VariableDefinition<'a, String>],
    selection: &'a SelectionSet<'a, String>,
}

impl<'a> Operation<'a> {
    fn of(operation: &'a OperationDefinition<'a, String>) -> Self {
        match operation {
            OperationDefinition::SelectionSet(selection) => {
                Self { name: None, kind: "Query", variables: &[], selection }
            }
            OperationDefinition::Query(query) => Self {
                name: query.name.as_deref(),
                kind: "Query",
                variables: &query.variable_definitions,
                selection: &query.selection_set,
            },
            OperationDefinition::Mutation(mutation) => Self {
                name: mutation.name.as_deref(),
                kind: "Mutation",
                variables: &mutation.variable_definitions,
                selection: &mutation.selection_set,
            },
            OperationDefinition::Subscription(subscription) => Self {
                name: subscription.name.as_deref(),
                kind: "Subscription",
                variables: &subscription.variable_definitions,
                selection: &subscription.selection_set,
            },
        }
    }

    fn root(&self) -> Node {
        if self.kind == "Query" { Node::Query } else { Node::Nothing(self.kind) }
    }
}

/// One query being answered.
struct Run<'a> {
    call: &'a Call<'a>,
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'a, String>>,
    variables: Variables,
    /// What makes the query one that cannot be answered.
    invalid: Vec<Value>,
    /// What could not be found; the rest is answered.
    errors: Vec<Value>,
    fields: usize,
    path: Vec<Value>,
}

impl<'a> Run<'a> {
    /// The fields of `node` that `selection` asks for. `depth` counts fragments within fragments.
    fn select(&mut self, node: &Node, selection: &'a SelectionSet<'a, String>, depth: usize) -> Value {
        let mut data = Map::new();
        self.select_into(node, selection, depth, &mut data);
        Value::Object(data)
    }

    fn select_into(
        &mut self,
        node: &Node,
        selection: &'a SelectionSet<'a, String>,
        depth: usize,
        data: &mut Map<String, Value>,
    ) {
        for item in &selection.items {
            match item {
                Selection::Field(field) => {
                    if self.wants(&field.directives) {
                        let key = field.alias.as_ref().unwrap_or(&field.name);
                        let value = self.field(node, field, depth);
                        merge(data, key, value);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    if self.wants(&fragment.directives) && fits(node, fragment.type_condition.as_ref()) {
                        self.select_into(node, &fragment.selection_set, depth, data);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name.as_str();
                    match self.fragments.get(name).copied() {
                        None => self.refuse(spread.position, &format!("Fragment {name} was used, but not defined")),
                        Some(_) if depth > 50 => {
                            self.refuse(spread.position, &format!("Fragment {name} contains an infinite loop"));
                        }
                        Some(fragment) => {
                            if self.wants(&spread.directives) && fits(node, Some(&fragment.type_condition)) {
                                self.select_into(node, &fragment.selection_set, depth + 1, data);
                            }
                        }
                    }
                }
            }
        }
    }

    fn field(&mut self, node: &Node, field: &'a Field<'a, String>, depth: usize) -> Value {
        self.fields += 1;
        if self.fields > MAX_FIELDS || !self.invalid.is_empty() {
            if self.invalid.is_empty() {
                self.refuse(field.position, "The query asks for too much");
            }
            return Value::Null;
        }
        self.path.push(field.alias.as_ref().unwrap_or(&field.name).as_str().into());
        let value = self.resolve(node, field, depth);
        self.path.pop();
        value
    }

    fn resolve(&mut self, node: &Node, field: &'a Field<'a, String>, depth: usize) -> Value {
        let (name, kind) = (field.name.as_str(), node.kind());
        let mut arguments = match Arguments::of(&field.arguments, &self.variables) {
            Ok(arguments) => arguments,
            Err(message) => {
                self.refuse(field.position, &message);
                return Value::Null;
            }
        };
        let found = node.field(self.call, name, &mut arguments);
        let has_selection = !field.selection_set.items.is_empty();
        match arguments.problem(name, kind) {
            _ if matches!(found, Found::Unknown) => {
                let message = format!("Field '{name}' doesn't exist on type '{kind}'");
                let details = json!({ "code": "undefinedField", "typeName": kind, "fieldName": name });
                self.refuse_with(field.position, &message, details);
                return Value::Null;
            }
            Some((message, details)) => {
                self.refuse_with(field.position, &message, details);
                return Value::Null;
            }
            None => {}
        }
        let is_object = matches!(found, Found::One(_) | Found::Many(_) | Found::None { .. });
        if is_object != has_selection {
            let message = if is_object {
                format!("Field must have selections (field '{name}' on '{kind}' has no selections)")
            } else {
                format!("Selections can't be made on scalars (field '{name}' on '{kind}' has selections)")
            };
            self.refuse(field.position, &message);
            return Value::Null;
        }
        match found {
            Found::Value(value) => value,
            Found::One(node) => self.select(&node, &field.selection_set, depth),
            Found::Many(nodes) => {
                let mut values = Vec::new();
                for (number, node) in nodes.iter().enumerate() {
                    self.path.push(number.into());
                    values.push(self.select(node, &field.selection_set, depth));
                    self.path.pop();
                }
                Value::Array(values)
            }
            Found::None { why: Some((kind, message)), .. } => {
                let error = json!({
                    "type": kind, "path": self.path[1..], "locations": [location(field.position)], "message": message,
                });
                self.errors.push(error);
                Value::Null
            }
            // What is asked of something that is not there is checked all the same.
            Found::None { like, .. } => {
                self.select(&like, &field.selection_set, depth);
                Value::Null
            }
            Found::Unknown => Value::Null,
        }
    }

    /// Whether `@skip` and `@include` let a selection stand.
    fn wants(&mut self, directives: &'a [Directive<'a, String>]) -> bool {
        directives.iter().all(|directive| {
            let condition = Arguments::of(&directive.arguments, &self.variables)
                .ok()
                .and_then(|mut arguments| arguments.take("if")?.as_bool());
            match (directive.name.as_str(), condition) {
                ("skip", Some(condition)) => !condition,
                ("include", Some(condition)) => condition,
                (name, _) => {
                    self.refuse(directive.position, &format!("Directive @{name} is not defined, or has no 'if'"));
                    false
                }
            }
        })
    }

    fn refuse(&mut self, position: Pos, message: &str) {
        self.invalid.push(json!({ "message": message, "locations": [location(position)], "path": self.path }));
    }

    fn refuse_with(&mut self, position: Pos, message: &str, details: Value) {
        self.refuse(position, message);
        if let Some(error) = self.invalid.last_mut() {
            error["extensions"] = details;
        }
    }
}

/// Puts `value` beside what the same field has given already: objects are joined.
fn merge(data: &mut Map<String, Value>, key: &str, value: Value) {
    match (data.get_mut(key), value) {
        (Some(Value::Object(known)), Value::Object(more)) => {
            for (key, value) in more {
                merge(known, &key, value);
            }
        }
        (Some(Value::Array(known)), Value::Array(more)) if known.len() == more.len() => {
            for (known, more) in known.iter_mut().zip(more) {
                if let (Value::Object(known), Value::Object(more)) = (known, more) {
                    more.into_iter().for_each(|(key, value)| merge(known, &key, value));
                }
            }
        }
        (_, value) => drop(data.insert(key.to_owned(), value)),
    }
}

fn fits(node: &Node, condition: Option<&TypeCondition<'_, String>>) -> bool {
    condition.is_none_or(|TypeCondition::On(kind)| node.is(kind))
}

fn location(position: Pos) -> Value {
    json!({ "line": position.line, "column": position.column })
}
