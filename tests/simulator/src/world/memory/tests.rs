use std::rc::Rc;

use daruma_types::{Ballot, Hash, Height, Message, ReplicaId, Signature, Vote, VoteKind};

use super::super::World;
use crate::fault::Fault;
use crate::parcel::Parcel;
use crate::{Invariant, Plan};

/// Runs until `until_us`.
fn run(world: &mut World<'_>, until_us: u64) {
    while world.now_us < until_us && world.violations.is_empty() {
        let (at_us, event) = world.queue.pop().unwrap();
        world.now_us = at_us;
        world.happen(event);
    }
}

/// Replica 1's memory was spoiled.
fn spoiled(plan: &Plan) -> World<'_> {
    let mut world = World::new(plan, None);
    run(&mut world, 1_000_000);
    world.remember();
    world.spoil_memory(1, 7);
    world
}

/// A vote of replica 1 that it did not sign.
fn forged() -> Message {
    Message::Vote(Vote {
        kind: VoteKind::Prepare,
        ballot: Ballot(0),
        height: Height(1),
        hash: Hash([7; 32]),
        signature: Signature([7; 64]),
    })
}

/// What becomes of a forged vote of replica 1 that arrives now.
fn refused(world: &mut World<'_>, doubtful: bool) -> Vec<Invariant> {
    let parcel = Parcel::new(ReplicaId(1), forged(), &world.door()).doubtful(doubtful);
    world.deliver(0, Rc::new(parcel));
    world.violations.drain(..).map(|violation| violation.invariant).collect()
}

#[test]
fn what_a_spoiled_memory_said_is_excused_however_late_it_arrives_and_nothing_said_later() {
    let plan = Plan::calm(5, 4).heal_after_ms(60_000);
    let mut world = spoiled(&plan);
    assert!(world.is_healing(1));
    run(&mut world, 40_000_000);
    assert_eq!(world.violations, []);
    assert!(!world.is_healing(1));
    assert_eq!(refused(&mut world, true), []);
    assert_eq!(refused(&mut world, false), [Invariant::Refused]);
}

#[test]
fn a_memory_heals_by_its_own_ticks_and_not_while_its_process_stands_still() {
    let plan = Plan::calm(5, 4).heal_after_ms(60_000);
    let mut world = spoiled(&plan);
    let until_us = 41_000_000;
    world.inject(Fault::Pause { replica: ReplicaId(1), until_us });
    run(&mut world, until_us - 1);
    assert!(world.is_healing(1));
    run(&mut world, until_us + 40_000_000);
    assert!(!world.is_healing(1));
    assert_eq!(world.violations, []);
}
