//! Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`, alone or as a list in braces.

use regex::Regex;

/// One matcher.
#[derive(Debug)]
pub(super) struct Matcher {
    name: String,
    negated: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equal(String),
    Regex(Regex),
}

impl Matcher {
    /// Whether a value passes; a label that is not there has the empty value.
    pub(super) fn passes(&self, value_of: impl Fn(&str) -> String) -> bool {
        let value = value_of(&self.name);
        let matches = match &self.test {
            Test::Equal(text) => value == *text,
            Test::Regex(regex) => regex.is_match(&value),
        };
        matches != self.negated
    }
}

/// A pattern that must match from the first to the last character.
pub(super) fn anchored(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("bad regular expression: {pattern}"))
}

/// Reads the matchers of one `filter` parameter.
pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let bad = || format!("bad matcher format: {text}");
    let trimmed = text.trim();
    let mut rest = match trimmed.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(bad)?,
        None => trimmed,
    };
    let mut matchers = Vec::new();
    while !rest.trim().is_empty() {
        let (matcher, tail) = one(rest.trim_start()).ok_or_else(bad)??;
        matchers.push(matcher);
        let tail = tail.trim_start();
        rest = match tail.strip_prefix(',') {
            Some(tail) => tail,
            None if tail.is_empty() => tail,
            None => return Err(bad()),
        };
    }
    Ok(matchers)
}

/// The first matcher of a text and what follows it; `None` when it has no such form.
fn one(text: &str) -> Option<Result<(Matcher, &str), String>> {
    let (name, rest) = name(text)?;
    let rest = rest.trim_start();
    let operators =
        [("=~", false, true), ("!~", true, true), ("!=", true, false), ("=", false, false)];
    let &(operator, negated, is_regex) = operators.iter().find(|(op, ..)| rest.starts_with(op))?;
    let rest = rest.get(operator.len()..)?.trim_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => {
            let end = rest.find([',', '"']).unwrap_or(rest.len());
            (rest.get(..end)?.trim_end().to_owned(), rest.get(end..)?)
        }
    };
    let test = match is_regex {
        false => Test::Equal(value),
        true => match anchored(&value) {
            Ok(regex) => Test::Regex(regex),
            Err(error) => return Some(Err(error)),
        },
    };
    Some(Ok((Matcher { name, negated, test }, rest)))
}

/// A label's name, in quotes or not.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return unquoted(quoted).filter(|(name, _)| !name.is_empty());
    }
    let end = text.find(|c: char| c.is_whitespace() || "=!~{},\"".contains(c))?;
    let name = text.get(..end)?;
    (!name.is_empty()).then(|| (name.to_owned(), &text[end..]))
}

/// The text up to the closing quote, and what follows that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str, labels: &[(&str, &str)]) -> bool {
        let value_of = |name: &str| {
            labels.iter().find(|(n, _)| *n == name).map_or(String::new(), |(_, v)| (*v).to_owned())
        };
        parse(text).expect(text).iter().all(|matcher| matcher.passes(value_of))
    }

    #[test]
    fn matchers_pass_as_in_alertmanager() {
        let labels = [("service", "cart"), ("quote", "a\"b\n")];
        for (text, expected) in [
            ("service=cart", true),
            ("service=\"cart\"", true),
            ("service = \"cart\" ", true),
            ("service!=cart", false),
            ("service=~\"ca.*\"", true),
            ("service=~ca", false),
            ("service!~\"ca\"", true),
            ("missing=", true),
            ("missing=\"\"", true),
            ("missing=~\".+\"", false),
            ("quote=\"a\\\"b\\n\"", true),
            ("{service=\"cart\",missing=\"\"}", true),
            ("{service=~\"a|cart\", quote!=\"\"}", true),
            ("{}", true),
            ("\"service\"=\"cart\"", true),
        ] {
            assert_eq!(passes(text, &labels), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_said() {
        for text in ["{bad", "x", "=y", "a==~b\"", "a=\"b", "a=\"b\"c", "a=~\"(\""] {
            let error = parse(text).map(|matchers| matchers.len()).expect_err(text);
            assert!(error.starts_with("bad "), "{text}: {error}");
        }
    }
}
