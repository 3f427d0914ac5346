//! Explores a model within the bounds given, and tells what was looked at.
//!
//! `cargo run --release -p daruma-model -- ballots --replicas 4 --ballots 3 --contents 1,2`

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use daruma_model::automaton::{Faulty, Rules, Scope, Varied, search};
use daruma_model::ballots::{AGREEMENT, Ballots, Bounds, Weakened};
use daruma_model::views::{self, Start, Views, converge_from_every_start};
use daruma_model::{Limits, explore};

#[derive(Debug, Parser)]
#[command(about = "Explores every state of a small configuration of Daruma's safety core")]
struct Arguments {
    #[command(subcommand)]
    model: Which,
    #[command(flatten)]
    effort: Effort,
}

/// How much to do.
#[derive(Debug, Clone, Copy, Args)]
struct Effort {
    /// States generated, repetitions counted, after which the search stops.
    #[arg(long, global = true, default_value_t = 100_000_000)]
    states_max: usize,
    /// Threads.
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    /// Depth first: finds deep states sooner, by longer paths.
    #[arg(long, global = true)]
    depth_first: bool,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Replication's ballots: agreement.
    Ballots {
        /// Replicas; as many of them are faulty as may be.
        #[arg(long, default_value_t = 4)]
        replicas: usize,
        /// Ballots, from 0.
        #[arg(long, default_value_t = 2)]
        ballots: u8,
        /// Rival blocks above each parent, for each height: 1 or 2.
        #[arg(long, value_delimiter = ',', default_value = "1,2")]
        contents: Vec<u8>,
        /// Heights in flight above the head.
        #[arg(long, default_value_t = 2)]
        window: u8,
        /// A rule to leave out; then the search ends when two blocks are committed at one height.
        #[arg(long, value_enum, default_value_t = Weakened::Nothing)]
        weakened: Weakened,
    },
    /// View establishment (a): proofs, and where fair runs end.
    Views {
        /// Replicas; as many of them are faulty as may be.
        #[arg(long, default_value_t = 4)]
        replicas: usize,
        /// The last view.
        #[arg(long, default_value_t = 2)]
        last: u8,
        /// Where runs start.
        #[arg(long, value_enum, default_value_t = Start::Genesis)]
        start: Start,
        /// A rule to leave out.
        #[arg(long, value_enum, default_value_t = views::Weakened::Nothing)]
        weakened: views::Weakened,
    },
    /// Real engines, from every combination of proofs on their disks, in lock-step.
    Engines {
        /// Replicas; as many of them are silent as may be faulty.
        #[arg(long, default_value_t = 4)]
        replicas: usize,
        /// The last view on any disk.
        #[arg(long, default_value_t = 2)]
        last: u8,
        /// Rounds after which a start counts as stuck.
        #[arg(long, default_value_t = 40)]
        rounds: u32,
    },
    /// View establishment (b): from every start in lock-step to one view, or round for ever.
    Automaton {
        /// Replicas.
        #[arg(long, default_value_t = 6)]
        replicas: usize,
        /// What one of them does.
        #[arg(long, value_enum, default_value_t = Faulty::Nobody)]
        faulty: Faulty,
        /// Views, counted round.
        #[arg(long, default_value_t = 3)]
        views: u8,
        /// Flags that vary in the starts.
        #[arg(long, value_enum, default_value_t = Varied::Nothing)]
        varied: Varied,
        /// Rounds without a step after which a replica resets; none without.
        #[arg(long)]
        watchdog: Option<u8>,
        /// With the support beyond DESIGN 10's text.
        #[arg(long)]
        support: bool,
        /// Rounds in a view that more than `f` are not in, after which a replica resets; none without.
        #[arg(long)]
        apart: Option<u8>,
    },
}

fn main() -> ExitCode {
    let Arguments { model, effort } = Arguments::parse();
    let Effort { states_max, threads, depth_first } = effort;
    let limits = Limits { states_max, threads, depth_first };
    println!("{model:?} {limits:?}");
    let good = match model {
        Which::Ballots { replicas, ballots, contents, window, weakened } => {
            let until = (weakened != Weakened::Nothing).then_some(AGREEMENT);
            let bounds = Bounds { replicas, ballots, contents, window, weakened };
            Ballots::new(bounds).map_err(|error| format!("{error:?}")).map(|model| {
                let explored = explore(model, limits, until);
                print!("{explored}");
                explored.holds() || until.is_some_and(|property| explored.violates(property))
            })
        }
        Which::Views { replicas, last, start, weakened } => {
            Views::new(replicas, last, start, weakened).map_err(|error| format!("{error:?}")).map(
                |model| {
                    let explored = explore(model, limits, None);
                    print!("{explored}");
                    explored.holds()
                },
            )
        }
        Which::Engines { replicas, last, rounds } => {
            converge_from_every_start(replicas, last, rounds)
                .map_err(|error| format!("{error:?}"))
                .map(|result| {
                    println!("{} starts, at most {} rounds", result.starts, result.rounds_max);
                    for start in &result.stuck {
                        println!("STUCK: {start:?}");
                    }
                    result.stuck.is_empty()
                })
        }
        Which::Automaton { replicas, faulty, views, varied, watchdog, support, apart } => {
            let rules = Rules { watchdog, support, apart };
            search(Scope { replicas, faulty, views, varied, rules })
                .map_err(|error| error.to_string())
                .map(|found| {
                    print!("{found}");
                    found.stuck == 0
                })
        }
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
