//! Halts of other systems in which a file, a row or derived state was lost, cut, old or wrong
//! (docs/healing.md): each on simulated disks, and service by itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    Draws, REQUEST_ROUNDS_MAX, Struck, cut_off, deciding, from_any_state, heals, in_view, load,
    plan,
};
use daruma_simulator::{Behaviour, Class, Column, MemoryStore, Rhythm, Rig, Scope, Values};
use daruma_types::{Height, ReplicaId};

/// Tables of one class. The simulated replica writes no heal log.
fn tables(class: Class) -> impl Iterator<Item = Column> {
    Column::ALL.into_iter().filter(move |column| column.class() == class)
}

/// These replicas crash, their disks are changed, and they start.
fn restarted(
    rig: &mut Rig<'_>,
    ids: &[ReplicaId],
    mut change: impl FnMut(&mut Rig<'_>, ReplicaId),
) {
    ids.iter().for_each(|id| rig.stop(*id));
    ids.iter().for_each(|id| change(rig, *id));
    ids.iter().for_each(|id| rig.start(*id));
}

/// Disks as they are now, and then some more executed blocks, and one on its way.
fn grown(rig: &mut Rig<'_>, struck: &Struck<'_>) -> Vec<MemoryStore> {
    let early = struck.all().into_iter().map(|id| rig.disk(id)).collect();
    load(rig, 0, 1, 5);
    rig.run(REQUEST_ROUNDS_MAX);
    rig.note_what_stands();
    deciding(rig, struck, 1);
    early
}

/// A bit of a row changes.
fn flipped(mut row: Vec<u8>, draws: &mut Draws) -> Vec<u8> {
    if !row.is_empty() {
        let at = draws.below(row.len() as u64) as usize;
        row[at] ^= 1 << draws.below(8);
    }
    row
}

#[test]
fn heal_state_missing_everywhere_all_execute_their_blocks_anew() {
    heals("heal/state-missing-everywhere", from_any_state, |rig, struck| {
        restarted(rig, &struck.all(), |rig, id| {
            tables(Class::Derived).for_each(|column| rig.spoil(id, column, |_, _| None));
            assert!(rig.rows(id, Column::State).is_empty());
        });
    });
}

/// A quorum cannot be had without those whose promises are ahead of their ledgers.
#[test]
fn heal_signstate_vs_log_replicas_that_promised_more_than_their_ledgers_know_vote_again() {
    heals("heal/signstate-vs-log", from_any_state, |rig, struck| {
        let early = grown(rig, struck);
        restarted(rig, &struck.some(struck.blocking()), |rig, id| {
            for column in Column::ALL.into_iter().filter(|column| *column != Column::Journal) {
                rig.transplant(id, column, &early[id.index()]);
            }
        });
    });
}

/// With every other seed the memory that went back is all, with the others the journal's view and floor are
/// lost as well; its votes are there.
#[test]
fn heal_watermark_regression_a_blocking_minority_back_at_ballot_0_votes_again() {
    heals("heal/watermark-regression", from_any_state, |rig, struck| {
        in_view(rig, 3);
        deciding(rig, struck, 1);
        let back = struck.some(struck.blocking());
        if struck.seed % 2 == 0 {
            for scope in ["view.", "automaton.", "ballots.", "replication.", "monitor."] {
                rig.scramble(&back, &Scope::Named(scope), Values::Zero, struck.seed);
            }
        } else {
            restarted(rig, &back, |rig, id| {
                rig.spoil(id, Column::Journal, |key, row| {
                    (key != b"v" && key != b"f").then_some(row)
                });
            });
        }
    });
}

/// The second half of the journal is lost, and the row before it cut, on all disks.
#[test]
fn heal_log_truncate_journals_of_all_that_end_too_early_stop_nobody() {
    heals("heal/log-truncate", from_any_state, |rig, struck| {
        deciding(rig, struck, 1);
        restarted(rig, &struck.all(), |rig, id| {
            let half = rig.rows(id, Column::Journal).len() / 2;
            let mut place = 0;
            rig.spoil(id, Column::Journal, |_, mut row| {
                place += 1;
                if place == half + 1 {
                    row.truncate(row.len() / 2);
                }
                (place <= half + 1).then_some(row)
            });
        });
    });
}

#[test]
fn heal_log_garbage_journals_of_all_that_are_garbage_stop_nobody() {
    heals("heal/log-garbage", from_any_state, |rig, struck| {
        deciding(rig, struck, 1);
        restarted(rig, &struck.all(), |rig, id| {
            let mut draws = Draws::new(struck.seed * 16 + u64::from(id.0));
            rig.spoil(id, Column::Journal, |_, row| {
                Some(row.iter().map(|_| draws.below(256) as u8).collect())
            });
        });
    });
}

/// Everything that all replicas can make again or do without is empty; what they cannot make, of `f`.
#[test]
fn heal_zero_length_file_rows_that_are_empty_stop_nobody() {
    heals("heal/zero-length-file", from_any_state, |rig, struck| {
        let (class, count) = [
            (Class::Control, struck.n()),
            (Class::Derived, struck.n()),
            (Class::Certified, struck.f()),
            (Class::Control, struck.f()),
        ][struck.seed as usize % 4];
        deciding(rig, struck, 1);
        restarted(rig, &struck.some(count), |rig, id| {
            tables(class).for_each(|column| rig.spoil(id, column, |_, _| Some(Vec::new())));
        });
    });
}

/// A value of the state is another one than the blocks' execution gives, in `f` ledgers or all.
#[test]
fn heal_state_root_mismatch_states_other_than_the_blocks_say_are_made_again() {
    heals("heal/state-root-mismatch", from_any_state, |rig, struck| {
        let count = [struck.f(), struck.n()][struck.seed as usize % 2];
        let mut draws = Draws::new(struck.seed);
        restarted(rig, &struck.some(count), |rig, id| {
            let before = rig.rows(id, Column::State);
            rig.spoil(id, Column::State, |_, row| Some(flipped(row, &mut draws)));
            assert_ne!(rig.rows(id, Column::State), before);
        });
    });
}

/// The state is that of an earlier height, below blocks that are all there.
#[test]
fn heal_app_restart_stale_states_older_than_the_blocks_are_made_again() {
    heals("heal/app-restart-stale", from_any_state, |rig, struck| {
        let early = grown(rig, struck);
        restarted(rig, &struck.all(), |rig, id| {
            for column in [Column::State, Column::Tree] {
                rig.transplant(id, column, &early[id.index()]);
            }
        });
    });
}

/// All that replicas far behind know of what they fetch is any values, again and again while they fetch, with
/// every other seed beside one that serves lies.
#[test]
fn heal_sync_metadata_wrong_notes_on_what_is_fetched_keep_nobody_out() {
    heals("heal/sync-metadata", from_any_state, |rig, struck| {
        let behind = struck.some(struck.f());
        cut_off(rig, struck.n(), &behind, true);
        for nonce in 1..=20 {
            let others: Vec<_> =
                struck.all().into_iter().filter(|id| !behind.contains(id)).collect();
            rig.submit(&others, 0, nonce, &nonce.to_string());
            rig.run(2);
        }
        cut_off(rig, struck.n(), &behind, false);
        if struck.seed % 2 == 1 {
            let liars = struck.some(2 * struck.f()).split_off(struck.f());
            liars.into_iter().for_each(|id| rig.behave(id, Some(Behaviour::LyingServer)));
        }
        for time in 0..6 {
            let values = [Values::Mixed, Values::Largest, Values::Replayed][time % 3];
            for scope in ["catch_up.", "conflict.", "mending.", "replication.decided"] {
                rig.scramble(&behind, &Scope::Named(scope), values, struck.seed + time as u64);
            }
            rig.run(1);
        }
    });
}

/// One bit in a quarter of all rows of all tables of `f` disks.
#[test]
fn heal_sst_bitflip_f_disks_with_flipped_bits_in_any_table_serve_again() {
    heals("heal/sst-bitflip", from_any_state, |rig, struck| {
        let mut draws = Draws::new(struck.seed);
        restarted(rig, &struck.some(struck.f()), |rig, id| {
            for column in Column::ALL {
                rig.spoil(id, column, |_, row| {
                    Some(if draws.below(4) == 0 { flipped(row, &mut draws) } else { row })
                });
            }
        });
    });
}

/// Records vanish behind a running replica's back. They are missed when somebody asks for them, here one that
/// comes back with nothing and hears that replica only.
#[test]
fn heal_silent_delete_records_that_vanish_while_a_replica_runs_are_had_again() {
    const DAMAGED: ReplicaId = ReplicaId(1);
    const ASKING: ReplicaId = ReplicaId(3);
    let (mut longest, mut longest_us) = (0, 0);
    for seed in 0..4 {
        for rhythm in [Rhythm::LockStep, Rhythm::Random] {
            plan(4, seed).drive(rhythm, |rig| {
                load(rig, 0, 1, 8);
                rig.run(REQUEST_ROUNDS_MAX);
                let whole = rig.blocks(DAMAGED);
                let mut draws = Draws::new(seed);
                let first = draws.between(1, whole.len() as u64 - 1);
                for column in [Column::Blocks, Column::Certificates] {
                    for height in first..=draws.between(first, whole.len() as u64) {
                        rig.rot(DAMAGED, column, Height(height), None);
                    }
                }
                assert_ne!(rig.blocks(DAMAGED), whole);
                [ReplicaId(0), ReplicaId(2)].into_iter().for_each(|id| rig.cut(id, ASKING, true));
                rig.wipe(ASKING);
                let (began, began_us) = (rig.rounds(), rig.now_us());
                let hashes = |rig: &Rig<'_>, id| -> Vec<_> {
                    rig.blocks(id).iter().map(|block| block.certificate.hash).collect()
                };
                let all: Vec<_> = whole.iter().map(|block| block.certificate.hash).collect();
                let done =
                    |rig: &Rig<'_>| hashes(rig, DAMAGED) == all && hashes(rig, ASKING) == all;
                assert!(rig.until(200, done).is_some(), "seed {seed} {rhythm:?}");
                longest = longest.max(rig.rounds() - began);
                longest_us = longest_us.max(rig.now_us() - began_us);
                assert_eq!(rig.violations(), []);
            });
        }
    }
    let ms = longest_us.div_ceil(1000);
    println!("heal/silent-delete | certified | {longest} rounds of 200 | {ms} virtual ms | 8 runs");
}
