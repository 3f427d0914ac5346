//! Many faults in one copy, each of which can be switched on when a program runs: they are compiled
//! together, once.
//!
//! A function with a fault is given its faulty body beside its own:
//!
//! ```text
//! fn strong(self) -> usize {
//!     if crate::mutation_is_on(3) { /* mutation: strong-one-too-low */ return {
//!         self.replicas - self.faulty_max - 1
//!     }; }
//!     self.replicas - self.faulty_max
//! }
//! ```
//!
//! Functions are found by their indentation, as rustfmt sets it; a `const fn` loses its `const`, as do all
//! in its file, which may call it. Where this cannot be done (where the two bodies would give two types)
//! the mutation is compiled by itself.

use std::collections::BTreeMap;

use crate::Mutation;

/// The variable of the environment that says which mutation is on, by its number.
pub(crate) const SWITCH: &str = "DARUMA_MUTATION";

/// What every crate with a mutation gets at the end of its `lib.rs`.
pub(crate) const IS_ON: &str = r#"
extern crate std as mutation_std;

/// Whether the mutation of this number is on in this process.
pub(crate) fn mutation_is_on(number: u32) -> bool {
    static ON: mutation_std::sync::OnceLock<u32> = mutation_std::sync::OnceLock::new();
    let on = || mutation_std::env::var("DARUMA_MUTATION").ok()?.parse().ok();
    *ON.get_or_init(|| on().unwrap_or(0)) == number
}
"#;

const CONST: &str = "const ";

const MARK: &str = "/* mutation: ";

/// The line after a faulty body.
const END: &str = "}; }";

/// `text` with all of `mutations` in it, each under its number, and the names of those that cannot be
/// put in; those of a `const fn` only if `constants`.
pub(crate) fn switched(
    text: &str,
    mutations: &[(u32, &Mutation)],
    constants: bool,
) -> (String, Vec<String>) {
    let mut insertions = BTreeMap::new();
    let mut constant = false;
    let mut left = Vec::new();
    for (number, mutation) in mutations {
        match insertion(text, *number, mutation) {
            Some((function, body)) if constants || !function.constant => {
                insertions.entry(function.open).or_insert_with(String::new).push_str(&body);
                constant |= function.constant;
            }
            Some(_) | None => left.push(mutation.name.clone()),
        }
    }
    let mut switched = text.to_owned();
    for (at, inserted) in insertions.iter().rev() {
        switched.insert_str(*at, inserted);
    }
    if constant {
        // Others of the file may call it.
        switched = switched.replace("const fn ", "fn ");
    }
    (switched, left)
}

/// The name of the mutation that a line of a switched text, counted from 1, belongs to, if any.
pub(crate) fn mutation_at(switched: &str, line: usize) -> Option<&str> {
    let mut inside = None;
    for text in switched.lines().take(line) {
        if let Some((_, name)) = text.split_once(MARK) {
            inside = name.split_once(" */").map(|(name, _)| name);
        } else if text == END {
            inside = None;
        }
    }
    inside
}

/// The function that a mutation is in, and what is put at its beginning.
fn insertion(text: &str, number: u32, mutation: &Mutation) -> Option<(Function, String)> {
    let at = text.find(&mutation.find)?;
    let last = at.checked_add(mutation.find.len())?.checked_sub(1)?;
    let function = Function::around(text, last)?;
    let mutated = mutation.apply(text).ok()?;
    let same_head = mutated.get(..function.open) == text.get(..function.open);
    let faulty = Function::around(&mutated, function.open).filter(|_| same_head)?;
    let body = mutated.get(faulty.open..faulty.close)?;
    let name = &mutation.name;
    let head = format!("if crate::mutation_is_on({number}) {{ {MARK}{name} */ return {{");
    Some((function, format!("{head}\n{body}{END}\n")))
}

/// A function's body: from after the line that opens it to before the line that closes it.
struct Function {
    open: usize,
    close: usize,
    constant: bool,
}

