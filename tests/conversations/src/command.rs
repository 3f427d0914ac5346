//! What a script can ask for.

use daruma_types::{Height, ReplicaId};

/// Which replicas a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// These.
    Some(Vec<ReplicaId>),
}

impl Select {
    /// Whether `id` is meant.
    #[must_use]
    pub fn holds(&self, id: ReplicaId) -> bool {
        match self {
            Self::All => true,
            Self::Some(ids) => ids.contains(&id),
        }
    }
}

/// A line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `replicas N`: the network, with the largest `f` that `N` allows. Comes first.
    Replicas(usize),
    /// `submit r0 "text"`: a client gives a replica an operation that appends `text`, under its next
    /// nonce.
    Submit(ReplicaId, String),
    /// `tick all`, `tick r0 r2`: the clocks of these replicas tick once.
    Tick(Select),
    /// `deliver`: everything on the wire arrives, and what is sent in answer, until nothing is left.
    /// `deliver once`: one hop.
    Deliver {
        /// Only what is on the wire now.
        once: bool,
    },
    /// `run K`: K times, all clocks tick and everything is delivered.
    Run(usize),
    /// `cut r3`: from now on what these replicas send, and what is sent to them, is lost.
    Cut(Select),
    /// `join r3`: undoes `cut`.
    Join(Select),
    /// `drop vote`: messages of this kind on the wire are lost.
    Drop(String),
    /// `lose vote`: from now on messages of this kind are lost; `lose nothing` ends it.
    Lose(Option<String>),
    /// `keep vote`: messages of this kind on the wire are put aside, and stay there.
    Keep(String),
    /// `replay`: what was put aside is put on the wire again.
    Replay,
    /// `restart r0`: memory is lost; ledger and journal stay.
    Restart(Select),
    /// `erase r3 2`: the row of the block of this height is lost from the disk of one replica.
    Erase(ReplicaId, Height),
    /// `forge r3 4`: the signatures of all votes that one replica holds in memory at this height become
    /// false.
    Forge(ReplicaId, Height),
    /// `forget r3 1`: one replica's memory believes that this height, of which its ledger has a block, is
    /// its head, and executed last.
    Forget(ReplicaId, Height),
    /// `show r0`: where these replicas stand, in one line each.
    Show(Select),
    /// `summaries on|off`: whether summaries are recorded.
    Summaries(bool),
}

/// A line that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} is not understood: {why}")]
pub struct CommandError {
    line: String,
    why: &'static str,
}

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    /// [`CommandError`] says what is expected.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let wrong = |why| CommandError { line: line.to_owned(), why };
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let number = || rest.parse().map_err(|_| wrong("a number is expected"));
        let replicas = || select(rest).ok_or_else(|| wrong("replicas are named r0 r1 ..., or all"));
        let of_height = |expected| {
            let found = rest
                .split_once(' ')
                .and_then(|(id, height)| Some((replica(id)?, Height(height.trim().parse().ok()?))));
            found.ok_or_else(|| wrong(expected))
        };
        let kind = || {
            if rest.is_empty() {
                Err(wrong("a kind of message is expected"))
            } else {
                Ok(rest.to_owned())
            }
        };
        match verb {
            "replicas" => Ok(Self::Replicas(number()?)),
            "submit" => {
                let (id, text) = rest.split_once(' ').ok_or_else(|| wrong("submit r0 \"text\""))?;
                let id = replica(id).ok_or_else(|| wrong("submit r0 \"text\""))?;
                Ok(Self::Submit(id, text.trim().trim_matches('"').to_owned()))
            }
            "tick" => Ok(Self::Tick(replicas()?)),
            "deliver" => match rest {
                "" => Ok(Self::Deliver { once: false }),
                "once" => Ok(Self::Deliver { once: true }),
                _ => Err(wrong("deliver, or deliver once")),
            },
            "run" => Ok(Self::Run(number()?)),
            "cut" => Ok(Self::Cut(replicas()?)),
            "join" => Ok(Self::Join(replicas()?)),
            "drop" => Ok(Self::Drop(kind()?)),
            "lose" => Ok(Self::Lose(Some(kind()?).filter(|kind| kind != "nothing"))),
            "keep" => Ok(Self::Keep(kind()?)),
            "replay" => Ok(Self::Replay),
            "restart" => Ok(Self::Restart(replicas()?)),
            "erase" => of_height("erase r0 1").map(|(id, height)| Self::Erase(id, height)),
            "forge" => of_height("forge r0 1").map(|(id, height)| Self::Forge(id, height)),
            "forget" => of_height("forget r0 1").map(|(id, height)| Self::Forget(id, height)),
            "show" => Ok(Self::Show(replicas()?)),
            "summaries" => match rest {
                "on" => Ok(Self::Summaries(true)),
                "off" => Ok(Self::Summaries(false)),
                _ => Err(wrong("summaries on, or summaries off")),
            },
            _ => Err(wrong("there is no such command")),
        }
    }
}

fn replica(name: &str) -> Option<ReplicaId> {
    Some(ReplicaId(name.strip_prefix('r')?.parse().ok()?))
}

fn select(names: &str) -> Option<Select> {
    if names == "all" {
        return Some(Select::All);
    }
    let ids: Option<Vec<_>> = names.split_whitespace().map(replica).collect();
    ids.filter(|ids| !ids.is_empty()).map(Select::Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_what_is_not_one_is_refused_with_what_is_expected() {
        assert_eq!(Command::parse("run 3"), Ok(Command::Run(3)));
        let submit = Command::Submit(ReplicaId(2), "two words".into());
        assert_eq!(Command::parse("submit r2 \"two words\""), Ok(submit));
        let erase = Command::Erase(ReplicaId(3), Height(2));
        assert_eq!(Command::parse("erase r3 2"), Ok(erase));
        assert!(Command::parse("erase r3").is_err());
        let error = Command::parse("tick everyone").unwrap_err();
        assert!(error.to_string().contains("r0 r1"), "{error}");
        assert!(Command::parse("dance").is_err());
    }
}
