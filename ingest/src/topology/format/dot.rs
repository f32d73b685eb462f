//! A graph in the language of Graphviz: `digraph { a -> b; }`.
//!
//! Names and edges are read, and of attributes `kind` alone. A graph without directions says
//! nothing of who depends on whom, and is refused.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};

use super::csv::{edge_kind, entity_kind, named};
use super::{Draft, FormatError, text};

/// Deepest nesting of subgraphs.
const DEPTH_MAX: usize = 64;

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let mut parser =
        Parser { tokens: tokens(text(bytes)?)?, at: 0, nodes: BTreeMap::new(), edges: Vec::new() };
    parser.graph()?;
    let Parser { nodes, edges, .. } = parser;
    for (name, kind) in &nodes {
        named(draft, name, *kind);
    }
    for (from, to, kind) in edges {
        let kind_of = |name: &String| nodes.get(name).copied().flatten();
        let a = named(draft, &from, kind_of(&from));
        let b = named(draft, &to, kind_of(&to));
        draft.edge(a, b, kind);
    }
    Ok(())
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    /// A name, and whether it was in quotes (then it is no keyword).
    Name(String, bool),
    Mark(char),
    Arrow,
    Line,
}

struct Placed {
    token: Token,
    line: usize,
}

/// Takes the text apart; comments and lines of the preprocessor are left out.
fn tokens(text: &str) -> Result<Vec<Placed>, FormatError> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut tokens = Vec::new();
    let mut is_fresh = true;
    while let Some(c) = lexer.rest.chars().next() {
        let line = lexer.line;
        if c == '\n' || c == '\u{feff}' || c.is_whitespace() {
            lexer.skip(c.len_utf8());
            is_fresh |= c == '\n';
            continue;
        }
        if (c == '#' && is_fresh) || lexer.rest.starts_with("//") {
            lexer.skip(lexer.rest.find('\n').unwrap_or(lexer.rest.len()));
            continue;
        }
        if lexer.rest.starts_with("/*") {
            let end = lexer.rest.find("*/");
            let end = end.ok_or_else(|| at_line(line, "a comment is not closed"))?;
            lexer.skip(end + 2);
            continue;
        }
        tokens.push(Placed { token: lexer.token(c)?, line });
        is_fresh = false;
    }
    Ok(tokens)
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Lexer<'t> {
    fn skip(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn token(&mut self, c: char) -> Result<Token, FormatError> {
        Ok(match c {
            '"' => return self.quoted(),
            '<' => return Err(at_line(self.line, "HTML is no name of an entity")),
            '{' | '}' | '[' | ']' | '=' | ';' | ',' | ':' | '+' => {
                self.skip(1);
                Token::Mark(c)
            }
            '-' if self.rest.starts_with("->") => {
                self.skip(2);
                Token::Arrow
            }
            '-' if self.rest.starts_with("--") => {
                self.skip(2);
                Token::Line
            }
            c if is_plain(c) || c == '-' => {
                let first = c.len_utf8();
                let end = self.rest[first..].find(|c| !is_plain(c));
                let end = end.map_or(self.rest.len(), |end| first + end);
                Token::Name(self.skip(end).to_owned(), false)
            }
            c => {
                let what = format!("{c:?} is not expected; names with it need quotes");
                return Err(at_line(self.line, &what));
            }
        })
    }

    /// A name in quotes: a backslash lets it have quotes, and go on on the next line.
    fn quoted(&mut self) -> Result<Token, FormatError> {
        let (line, mut name) = (self.line, String::new());
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.skip(at + 1);
                    return Ok(Token::Name(name, true));
                }
                '\\' => match chars.next() {
                    Some((_, '"')) => name.push('"'),
                    Some((_, '\n')) | None => {}
                    Some((_, other)) => name.extend(['\\', other]),
                },
                c => name.push(c),
            }
        }
        Err(at_line(line, "a quoted name is not closed; the graph may be truncated"))
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.' || !c.is_ascii() && !c.is_whitespace()
}

