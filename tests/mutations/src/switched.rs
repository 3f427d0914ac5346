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
//! Functions are found by their indentation, as rustfmt sets it. Where this cannot be done (in a
//! `const fn`; where the two bodies would give two types) the mutation is compiled by itself.

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

const MARK: &str = "/* mutation: ";

/// `text` with all of `mutations` in it, each under its number, and the names of those that cannot be
/// put in.
pub(crate) fn switched(text: &str, mutations: &[(u32, &Mutation)]) -> (String, Vec<String>) {
    let mut insertions = Vec::new();
    let mut left = Vec::new();
    for (number, mutation) in mutations {
        match insertion(text, *number, mutation) {
            Some(insertion) => insertions.push(insertion),
            None => left.push(mutation.name.clone()),
        }
    }
    insertions.sort_by_key(|(at, _)| *at);
    let mut switched = text.to_owned();
    for (at, inserted) in insertions.iter().rev() {
        switched.insert_str(*at, inserted);
    }
    (switched, left)
}

/// The name of the mutation that a line of a switched text, counted from 1, belongs to, if any.
pub(crate) fn mutation_at(switched: &str, line: usize) -> Option<&str> {
    let before = switched.lines().take(line).filter_map(|line| line.split_once(MARK));
    before.last().and_then(|(_, name)| Some(name.split_once(" */")?.0))
}

/// Where in `text` the faulty body goes, and that body.
fn insertion(text: &str, number: u32, mutation: &Mutation) -> Option<(usize, String)> {
    let at = text.find(&mutation.find)?;
    let end = at.checked_add(mutation.find.len())?;
    let function = Function::around(text, at)?;
    if end > function.close {
        return None;
    }
    let body =
        [text.get(function.open..at)?, mutation.replace.as_str(), text.get(end..function.close)?]
            .concat();
    let name = &mutation.name;
    let inserted =
        format!("if crate::mutation_is_on({number}) {{ {MARK}{name} */ return {{\n{body}}}; }}\n");
    Some((function.open, inserted))
}

/// A function's body: from after the line that opens it to before the line that closes it.
struct Function {
    open: usize,
    close: usize,
}

impl Function {
    /// The innermost function around `at` that is not `const`.
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
        let (header, indent) =
            lines.get(..inside)?.iter().enumerate().rev().find_map(|(index, (_, line))| {
                let is_const = is_function(line)?;
                let indent = indentation(line);
                let outside =
                    lines.get(index..inside)?.iter().skip(1).any(|(_, line)| closes(line, indent));
                (!outside).then_some((index, (indent, is_const)))
            })?;
        let (indent, is_const) = indent;
        if is_const {
            return None;
        }
        let rest = lines.get(header..)?;
        let open =
            rest.iter().position(|(_, line)| indentation(line) == indent && line.ends_with('{'))?;
        let close = rest.iter().skip(open).position(|(_, line)| closes(line, indent))?;
        let (begin, line) = rest.get(open)?;
        let (close, _) = rest.get(open.checked_add(close)?)?;
        Some(Self { open: begin.checked_add(line.len())?.checked_add(1)?, close: *close })
    }
}

/// Whether a line begins a function, and if so, whether one that is `const`.
fn is_function(line: &str) -> Option<bool> {
    let line = line.trim_start();
    let before = if line.starts_with("fn ") { "" } else { line.split_once(" fn ")?.0 };
    let visible = before.is_empty() || before.starts_with("pub") || before == "const";
    visible.then(|| before.split(' ').any(|word| word == "const"))
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
        let (text, left) = switched(TEXT, &[(1, &one), (2, &two), (3, &three)]);
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
    fn what_is_in_a_const_function_or_in_none_is_left() {
        let constant = mutation("constant", "        3\n", "4\n");
        let across = mutation("across", "self.y\n    }\n", "true\n    }\n");
        let outside = mutation("outside", "impl A", "impl B");
        let (text, left) = switched(TEXT, &[(1, &constant), (2, &across), (3, &outside)]);
        assert_eq!(
            (text.as_str(), left),
            (TEXT, vec!["constant".into(), "across".into(), "outside".into()])
        );
    }

    #[test]
    fn an_error_of_the_compiler_leads_to_its_mutation() {
        let one = mutation("one", "x > 3", "x > ");
        let (text, _) = switched(TEXT, &[(1, &one)]);
        let line = text.lines().position(|line| line.contains("x >  {")).unwrap() + 1;
        assert_eq!(mutation_at(&text, line), Some("one"));
        assert_eq!(mutation_at(&text, 2), None);
    }
}
