//! Searching tokens that are no syntax yet: the bodies of macros and the arguments of attributes.

use super::scan::Kind;
use proc_macro2::{Span, TokenStream, TokenTree};

/// Something found among tokens.
pub(super) enum Found {
    /// A path, a macro's name or a method's name.
    Named { kind: Kind, path: Vec<String>, span: Span },
    /// The name of a field that is read.
    Field(String),
}

/// Everything in `stream` that looks like a path of several parts, a macro, a method or a field, at any depth.
pub(super) fn search(stream: TokenStream) -> Vec<Found> {
    let mut found = Vec::new();
    walk(stream, &mut found);
    found
}

/// Every name in `stream`, at any depth.
pub(super) fn names(stream: TokenStream) -> impl Iterator<Item = String> {
    let mut names = Vec::new();
    let mut rest: Vec<_> = vec![stream.into_iter()];
    while let Some(tokens) = rest.last_mut() {
        match tokens.next() {
            Some(TokenTree::Group(group)) => rest.push(group.stream().into_iter()),
            Some(TokenTree::Ident(name)) => names.push(name.to_string()),
            Some(_) => {}
            None => drop(rest.pop()),
        }
    }
    names.into_iter()
}

fn walk(stream: TokenStream, found: &mut Vec<Found>) {
    let tokens: Vec<_> = stream.into_iter().collect();
    let punct = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => walk(group.stream(), found),
            TokenTree::Ident(first) => {
                let start = at;
                let mut path = vec![first.to_string()];
                while punct(at + 1, ':')
                    && punct(at + 2, ':')
                    && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                {
                    path.push(next.to_string());
                    at += 3;
                }
                // One dot is an access, two are a range.
                let dotted = start.checked_sub(1).is_some_and(|before| punct(before, '.'))
                    && !start.checked_sub(2).is_some_and(|before| punct(before, '.'));
                let called = matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) || punct(at + 1, ':');
                let written = punct(at + 1, '=') && !punct(at + 2, '=');
                let span = first.span();
                if dotted && path.len() == 1 {
                    if called {
                        found.push(Found::Named { kind: Kind::Method, path, span });
                    } else if !written {
                        found.push(Found::Field(first.to_string()));
                    }
                } else if punct(at + 1, '!') && matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) {
                    found.push(Found::Named { kind: Kind::Macro, path, span });
                } else if path.len() > 1 {
                    found.push(Found::Named { kind: Kind::Path, path, span });
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}