fn at_line(line: usize, what: &str) -> FormatError {
    FormatError::new(format!("line {line}: {what}"))
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    nodes: BTreeMap<String, Option<EntityKind>>,
    edges: Vec<(String, String, EdgeKind)>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn fail(&self, what: &str) -> FormatError {
        let last = self.tokens.last().map_or(1, |placed| placed.line);
        let line = self.tokens.get(self.at).map_or(last, |placed| placed.line);
        at_line(line, what)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Name(name, false))
            if name.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn name(&mut self) -> Option<String> {
        let Some(Token::Name(name, _)) = self.peek() else { return None };
        let name = name.clone();
        self.at += 1;
        Some(name)
    }

    fn graph(&mut self) -> Result<(), FormatError> {
        self.word("strict");
        if self.word("graph") {
            return Err(
                self.fail("the graph has no directions; a digraph says who depends on whom")
            );
        }
        if !self.word("digraph") {
            return Err(self.fail("is no graph of Graphviz, which begins with `digraph {`"));
        }
        self.name();
        self.block(0)?;
        if self.at < self.tokens.len() {
            return Err(self.fail("there is more after the graph's end"));
        }
        Ok(())
    }

    /// `{ … }`; the names in it.
    fn block(&mut self, depth: usize) -> Result<Vec<String>, FormatError> {
        if !self.take(&Token::Mark('{')) {
            return Err(self.fail("a `{` is expected"));
        }
        if depth > DEPTH_MAX {
            return Err(self.fail("subgraphs are nested too deep"));
        }
        let mut names = Vec::new();
        while !self.take(&Token::Mark('}')) {
            if self.peek().is_none() {
                return Err(self.fail("the graph ends too early, it may be truncated"));
            }
            if !self.take(&Token::Mark(';')) && !self.take(&Token::Mark(',')) {
                names.extend(self.statement(depth)?);
            }
        }
        Ok(names)
    }

    fn statement(&mut self, depth: usize) -> Result<Vec<String>, FormatError> {
        let start = self.at;
        for word in ["graph", "node", "edge"] {
            if self.word(word) {
                if self.peek() == Some(&Token::Mark('[')) {
                    self.attributes()?;
                    return Ok(Vec::new());
                }
                self.at = start;
            }
        }
        let after = self.tokens.get(self.at + 1).map(|placed| &placed.token);
        if after == Some(&Token::Mark('=')) {
            // An attribute of the graph.
            self.at += 2;
            self.name();
            return Ok(Vec::new());
        }
        let mut ends = vec![self.end(depth)?];
        while self.take(&Token::Arrow) {
            ends.push(self.end(depth)?);
        }
        if self.peek() == Some(&Token::Line) {
            return Err(self.fail("`--` has no direction; write `->`"));
        }
        let kind = self.attributes()?;
        if let [names] = &ends[..] {
            let kind = entity_kind(&kind).map_err(|what| self.fail(&what))?;
            for name in names {
                let known = self.nodes.entry(name.clone()).or_default();
                *known = kind.or(*known);
            }
        } else {
            let kind = edge_kind(&kind).map_err(|what| self.fail(&what))?;
            for pair in ends.windows(2) {
                for (from, to) in pair[0].iter().flat_map(|a| pair[1].iter().map(move |b| (a, b))) {
                    self.edges.push((from.clone(), to.clone(), kind));
                }
            }
        }
        Ok(ends.concat())
    }

    /// A name, or the names of a subgraph.
    fn end(&mut self, depth: usize) -> Result<Vec<String>, FormatError> {
        if self.word("subgraph") {
            self.name();
            return self.block(depth + 1);
        }
        if self.peek() == Some(&Token::Mark('{')) {
            return self.block(depth + 1);
        }
        let Some(mut name) = self.name() else {
            return Err(self.fail("the name of an entity is expected"));
        };
        while self.take(&Token::Mark('+')) {
            name.push_str(&self.name().unwrap_or_default());
        }
        // A port says where a line ends, and nothing of what.
        while self.take(&Token::Mark(':')) {
            self.name();
        }
        self.nodes.entry(name.clone()).or_default();
        Ok(vec![name])
    }

    /// What the attributes say of `kind`; empty when they do not.
    fn attributes(&mut self) -> Result<String, FormatError> {
        let mut kind = String::new();
        while self.take(&Token::Mark('[')) {
            while !self.take(&Token::Mark(']')) {
                if self.take(&Token::Mark(',')) || self.take(&Token::Mark(';')) {
                    continue;
                }
                let Some(name) = self.name() else {
                    return Err(self.fail("an attribute such as kind=calls is expected"));
                };
                let value = self.take(&Token::Mark('=')).then(|| self.name()).flatten();
                if name == "kind" {
                    kind = value.unwrap_or_default();
                }
            }
        }
        Ok(kind)
    }
}
