//! The text form: steps with their commands and what came of them.

/// Separates commands from what came of them.
const RULE: &str = "----";

/// One step of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Comments before the commands, with their `#`.
    pub comments: Vec<String>,
    /// The commands, a line each.
    pub commands: Vec<String>,
    /// What the file says came of them.
    pub expected: String,
}

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// Reads a file. Steps are set apart by empty lines.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut step: Option<(Step, bool)> = None;
        for line in text.lines().map(str::trim_end).chain([""]) {
            if line.is_empty() {
                steps.extend(step.take().map(|(step, _)| step));
                continue;
            }
            let (step, below) = step.get_or_insert_with(|| {
                let (comments, commands, expected) = (Vec::new(), Vec::new(), String::new());
                (Step { comments, commands, expected }, false)
            });
            if *below {
                step.expected.push_str(line);
                step.expected.push('\n');
            } else if line == RULE {
                *below = true;
            } else if line.starts_with('#') {
                step.comments.push(line.to_owned());
            } else {
                step.commands.push(line.to_owned());
            }
        }
        Self { steps }
    }

    /// The file with `outcomes` in place of what was expected.
    #[must_use]
    pub fn rewritten(&self, outcomes: &[String]) -> String {
        let steps = self.steps.iter().zip(outcomes).map(|(step, outcome)| {
            let lines = step.comments.iter().chain(&step.commands);
            let mut text: String = lines.map(|line| format!("{line}\n")).collect();
            if !step.commands.is_empty() {
                text.push_str(&format!("{RULE}\n{outcome}"));
            }
            text
        });
        steps.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written_back_as_it_was() {
        let text = "# About.\n\nreplicas 4\n----\n\n# Why.\ntick all\ndeliver\n----\na\nb\n";
        let script = Script::parse(text);
        assert_eq!(script.steps.len(), 3);
        assert_eq!(script.steps[2].commands, ["tick all", "deliver"]);
        let outcomes: Vec<_> = script.steps.iter().map(|step| step.expected.clone()).collect();
        assert_eq!(script.rewritten(&outcomes), text);
    }
}