impl Function {
    /// The innermost function whose body has what is at `at`.
    fn around(text: &str, at: usize) -> Option<Self> {
        let lines: Vec<(usize, &str)> = text
            .split_inclusive('\n')
            .scan(0_usize, |start, line| {
                let begin = *start;
                *start = begin.checked_add(line.len())?;
                Some((begin, line.trim_end_matches('\n')))
            })
            .collect();
        let inside = lines.iter().rposition(|(begin, _)| *begin <= at)?;
        let encloses = |header: &usize| {
            let Some((_, line)) = lines.get(*header) else { return false };
            let between = lines.get(*header..inside).unwrap_or_default();
            is_function(line)
                && !between.iter().any(|(_, between)| closes(between, indentation(line)))
        };
        let header = (0..inside).rev().find(encloses)?;
        let rest = lines.get(header..)?;
        let (_, header) = rest.first()?;
        let indent = indentation(header);
        let opens = |line: &str| indentation(line) == indent && line.ends_with('{');
        let open = rest.iter().position(|(_, line)| opens(line))?;
        let close = rest.iter().skip(open).position(|(_, line)| closes(line, indent))?;
        let (begin, line) = rest.get(open)?;
        let (close, _) = rest.get(open.checked_add(close)?)?;
        Some(Self {
            open: begin.checked_add(line.len())?.checked_add(1)?,
            close: *close,
            constant: header.contains("const fn "),
        })
        .filter(|function| (function.open..function.close).contains(&at))
    }
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    let before = line.split_once("fn ").map(|(before, _)| before);
    before.is_some_and(|before| before.is_empty() || before.starts_with("pub") || before == CONST)
}

fn indentation(line: &str) -> usize {
    line.len().saturating_sub(line.trim_start().len())
}

fn closes(line: &str, indent: usize) -> bool {
    indentation(line) == indent && line.trim_start() == "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "impl A {
    pub(crate) fn long(
        &self,
        x: u8,
    ) -> bool {
        if x > 3 {
            return true;
        }
        self.y
    }

    pub const fn short(&self) -> u8 {
        3
    }

    fn last(&self) -> bool {
        self.y && self.x
    }
}
";

    fn mutation(name: &str, find: &str, replace: &str) -> Mutation {
        Mutation {
            name: name.into(),
            why: "a test".into(),
            file: "a".into(),
            find: find.into(),
            replace: replace.into(),
            seeds: 0,
            expect: Vec::new(),
            arguments: Vec::new(),
            slice: false,
        }
    }

    #[test]
    fn each_function_gets_its_faulty_bodies_before_its_own() {
        let (one, two) = (mutation("one", "x > 3", "x > 2"), mutation("two", "self.y\n", "true\n"));
        let three = mutation("three", "self.y && ", "");
        let (text, left) = switched(TEXT, &[(1, &one), (2, &two), (3, &three)], true);
        assert_eq!(left, Vec::<String>::new());
        for body in [
            "    ) -> bool {\nif crate::mutation_is_on(1) { /* mutation: one */ return {\n        \
             if x > 2 {\n            return true;\n        }\n        self.y\n}; }\n",
            "return {\n        if x > 3 {\n            return true;\n        }\n        true\n}; }\n",
            "/* mutation: three */ return {\n        self.x\n}; }\n        self.y && self.x\n",
        ] {
            assert!(text.contains(body), "{body}\nis not in\n{text}");
        }
    }

    #[test]
    fn a_constant_function_is_one_no_longer_or_is_left() {
        let constant =
            mutation("constant", "(&self) -> u8 {\n        3", "(&self) -> u8 {\n        4");
        let (text, left) = switched(TEXT, &[(7, &constant)], true);
        assert!(left.is_empty() && text.contains("    pub fn short(&self) -> u8 {\nif"), "{text}");
        assert!(
            text.contains("(7) { /* mutation: constant */ return {\n        4\n}; }\n        3\n")
        );
        let (text, left) = switched(TEXT, &[(7, &constant)], false);
        assert_eq!((text.as_str(), left), (TEXT, vec!["constant".into()]));
    }

    #[test]
    fn what_is_in_no_function_or_in_two_is_left() {
        let across = mutation("across", "self.y\n    }\n", "true\n    }\n");
        let outside = mutation("outside", "impl A", "impl B");
        let (text, left) = switched(TEXT, &[(2, &across), (3, &outside)], true);
        assert_eq!((text.as_str(), left), (TEXT, vec!["across".into(), "outside".into()]));
    }

    #[test]
    fn an_error_of_the_compiler_leads_to_its_mutation() {
        let one = mutation("one", "x > 3", "x > ");
        let (text, _) = switched(TEXT, &[(1, &one)], true);
        let line = text.lines().position(|line| line.contains("x >  {")).unwrap() + 1;
        assert_eq!(mutation_at(&text, line), Some("one"));
        assert_eq!(mutation_at(&text, 2), None);
        let after = text.lines().position(|line| line.contains("x > 3 {")).unwrap() + 1;
        assert_eq!(mutation_at(&text, after), None);
    }
}
