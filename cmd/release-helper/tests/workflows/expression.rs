//! GitHub's expressions, as far as release.yml uses them. What is not known here is an error, never an empty string:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>.

use serde_json::Value;

/// What the names in an expression stand for.
pub struct Scope {
    /// `github`, `needs`, `steps` and so on.
    pub contexts: Value,
    /// What `success()` answers: all needed jobs or all earlier steps succeeded.
    pub success: bool,
}

impl Scope {
    /// The value of one expression, without its `${{ }}`.
    pub fn evaluate(&self, expression: &str) -> Result<Value, String> {
        let mut parser = Parser { scope: self, rest: expression };
        let value = parser.or()?;
        match parser.peek() {
            "" => Ok(value),
            rest => Err(format!("{expression}: unexpected {rest:?}")),
        }
    }

    /// Whether a job or step with this `if:` runs. Without a status function in it, everything before must have
    /// succeeded.
    pub fn holds(&self, condition: Option<&str>) -> Result<bool, String> {
        let Some(condition) = condition else { return Ok(self.success) };
        let inner = condition.trim().strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
        let expression = inner.ok_or(format!("{condition}: write it as ${{{{ … }}}}"))?;
        let asks = ["always()", "success()", "failure()", "cancelled()"].iter().any(|name| expression.contains(name));
        Ok(truthy(&self.evaluate(expression)?) && (asks || self.success))
    }

    /// `text` with every `${{ }}` in it replaced by its value.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, tail) = after.split_once("}}").ok_or(format!("{text}: no end of the expression"))?;
            filled += before;
            filled += &shown(&self.evaluate(expression)?);
            rest = tail;
        }
        Ok(filled + rest)
    }
}

struct Parser<'a> {
    scope: &'a Scope,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek().strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn or(&mut self) -> Result<Value, String> {
        let mut left = self.and()?;
        while self.take("||") {
            let right = self.and()?;
            left = if truthy(&left) { left } else { right };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, String> {
        let mut left = self.equality()?;
        while self.take("&&") {
            let right = self.equality()?;
            left = if truthy(&left) { right } else { left };
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Value, String> {
        let left = self.operand()?;
        if self.take("==") {
            return Ok((left == self.operand()?).into());
        }
        if self.take("!=") {
            return Ok((left != self.operand()?).into());
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Value, String> {
        if self.take("!") {
            return Ok((!truthy(&self.operand()?)).into());
        }
        if self.take("(") {
            let value = self.or()?;
            return if self.take(")") { Ok(value) } else { Err(format!("no ) before {:?}", self.rest)) };
        }
        if self.take("'") {
            let (text, rest) = self.rest.split_once('\'').ok_or("a text without its end")?;
            self.rest = rest;
            return Ok(text.into());
        }
        let name = self.name()?;
        if !self.take("(") {
            return self.path(name);
        }
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() && !self.take(",") {
                return Err(format!("no ) before {:?}", self.rest));
            }
            arguments.push(self.or()?);
        }
        match (name, &arguments[..]) {
            ("always", []) => Ok(true.into()),
            ("success", []) => Ok(self.scope.success.into()),
            ("failure", []) => Ok((!self.scope.success).into()),
            // Nobody cancels a run on this machine.
            ("cancelled", []) => Ok(false.into()),
            ("endsWith", [text, end]) => Ok(shown(text).to_lowercase().ends_with(&shown(end).to_lowercase()).into()),
            ("toJSON", [value]) => {
                serde_json::to_string_pretty(value).map(Value::from).map_err(|error| error.to_string())
            }
            (name, _) => Err(format!("the function {name} is not known here")),
        }
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let text = self.peek();
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
        self.rest = &text[length..];
        if length == 0 { Err(format!("no name before {text:?}")) } else { Ok(&text[..length]) }
    }

    fn path(&mut self, context: &str) -> Result<Value, String> {
        let known = self.scope.contexts.get(context);
        let mut value = known.ok_or(format!("the context {context} is not known here"))?.clone();
        while self.take(".") {
            let name = self.name()?;
            value = value.get(name).cloned().unwrap_or(Value::Null);
        }
        Ok(value)
    }
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("") && value.as_i64() != Some(0)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(success: bool) -> Scope {
        Scope { contexts: json!({"github": {"event_name": "push", "ref_name": "v1"}, "inputs": {}}), success }
    }

    #[test]
    fn values_are_looked_up_compared_and_chosen() {
        let shows = |text: &str| scope(true).fill(text).unwrap();
        assert_eq!(shows("a ${{ github.ref_name }} b"), "a v1 b");
        assert_eq!(shows("${{ inputs.tag || github.ref_name }}"), "v1");
        assert_eq!(shows("${{ github.event_name == 'push' && github.ref_name != 'v1' }}"), "false");
        assert_eq!(shows("${{ endsWith(github.event_name, 'SH') && !endsWith('a', 'b') }}"), "true");
        assert_eq!(shows("${{ toJSON(github.ref_name) }}"), "\"v1\"");
    }

    #[test]
    fn a_condition_implies_success_unless_it_asks_for_the_status() {
        assert!(!scope(false).holds(None).unwrap());
        assert!(!scope(false).holds(Some("${{ github.event_name == 'push' }}")).unwrap());
        assert!(scope(false).holds(Some("${{ !cancelled() }}")).unwrap());
        assert!(scope(false).holds(Some("${{ failure() && github.event_name == 'push' }}")).unwrap());
        assert!(!scope(true).holds(Some("${{ failure() }}")).unwrap());
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "${{ secrets.key }}",
            "${{ hashFiles('x') }}",
            "${{ github.ref_name",
            "${{ 'a }}",
            "${{ a b }}",
            "${{ toJSON('a' 'b') }}",
        ] {
            assert!(scope(true).fill(text).is_err(), "{text}");
        }
    }
}
